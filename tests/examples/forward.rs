use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;

use libtest_mimic::Trial;
use socket2::{Domain, Socket, Type};
use sockserv_tests::wait_until;

use crate::client::{CURL, NC, Peer};
use crate::server::{Example, program};
use crate::{Outcome, plain, with_client};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        with_client(
            CURL,
            "forward::curl_reaches_the_upstream",
            curl_reaches_the_upstream,
        ),
        with_client(NC, "forward::nc_finishes_first", nc_finishes_first),
        with_client(
            NC,
            "forward::the_upstream_finishes_first",
            the_upstream_finishes_first,
        ),
        with_client(
            CURL,
            "forward::a_drain_lets_a_download_finish",
            a_drain_lets_a_download_finish,
        ),
        plain(
            "forward::a_dead_upstream_is_reported",
            a_dead_upstream_is_reported,
        ),
    ]
}

/// The proxy, and the upstream that the test itself plays.
fn start() -> io::Result<(Example, TcpListener)> {
    let upstream = TcpListener::bind("127.0.0.1:0")?;
    let to = upstream.local_addr()?.to_string();
    Ok((
        Example::start("forward", 1, &["--to", &to, "127.0.0.1:0"])?,
        upstream,
    ))
}

fn accept(upstream: &TcpListener) -> io::Result<Peer> {
    Peer::over(upstream.accept()?.0)
}

fn curl_reaches_the_upstream() -> Outcome {
    let http = Example::on_a_port("http_hello")?;
    let forward = Example::start("forward", 1, &["127.0.0.1:0", "--to", http.addr()])?;
    let url = format!("http://{}/", forward.addr());
    let output = CURL.run(&["-sS", "--max-time", "20", &url, &url], b"")?;
    assert_eq!(output.success(), "Hello, world!\nHello, world!\n");
    forward.stop()?;
    Ok(http.stop()?)
}

fn nc_finishes_first() -> Outcome {
    let (forward, upstream) = start()?;
    let answering = thread::spawn(move || -> io::Result<String> {
        let mut peer = accept(&upstream)?;
        let question = peer.rest()?;
        peer.send(format!("you said {question}"))?;
        Ok(question)
    });
    let output = NC.run(&["-N", "127.0.0.1", forward.port()], b"all of it\n")?;
    assert_eq!(output.success(), "you said all of it\n");
    assert_eq!(answering.join().expect("the upstream ends")?, "all of it\n");
    Ok(forward.stop()?)
}

fn the_upstream_finishes_first() -> Outcome {
    let (forward, upstream) = start()?;
    let mut peer = Peer::connect(forward.addr())?;
    let mut behind = accept(&upstream)?;
    behind.send("the whole answer\n")?;
    behind.finish()?;
    assert_eq!(peer.rest()?, "the whole answer\n");
    peer.send("and a late question\n")?;
    assert_eq!(behind.line()?, "and a late question\n");
    peer.finish()?;
    assert_eq!(behind.rest()?, "");

    let program = thread::spawn({
        let port = forward.port().to_owned();
        move || NC.run(&["-N", "127.0.0.1", &port], b"question\n")
    });
    let mut behind = accept(&upstream)?;
    behind.send("answer before the question\n")?;
    behind.finish()?;
    assert_eq!(behind.rest()?, "question\n");
    assert_eq!(
        program.join().expect("nc ends")?.success(),
        "answer before the question\n"
    );
    Ok(forward.stop()?)
}

fn a_drain_lets_a_download_finish() -> Outcome {
    const HALF: usize = 1024 * 1024;
    let (mut forward, upstream) = start()?;
    let program = thread::spawn({
        let url = format!("http://{}/", forward.addr());
        move || CURL.run(&["-sS", "--max-time", "25", &url], b"")
    });
    let mut behind = accept(&upstream)?;
    while behind.line()? != "\r\n" {}
    behind.send(format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        2 * HALF
    ))?;
    behind.send("1".repeat(HALF))?;
    drop(upstream); // Who only asks whether the proxy still listens leads to nothing behind it.
    forward.terminate()?;
    wait_until(|| TcpStream::connect(forward.addr()).is_err());
    behind.send("2".repeat(HALF))?;
    drop(behind);
    let body = program.join().expect("curl ends")?.success();
    assert_eq!(body.len(), 2 * HALF);
    assert!(body.ends_with('2'));
    assert!(forward.wait()?.success(), "no request was cut");
    Ok(())
}

fn a_dead_upstream_is_reported() -> Outcome {
    let upstream = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    // Nobody else gets the port, and nobody listens there.
    upstream.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    let to = upstream.local_addr()?.as_socket().expect("a port");
    let mut command = Command::new(program("forward"));
    command.args(["--to", &to.to_string(), "127.0.0.1:0"]);
    let mut forward = Example::spawn(command.stderr(Stdio::piped()), 1)?;
    let mut stderr = forward.stderr().expect("it was asked for");
    assert_eq!(Peer::connect(forward.addr())?.rest()?, "");
    forward.stop()?;
    let mut said = String::new();
    stderr.read_to_string(&mut said)?;
    assert!(said.contains("Connection refused"), "{said}");
    Ok(())
}
