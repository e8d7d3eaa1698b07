use std::io;

use libtest_mimic::Trial;

use crate::client::{NC, Peer, REDIS_BENCHMARK, REDIS_CLI};
use crate::server::Example;
use crate::{Outcome, plain, with_client};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        with_client(
            REDIS_CLI,
            "kv::redis_cli_sets_and_gets",
            redis_cli_sets_and_gets,
        ),
        with_client(
            REDIS_CLI,
            "kv::redis_cli_lets_keys_expire",
            redis_cli_lets_keys_expire,
        ),
        with_client(REDIS_CLI, "kv::redis_cli_finds_keys", redis_cli_finds_keys),
        with_client(
            REDIS_CLI,
            "kv::redis_cli_makes_mistakes",
            redis_cli_makes_mistakes,
        ),
        with_client(
            REDIS_CLI,
            "kv::redis_cli_asks_about_the_server",
            redis_cli_asks_about_the_server,
        ),
        with_client(
            REDIS_BENCHMARK,
            "kv::redis_benchmark_pipelines",
            redis_benchmark_pipelines,
        ),
        with_client(NC, "kv::nc_types_commands", nc_types_commands),
        plain("kv::values_are_any_bytes", values_are_any_bytes),
        plain(
            "kv::a_broken_protocol_is_answered_and_closed",
            a_broken_protocol_is_answered_and_closed,
        ),
    ]
}

/// What `redis-cli` prints when nobody looks: the bare reply.
fn cli(kv: &Example, command: &[&str]) -> io::Result<String> {
    Ok(REDIS_CLI
        .run(&[&["-p", kv.port()], command].concat(), b"")?
        .success()
        .trim_end()
        .to_owned())
}

fn redis_cli_sets_and_gets() -> Outcome {
    let kv = Example::on_a_port("kv")?;
    for (command, reply) in [
        (&["ping"][..], "PONG"),
        (&["echo", "two words"], "two words"),
        (&["get", "a"], ""),
        (&["set", "a", "1"], "OK"),
        (&["get", "a"], "1"),
        (&["set", "a", "2", "nx"], ""),
        (&["set", "a", "2", "XX"], "OK"),
        (&["set", "b", "2", "xx"], ""),
        (&["set", "b", "2", "NX", "EX", "100"], "OK"),
        (&["exists", "a", "b", "a", "c"], "3"),
        (&["incr", "a"], "3"),
        (&["incr", "new"], "1"),
        (&["del", "a", "b", "c"], "2"),
        (&["exists", "a"], "0"),
    ] {
        assert_eq!(cli(&kv, command)?, reply, "{command:?}");
    }
    Ok(kv.stop()?)
}

fn redis_cli_lets_keys_expire() -> Outcome {
    let kv = Example::on_a_port("kv")?;
    for (command, reply) in [
        (&["ttl", "a"][..], "-2"),
        (&["set", "a", "1"], "OK"),
        (&["ttl", "a"], "-1"),
        (&["expire", "a", "100"], "1"),
        (&["ttl", "a"], "100"),
        (&["incr", "a"], "2"),
        (&["ttl", "a"], "100"),
        (&["set", "a", "1"], "OK"),
        (&["ttl", "a"], "-1"),
        (&["expire", "a", "-1"], "1"),
        (&["get", "a"], ""),
        (&["expire", "a", "1"], "0"),
        (&["set", "b", "1", "PX", "1"], "OK"),
    ] {
        assert_eq!(cli(&kv, command)?, reply, "{command:?}");
    }
    // A new process for each question takes longer than that millisecond, sooner or later.
    while !cli(&kv, &["get", "b"])?.is_empty() {}
    assert_eq!(cli(&kv, &["set", "b", "1", "nx"])?, "OK");
    Ok(kv.stop()?)
}

fn redis_cli_finds_keys() -> Outcome {
    let kv = Example::on_a_port("kv")?;
    for key in ["hello", "hallo", "hxllo", "hllo", "heeello", "a*b", "[x]"] {
        cli(&kv, &["set", key, "1"])?;
    }
    for (pattern, expected) in [
        ("h?llo", "hallo hello hxllo"),
        ("h*llo", "hallo heeello hello hllo hxllo"),
        ("h[ae]llo", "hallo hello"),
        ("h[^e]llo", "hallo hxllo"),
        ("h[a-b]llo", "hallo"),
        ("a\\*b", "a*b"),
        ("\\[x]", "[x]"),
        ("*l*l*o*", "hallo heeello hello hllo hxllo"),
        ("", ""),
        ("*", "[x] a*b hallo heeello hello hllo hxllo"),
    ] {
        let output = cli(&kv, &["keys", pattern])?;
        let mut keys: Vec<_> = output.lines().collect();
        keys.sort_unstable();
        assert_eq!(keys.join(" "), expected, "{pattern}");
    }
    Ok(kv.stop()?)
}

