use std::io;
use std::net::UdpSocket;

use libtest_mimic::Trial;

use crate::client::{DEADLINE, DIG};
use crate::server::Example;
use crate::{Outcome, plain, with_client};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        with_client(
            DIG,
            "dns::dig_gets_addresses_and_text",
            dig_gets_addresses_and_text,
        ),
        with_client(
            DIG,
            "dns::dig_learns_what_does_not_exist",
            dig_learns_what_does_not_exist,
        ),
        with_client(
            DIG,
            "dns::dig_retries_a_truncated_answer_over_tcp",
            dig_retries_over_tcp,
        ),
        with_client(
            DIG,
            "dns::dig_says_how_much_it_can_take",
            dig_says_how_much_it_can_take,
        ),
        with_client(
            DIG,
            "dns::dig_asks_twice_on_one_connection",
            dig_asks_twice_on_one_connection,
        ),
        with_client(
            DIG,
            "dns::dig_asks_for_what_we_do_not_do",
            dig_asks_for_what_we_do_not_do,
        ),
        with_client(
            DIG,
            "dns::a_wildcard_answers_from_the_address_asked",
            a_wildcard_answers,
        ),
        plain(
            "dns::garbage_is_a_format_error_and_a_reply_is_ignored",
            garbage_is_a_format_error,
        ),
    ]
}

fn start() -> io::Result<Example> {
    Example::start("dns", 2, &["127.0.0.1:0"])
}

fn dig(dns: &Example, at: &str, question: &[&str]) -> io::Result<String> {
    let arguments = [&["-p", dns.port(), at, "+tries=1", "+time=20"], question].concat();
    Ok(DIG.run(&arguments, b"")?.success())
}

fn short(dns: &Example, name: &str, ty: &str) -> io::Result<Vec<String>> {
    let answer = dig(dns, "@127.0.0.1", &["+short", name, ty])?;
    let mut lines: Vec<_> = answer.lines().map(str::to_owned).collect();
    lines.sort();
    Ok(lines)
}

fn dig_gets_addresses_and_text() -> Outcome {
    let dns = start()?;
    assert_eq!(
        short(&dns, "www.sockserv.test", "A")?,
        ["192.0.2.80", "192.0.2.81"]
    );
    assert_eq!(short(&dns, "www.sockserv.test", "AAAA")?, ["2001:db8::80"]);
    assert_eq!(
        short(&dns, "sockserv.test", "TXT")?,
        ["\"one attribute makes it a server\""]
    );
    assert_eq!(short(&dns, "sockserv.test", "NS")?, ["ns.sockserv.test."]);
    assert!(
        short(&dns, "sockserv.test", "SOA")?[0]
            .starts_with("ns.sockserv.test. hostmaster.sockserv.test. 1 ")
    );
    let answer = dig(&dns, "@127.0.0.1", &["WwW.SockServ.Test", "A"])?;
    assert!(
        answer.contains("flags: qr aa rd;") && answer.contains("WwW.SockServ.Test.\t300\tIN\tA"),
        "{answer}"
    );
    Ok(dns.stop()?)
}

fn dig_learns_what_does_not_exist() -> Outcome {
    let dns = start()?;
    let name = dig(&dns, "@127.0.0.1", &["nobody.sockserv.test", "A"])?;
    assert!(
        name.contains("status: NXDOMAIN") && name.contains("IN\tSOA\tns.sockserv.test."),
        "{name}"
    );
    let ty = dig(&dns, "@127.0.0.1", &["ns.sockserv.test", "AAAA"])?;
    assert!(
        ty.contains("status: NOERROR") && ty.contains("ANSWER: 0, AUTHORITY: 1"),
        "{ty}"
    );
    let elsewhere = dig(&dns, "@127.0.0.1", &["example.org", "A"])?;
    assert!(elsewhere.contains("status: REFUSED"), "{elsewhere}");
    Ok(dns.stop()?)
}

fn dig_retries_over_tcp() -> Outcome {
    let dns = start()?;
    let answer = dig(&dns, "@127.0.0.1", &["big.sockserv.test", "TXT"])?;
    assert!(
        answer.contains(";; Truncated, retrying in TCP mode."),
        "{answer}"
    );
    assert!(
        answer.contains("ANSWER: 20,") && answer.contains("(TCP)"),
        "{answer}"
    );
    Ok(dns.stop()?)
}

fn dig_says_how_much_it_can_take() -> Outcome {
    let dns = start()?;
    let cut = dig(
        &dns,
        "@127.0.0.1",
        &["+noedns", "+ignore", "big.sockserv.test", "TXT"],
    )?;
    assert!(
        cut.contains("flags: qr aa tc rd;") && cut.contains("ANSWER: 0,"),
        "{cut}"
    );
    let whole = dig(
        &dns,
        "@127.0.0.1",
        &["+bufsize=8192", "big.sockserv.test", "TXT"],
    )?;
    assert!(
        whole.contains("ANSWER: 20,") && whole.contains("(UDP)"),
        "{whole}"
    );
    Ok(dns.stop()?)
}

fn dig_asks_twice_on_one_connection() -> Outcome {
    let dns = start()?;
    let options = ["+tcp", "+keepopen", "+short"];
    let questions = ["www.sockserv.test", "AAAA", "ns.sockserv.test", "A"];
    let answer = dig(&dns, "@127.0.0.1", &[&options[..], &questions].concat())?;
    assert_eq!(answer, "2001:db8::80\n192.0.2.53\n");
    Ok(dns.stop()?)
}

fn dig_asks_for_what_we_do_not_do() -> Outcome {
    let dns = start()?;
    let update = dig(
        &dns,
        "@127.0.0.1",
        &["+opcode=update", "sockserv.test", "SOA"],
    )?;
    assert!(update.contains("status: NOTIMP"), "{update}");
    let signed = dig(&dns, "@127.0.0.1", &["+dnssec", "sockserv.test", "SOA"])?;
    assert!(
        signed.contains("status: NOERROR") && signed.contains("ANSWER: 1,"),
        "{signed}"
    );
    let chaos = dig(&dns, "@127.0.0.1", &["-c", "CH", "sockserv.test", "TXT"])?;
    assert!(chaos.contains("status: REFUSED"), "{chaos}");
    Ok(dns.stop()?)
}

/// dig drops a reply that does not come from the address it asked.
fn a_wildcard_answers() -> Outcome {
    let dns = Example::start("dns", 2, &["0.0.0.0:0"])?;
    for at in ["@127.0.0.1", "@127.0.0.2", "@127.9.9.9"] {
        assert_eq!(
            dig(&dns, at, &["+short", "ns.sockserv.test", "A"])?,
            "192.0.2.53\n",
            "{at}"
        );
    }
    Ok(dns.stop()?)
}

fn garbage_is_a_format_error() -> Outcome {
    let dns = start()?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(DEADLINE))?;
    socket.connect(dns.addr())?;
    socket.send(b"short")?;
    socket.send(b"\x00\x01\x80\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01")?;
    socket.send(b"\x00\x02\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\xff\xff\xff")?;
    let mut reply = [0; 512];
    let length = socket.recv(&mut reply)?;
    assert_eq!(
        reply[..length],
        *b"\x00\x02\x80\x01\x00\x00\x00\x00\x00\x00\x00\x00",
        "only the third has an answer"
    );
    Ok(dns.stop()?)
}
