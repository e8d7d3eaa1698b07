use std::time::{Duration, SystemTime};

use libtest_mimic::Trial;

use crate::client::NC;
use crate::server::Example;
use crate::{Outcome, with_client};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        with_client(NC, "daytime::nc_reads_the_time_over_tcp", over_tcp),
        with_client(NC, "daytime::nc_reads_the_time_over_udp", over_udp),
    ]
}

fn over_tcp() -> Outcome {
    tells_the_time(&["-N"], b"")
}

fn over_udp() -> Outcome {
    tells_the_time(&["-u", "-W", "1"], b"what time is it?\n")
}

fn tells_the_time(options: &[&str], input: &[u8]) -> Outcome {
    let daytime = Example::start("daytime", 2, &["127.0.0.1:0"])?;
    assert_eq!(
        daytime.endpoints(),
        ["tcp", "udp"].map(|transport| format!("{transport}://{}", daytime.addr())),
        "both on one port"
    );
    let output = NC
        .run(&[options, &["127.0.0.1", daytime.port()]].concat(), input)?
        .success();
    let time = output.strip_suffix("\r\n").expect("one line");
    let age = SystemTime::now().duration_since(httpdate::parse_http_date(time)?)?;
    assert!(age < Duration::from_secs(30), "{time} is {age:?} ago");
    Ok(daytime.stop()?)
}