fn redis_cli_makes_mistakes() -> Outcome {
    let kv = Example::on_a_port("kv")?;
    cli(&kv, &["set", "word", "abc"])?;
    cli(&kv, &["set", "max", &i64::MAX.to_string()])?;
    for (command, reply) in [
        (
            &["nonsense\r\n", "1"][..],
            "ERR unknown command 'nonsense\\r\\n'",
        ),
        (&["get"], "ERR wrong number of arguments for 'get' command"),
        (
            &["get", "a", "b"],
            "ERR wrong number of arguments for 'get' command",
        ),
        (
            &["incr", "word"],
            "ERR value is not an integer or out of range",
        ),
        (
            &["incr", "max"],
            "ERR increment or decrement would overflow",
        ),
        (
            &["expire", "word", "soon"],
            "ERR value is not an integer or out of range",
        ),
        (&["set", "a", "1", "EX"], "ERR syntax error"),
        (&["set", "a", "1", "NX", "XX"], "ERR syntax error"),
        (
            &["set", "a", "1", "EX", "0"],
            "ERR invalid expire time in 'set' command",
        ),
    ] {
        assert_eq!(cli(&kv, command)?, reply, "{command:?}");
    }
    Ok(kv.stop()?)
}

fn redis_cli_asks_about_the_server() -> Outcome {
    let kv = Example::on_a_port("kv")?;
    cli(&kv, &["set", "a", "1"])?;
    let info = cli(&kv, &["info"])?;
    assert!(
        info.contains(&format!("process_id:{}", kv.pid())) && info.contains("db0:keys=1,expires=0"),
        "{info}"
    );
    assert!(cli(&kv, &["command"])?.lines().any(|name| name == "EXPIRE"));
    assert_eq!(cli(&kv, &["command", "count"])?, "13");
    Ok(kv.stop()?)
}

fn redis_benchmark_pipelines() -> Outcome {
    let kv = Example::on_a_port("kv")?;
    let options = [
        "-p",
        kv.port(),
        "-n",
        "20000",
        "-P",
        "16",
        "-q",
        "-t",
        "ping,set,get,incr",
    ];
    let report = REDIS_BENCHMARK.run(&options, b"")?.success();
    for test in ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR"] {
        assert!(report.contains(&format!("{test}: ")), "{report}");
    }
    assert!(!report.contains("Error"), "{report}");
    assert_eq!(cli(&kv, &["get", "counter:__rand_int__"])?, "20000");
    Ok(kv.stop()?)
}

fn nc_types_commands() -> Outcome {
    let kv = Example::on_a_port("kv")?;
    let typed = b"PING\r\n\r\n  set  name  value\nget name\r\nquit\r\nping\r\n";
    let output = NC.run(&["127.0.0.1", kv.port()], typed)?;
    assert_eq!(output.success(), "+PONG\r\n+OK\r\n$5\r\nvalue\r\n+OK\r\n");
    Ok(kv.stop()?)
}

fn values_are_any_bytes() -> Outcome {
    let kv = Example::on_a_port("kv")?;
    let mut peer = Peer::connect(kv.addr())?;
    let value: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    peer.send("*3\r\n$3\r\nSET\r\n$4\r\n\r\n\0\n\r\n$300000\r\n")?;
    peer.send(&value)?;
    peer.send("\r\n*2\r\n$3\r\nGET\r\n$4\r\n\r\n\0\n\r\n")?;
    assert_eq!(peer.line()?, "+OK\r\n");
    assert_eq!(peer.line()?, "$300000\r\n");
    assert!(peer.take(300_000)? == value, "the value came back changed");
    assert_eq!(peer.take(2)?, b"\r\n");
    Ok(kv.stop()?)
}

fn a_broken_protocol_is_answered_and_closed() -> Outcome {
    let kv = Example::on_a_port("kv")?;
    for (bytes, error) in [
        ("*x\r\n", "invalid multibulk length"),
        ("*100000000\r\n", "invalid multibulk length"),
        ("*1\r\nPING\r\n", "expected '$'"),
        ("*1\r\n$-5\r\n", "invalid bulk length"),
        ("*1\r\n$999999999999\r\n", "invalid bulk length"),
        ("*1\r\n$4\r\nPINGxx", "a bulk string ends with CRLF"),
        (&"x".repeat(100_000), "too big inline request"),
    ] {
        let mut peer = Peer::connect(kv.addr())?;
        peer.send(bytes)?;
        assert_eq!(
            peer.rest()?,
            format!("-ERR Protocol error: {error}\r\n"),
            "{:.40}",
            bytes
        );
    }
    Ok(kv.stop()?)
}
