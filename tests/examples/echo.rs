use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use libtest_mimic::Trial;
use sockserv_tests::{Folder, wait_until};

use crate::client::{NC, Peer, STRACE, wait};
use crate::server::{Example, program};
use crate::{Outcome, plain, with_client};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        with_client(NC, "echo::nc_gets_its_lines_back", nc_gets_its_lines_back),
        with_client(
            NC,
            "echo::nc_is_answered_line_by_line",
            nc_is_answered_line_by_line,
        ),
        plain(
            "echo::an_idle_peer_does_not_delay_the_end",
            an_idle_peer_does_not_delay_the_end,
        ),
        with_client(
            STRACE,
            "echo::an_idle_server_makes_no_system_call",
            an_idle_server_makes_no_system_call,
        ),
        plain(
            "echo::listens_at_every_address_given",
            listens_at_every_address_given,
        ),
    ]
}

fn nc_gets_its_lines_back() -> Outcome {
    let echo = Example::on_a_port("echo")?;
    let output = NC.run(
        &["-N", "127.0.0.1", echo.port()],
        b"one\ntwo\nwithout an end",
    )?;
    assert_eq!(output.success(), "one\ntwo\nwithout an end");
    Ok(echo.stop()?)
}

/// As one who types: the next line is sent when the one before has come back.
fn nc_is_answered_line_by_line() -> Outcome {
    let echo = Example::on_a_port("echo")?;
    let mut nc = Command::new(NC.name)
        .args(["-N", "-w30", "127.0.0.1", echo.port()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut typed = nc.stdin.take().expect("it was asked for");
    let mut shown = BufReader::new(nc.stdout.take().expect("it was asked for"));
    for line in ["one\n", "two\n", "three\n"] {
        typed.write_all(line.as_bytes())?;
        let mut reply = String::new();
        shown.read_line(&mut reply)?;
        assert_eq!(reply, line);
    }
    drop(typed);
    assert!(wait(&mut nc)?.success());
    Ok(echo.stop()?)
}

fn an_idle_peer_does_not_delay_the_end() -> Outcome {
    let echo = Example::on_a_port("echo")?;
    let mut peer = Peer::connect(echo.addr())?;
    peer.send("hello\n")?;
    assert_eq!(peer.line()?, "hello\n");
    echo.stop()?;
    assert_eq!(peer.rest()?, "");
    Ok(())
}

fn listens_at_every_address_given() -> Outcome {
    let echo = Example::start("echo", 2, &["127.0.0.1:0", "127.0.0.2:0"])?;
    for endpoint in echo.endpoints() {
        let mut peer = Peer::connect(
            endpoint
                .strip_prefix("tcp://")
                .expect("an endpoint has its scheme"),
        )?;
        peer.send("hello\n")?;
        assert_eq!(peer.line()?, "hello\n");
    }
    Ok(echo.stop()?)
}

fn an_idle_server_makes_no_system_call() -> Outcome {
    let folder = Folder::new();
    let trace = folder.join("trace");
    let mut command = Command::new(STRACE.name);
    // The server is our child, the tracer is not: a signal reaches the server.
    command.args(["-D", "-f", "-o"]).arg(&trace);
    command.arg(program("echo")).arg("127.0.0.1:0");
    let echo = Example::spawn(&mut command, 1)?;
    let mut peer = Peer::connect(echo.addr())?;
    peer.send("hello\n")?;
    assert_eq!(peer.line()?, "hello\n");
    // What the reply leaves behind is done first, and written down.
    let mut before = String::new();
    wait_until(|| {
        echo.expect_quiet_for(Duration::from_millis(100));
        let calls = fs::read_to_string(&trace).expect("it is being written");
        std::mem::replace(&mut before, calls.clone()) == calls
    });
    assert!(before.contains("recvfrom("), "it was traced: {before}");
    echo.expect_quiet_for(Duration::from_secs(3));
    let after = fs::read_to_string(&trace)?;
    assert_eq!(
        after.strip_prefix(&before),
        Some(""),
        "calls of three seconds"
    );
    Ok(echo.stop()?)
}
