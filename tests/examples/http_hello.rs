use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use sockserv_tests::pace;

use crate::client::{CURL, NC, Peer, WRK};
use crate::server::Example;
use crate::{Outcome, plain, with_client};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        with_client(
            CURL,
            "http_hello::curl_keeps_its_connection",
            curl_keeps_its_connection,
        ),
        with_client(CURL, "http_hello::curl_sends_bodies", curl_sends_bodies),
        with_client(
            CURL,
            "http_hello::curl_speaks_the_old_version",
            curl_speaks_the_old_version,
        ),
        with_client(CURL, "http_hello::curl_sends_too_much", curl_sends_too_much),
        with_client(NC, "http_hello::nc_pipelines", nc_pipelines),
        with_client(
            WRK,
            "http_hello::wrk_sees_no_failed_request",
            wrk_sees_no_failed_request,
        ),
        plain(
            "http_hello::a_bad_head_is_answered_and_closed",
            a_bad_head_is_answered_and_closed,
        ),
        plain(
            "http_hello::a_bad_body_is_answered_and_closed",
            a_bad_body_is_answered_and_closed,
        ),
        plain(
            "http_hello::half_a_request_times_out",
            half_a_request_times_out,
        ),
        plain(
            "http_hello::an_end_in_the_middle_is_answered",
            an_end_in_the_middle_is_answered,
        ),
        plain(
            "http_hello::a_request_that_drips_times_out",
            a_request_that_drips_times_out,
        ),
        plain("http_hello::silence_is_only_closed", silence_is_only_closed),
        plain(
            "http_hello::a_shutdown_ends_idle_connections",
            a_shutdown_ends_idle_connections,
        ),
    ]
}

const QUIET: [&str; 4] = ["-sS", "--max-time", "20", "-o/dev/null"];
const HELLO: &str = "Hello, world!\n";

fn curl_keeps_its_connection() -> Outcome {
    let http = Example::on_a_port("http_hello")?;
    let url = format!("http://{}/", http.addr());
    let written = ["-w", "%{http_code} %{num_connects} %{size_download}\n"];
    let output = CURL.run(
        &[&QUIET[..], &written, &[&url, "-o/dev/null", &url]].concat(),
        b"",
    )?;
    assert_eq!(output.success(), "200 1 14\n200 0 14\n");
    let head = CURL
        .run(&["-sSI", "--max-time", "20", &url], b"")?
        .success();
    assert!(
        head.starts_with("HTTP/1.1 200 OK\r\nDate: ") && head.contains("Content-Length: 14\r\n"),
        "{head}"
    );
    Ok(http.stop()?)
}

fn curl_sends_bodies() -> Outcome {
    let http = Example::on_a_port("http_hello")?;
    let url = format!("http://{}/?q", http.addr());
    let body = vec![b'x'; 1024 * 1024];
    for header in [
        "X-Length: known",
        "Transfer-Encoding: chunked",
        "Expect: 100-continue",
    ] {
        let options = [
            "-sS",
            "--max-time",
            "20",
            "-H",
            header,
            "--data-binary",
            "@-",
        ];
        let twice = [&url, "--next", "-sS", &url].map(|word: &str| word);
        let output = CURL.run(&[&options[..], &twice].concat(), &body)?;
        assert_eq!(output.success(), HELLO.repeat(2), "{header}");
    }
    Ok(http.stop()?)
}

fn curl_speaks_the_old_version() -> Outcome {
    let http = Example::on_a_port("http_hello")?;
    let url = format!("http://{}/", http.addr());
    let old = CURL
        .run(&["-sSi", "--max-time", "20", "--http1.0", &url], b"")?
        .success();
    assert!(
        old.contains("Connection: close\r\n") && old.ends_with(HELLO),
        "{old}"
    );
    let kept = [
        "-sSi",
        "--max-time",
        "20",
        "--http1.0",
        "-H",
        "Connection: keep-alive",
        &url,
    ];
    let kept = CURL.run(&kept, b"")?.success();
    assert!(kept.contains("Connection: keep-alive\r\n"), "{kept}");
    let closed = CURL
        .run(
            &["-sSi", "--max-time", "20", "-H", "Connection: close", &url],
            b"",
        )?
        .success();
    assert!(closed.contains("Connection: close\r\n"), "{closed}");
    Ok(http.stop()?)
}

fn curl_sends_too_much() -> Outcome {
    let http = Example::on_a_port("http_hello")?;
    let url = format!("http://{}/", http.addr());
    let long = format!("X-Long: {}", "x".repeat(20_000));
    let code = ["-w", "%{http_code}", &url];
    let output = CURL.run(&[&QUIET[..], &["-H", &long], &code].concat(), b"")?;
    assert_eq!(output.success(), "431");
    let body = vec![b'x'; 1024 * 1024 + 1];
    let posts = ["--data-binary", "@-"];
    let output = CURL.run(&[&QUIET[..], &posts, &code].concat(), &body)?;
    assert_eq!(output.success(), "413");
    let chunked = ["-H", "Transfer-Encoding: chunked"];
    let output = CURL.run(&[&QUIET[..], &chunked, &posts, &code].concat(), &body)?;
    assert_eq!(output.success(), "413");
    Ok(http.stop()?)
}

fn nc_pipelines() -> Outcome {
    let http = Example::on_a_port("http_hello")?;
    let get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let post = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nTrailer: y\r\n\r\n";
    let last = "HEAD /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let requests = [&get.repeat(16), post, last, get].concat();
    let replies = NC
        .run(&["127.0.0.1", http.port()], requests.as_bytes())?
        .success();
    assert_eq!(
        replies.matches("HTTP/1.1 200 OK\r\n").count(),
        17,
        "{replies}"
    );
    assert_eq!(replies.matches(HELLO).count(), 17, "{replies}");
    let (_, tail) = replies
        .rsplit_once("HTTP/1.1 404 Not Found\r\n")
        .expect("the last is answered");
    assert!(
        tail.ends_with("Connection: close\r\n\r\n"),
        "nothing after a HEAD and a close: {tail}"
    );
    Ok(http.stop()?)
}

fn wrk_sees_no_failed_request() -> Outcome {
    let http = Example::on_a_port("http_hello")?;
    let url = format!("http://{}/", http.addr());
    let report = WRK.run(&["-t1", "-c32", "-d1s", &url], b"")?.success();
    assert!(
        !report.contains("Socket errors") && !report.contains("Non-2xx"),
        "{report}"
    );
    assert!(!report.contains(" 0 requests in"), "{report}");
    Ok(http.stop()?)
}

fn refuses(http: &Example, request: &str, status: &str) -> Outcome {
    let mut peer = Peer::connect(http.addr())?;
    peer.send(request)?;
    let reply = peer.rest()?;
    let expected = reply.starts_with(&format!("HTTP/1.1 {status} "));
    assert!(expected, "{request:?} got {reply:?}");
    let closed = reply.contains("Connection: close\r\n");
    assert!(closed, "{request:?} got {reply:?}");
    Ok(())
}

fn a_bad_head_is_answered_and_closed() -> Outcome {
    let http = Example::on_a_port("http_hello")?;
    for (head, status) in [
        ("\0\0\0\0\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", "400"),
        ("GET / HTTP/2.0\r\nHost: x\r\n\r\n", "505"),
    ] {
        refuses(&http, head, status)?;
    }
    let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(40_000));
    refuses(&http, &long, "431")?;
    let many = "X: y\r\n".repeat(100);
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n");
    refuses(&http, &many, "431")?;
    Ok(http.stop()?)
}

fn a_bad_body_is_answered_and_closed() -> Outcome {
    let http = Example::on_a_port("http_hello")?;
    let two = "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello";
    let both = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    for (rest, status) in [
        ("Content-Length: +5\r\n\r\nhello", "400"),
        (two, "400"),
        (both, "400"),
        ("Transfer-Encoding: chunked\r\n\r\nzz\r\n", "400"),
        ("Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", "400"),
        ("Transfer-Encoding: gzip, chunked\r\n\r\n", "501"),
        ("Content-Length: 99999999999999\r\n\r\n", "413"),
    ] {
        let request = format!("POST / HTTP/1.1\r\nHost: x\r\n{rest}");
        refuses(&http, &request, status)?;
    }
    Ok(http.stop()?)
}

fn half_a_request_times_out() -> Outcome {
    let http = Example::on_a_port("http_hello")?;
    let mut peers = Vec::new();
    for half in [
        "GET / HT",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe",
    ] {
        let mut peer = Peer::connect(http.addr())?;
        peer.send(half)?;
        peers.push(peer);
    }
    for mut peer in peers {
        let reply = peer.rest()?;
        assert!(
            reply.starts_with("HTTP/1.1 408 Request Timeout\r\n"),
            "{reply:?}"
        );
    }
    Ok(http.stop()?)
}

/// Each byte comes long before the timeout, and the whole would take an hour.
fn a_request_that_drips_times_out() -> Outcome {
    let http = Example::on_a_port("http_hello")?;
    for begin in [
        "GET / HTTP/1.1\r\nHost: x\r\nX: ",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n",
    ] {
        let mut peer = Peer::connect(http.addr())?;
        peer.send(begin)?;
        let began = Instant::now();
        // It fails once the server has closed.
        while peer.send("y").is_ok() {
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "{begin:?} drips on"
            );
            pace(Instant::now() + Duration::from_millis(100));
        }
    }
    Ok(http.stop()?)
}

/// Wherever a request is cut off, behind a whole line included.
fn an_end_in_the_middle_is_answered() -> Outcome {
    let http = Example::on_a_port("http_hello")?;
    for half in [
        "GET / HT",
        "GET / HTTP/1.1\r\nHost: x\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n",
    ] {
        let mut peer = Peer::connect(http.addr())?;
        peer.send(half)?;
        peer.finish()?;
        let began = Instant::now();
        let reply = peer.rest()?;
        assert!(reply.starts_with("HTTP/1.1 400 "), "{half:?} got {reply:?}");
        assert!(began.elapsed() < Duration::from_secs(2), "{half:?} waited");
    }
    Ok(http.stop()?)
}

fn silence_is_only_closed() -> Outcome {
    let http = Example::on_a_port("http_hello")?;
    let mut peer = Peer::connect(http.addr())?;
    peer.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")?;
    let reply = peer.rest()?;
    assert!(
        reply.ends_with(HELLO),
        "one reply, and no 408 for what was never begun: {reply}"
    );
    Ok(http.stop()?)
}

fn a_shutdown_ends_idle_connections() -> Outcome {
    let http = Example::on_a_port("http_hello")?;
    let mut idle = Peer::connect(http.addr())?;
    idle.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")?;
    while idle.line()? != HELLO {}
    http.stop()?;
    assert_eq!(idle.rest()?, "");
    Ok(())
}
