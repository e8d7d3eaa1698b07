use std::{io, thread};

use libtest_mimic::Trial;
use sockserv_tests::wait_until;

use crate::client::{MEMCCAPABLE, PYMEMCACHE, Peer};
use crate::server::Example;
use crate::{Outcome, plain, with_client};

type Test = (&'static str, fn() -> Outcome);

pub(crate) fn trials() -> Vec<Trial> {
    let capable = with_client(
        MEMCCAPABLE,
        "memcached::memccapable_finds_it_capable",
        memccapable_finds_it_capable,
    );
    let python = WITH_PYTHON.map(|(name, test)| with_client(PYMEMCACHE, name, test));
    let plain = PLAIN.map(|(name, test)| plain(name, test));
    let all = python.into_iter().chain(plain);
    all.chain([capable]).collect()
}

const WITH_PYTHON: [Test; 3] = [
    (
        "memcached::pymemcache_stores_and_changes",
        pymemcache_stores_and_changes,
    ),
    (
        "memcached::pymemcache_wants_no_replies",
        pymemcache_wants_no_replies,
    ),
    (
        "memcached::pymemcache_makes_mistakes",
        pymemcache_makes_mistakes,
    ),
];

const PLAIN: [Test; 7] = [
    (
        "memcached::commands_and_values_may_come_in_any_pieces",
        commands_come_in_any_pieces,
    ),
    (
        "memcached::what_follows_a_broken_value_is_no_command",
        what_follows_a_broken_value,
    ),
    (
        "memcached::what_is_refused_is_not_taken_for_commands",
        what_is_refused,
    ),
    (
        "memcached::words_that_are_wrong_are_answered",
        words_that_are_wrong,
    ),
    ("memcached::items_expire", items_expire),
    (
        "memcached::what_is_not_used_makes_room",
        what_is_not_used_makes_room,
    ),
    ("memcached::clients_count_together", clients_count_together),
];

fn start() -> io::Result<Example> {
    Example::on_a_port("memcached")
}

/// Sends commands and returns what comes back until the answer to a last one.
fn ask(peer: &mut Peer, commands: &str) -> io::Result<String> {
    peer.send(format!("{commands}\r\nversion\r\n"))?;
    let mut said = String::new();
    loop {
        let line = peer.line()?;
        if line.is_empty() || line.starts_with("VERSION ") {
            return Ok(said);
        }
        said += &line;
    }
}

fn memccapable_finds_it_capable() -> Outcome {
    let memcached = start()?;
    let arguments = ["-a", "-h", "127.0.0.1", "-p", memcached.port()];
    let output = MEMCCAPABLE.run(&arguments, b"")?;
    assert!(output.stdout.ends_with("All tests passed\n"), "{output:#?}");
    Ok(memcached.stop()?)
}

fn python(memcached: &Example, options: &str, script: &str) -> Outcome {
    let head = "\
import sys
from pymemcache.client.base import Client
from pymemcache.exceptions import *
client = Client(('127.0.0.1', int(sys.argv[1])), timeout=20";
    let script = format!("{head}{options})\n{script}");
    PYMEMCACHE
        .run(&["-c", &script, memcached.port()], b"")?
        .success();
    Ok(())
}

fn pymemcache_stores_and_changes() -> Outcome {
    let memcached = start()?;
    let script = "\
everything = bytes(range(256)) + b'\\r\\nEND\\r\\nset x 0 0 1\\r\\n'
assert client.set('a', everything) and client.get('a') == everything
assert client.set('empty', b'') and client.get('empty') == b''
assert client.set('large', b'x' * (1 << 20)) and len(client.get('large')) == 1 << 20
assert not client.add('a', b'other') and client.add('b', b'other')
assert not client.replace('c', b'none') and client.replace('b', b'2')
assert not client.append('c', b'none') and client.append('b', b'3') and client.prepend('b', b'1')
assert client.get('b') == b'123'
assert client.incr('b', 7) == 130 and client.decr('b', 31) == 99 and client.decr('b', 100) == 0
assert client.incr('c', 1) is None
assert client.set('most', str(2**64 - 1)) and client.incr('most', 2) == 1
value, unique = client.gets('b')
assert value == b'0' and client.cas('b', b'new', unique) and client.cas('b', b'newer', unique) is False
assert client.cas('c', b'none', unique) is None and client.get('b') == b'new'
assert client.touch('b', 100) and not client.touch('c', 100)
assert client.delete('b') and not client.delete('b') and client.get('b') is None
names = ['key-%03d-%s' % (n, 'k' * 240) for n in range(1000)]
assert client.set_many({name: name for name in names}) == []
assert client.get_many(names + ['none']) == {name: name.encode() for name in names}
assert len(client.gets_many(names)) == 1000
stats = client.stats()
assert stats[b'curr_items'] == 1004 and stats[b'curr_connections'] == 1, stats
assert client.flush_all() and client.get_many(names) == {}
assert client.set('a', b'1') and client.flush_all(delay=3600) and client.get('a') == b'1'
assert b'sockserv' in client.version()
client.quit()
";
    python(&memcached, ", default_noreply=False", script)?;
    Ok(memcached.stop()?)
}

fn pymemcache_wants_no_replies() -> Outcome {
    let memcached = start()?;
    let script = "\
assert client.set('a', b'1') and client.append('a', b'0') and client.prepend('a', b'2')
assert client.add('a', b'other') and client.replace('b', b'other') and client.delete('c')
assert client.incr('a', 5, noreply=True) is None and client.decr('a', 1, noreply=True) is None
assert client.touch('a', 10) and client.cas('a', b'other', '1', noreply=True)
assert client.get('a') == b'214', client.get('a')
assert client.set('noreply', b'a name') and client.get('noreply') == b'a name'
assert client.gets('noreply')[0] == b'a name'
assert client.flush_all() and client.get('a') is None
";
    python(&memcached, "", script)?;
    Ok(memcached.stop()?)
}

fn pymemcache_makes_mistakes() -> Outcome {
    let memcached = start()?;
    let script = "\
def fails(kind, call, *arguments):
    try:
        call(*arguments)
    except kind as error:
        return str(error)
    sys.exit('%s%s does not fail' % (call, arguments))

assert 'too large' in fails(MemcacheServerError, client.set, 'a', b'x' * ((1 << 20) + 1))
assert client.get('a') is None
assert client.set('a', b'x' * (1 << 20))
assert 'too large' in fails(MemcacheServerError, client.append, 'a', b'x')
assert client.set('a', b'text')
assert 'non-numeric' in fails(MemcacheClientError, client.incr, 'a', 1)
assert 'numeric delta' in fails(MemcacheClientError, client.incr, 'a', -1)
fails(MemcacheUnknownCommandError, client.stats, 'nothing')
assert client.get('a') == b'text'
";
    python(&memcached, ", default_noreply=False", script)?;
    Ok(memcached.stop()?)
}

fn commands_come_in_any_pieces() -> Outcome {
    let memcached = start()?;
    let mut peer = Peer::connect(memcached.addr())?;
    let commands = "set a 7 0 8\r\nx\r\ny\r\nz\0\r\n\r\nset  b 0 0 0 noreply\n\r\n\
                    gets  a b\r\nincr a 1\r\nquit\r\nget a\r\n";
    let reply = "STORED\r\nVALUE a 7 8 1\r\nx\r\ny\r\nz\0\r\nVALUE b 0 0 2\r\n\r\nEND\r\n\
                 CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";
    peer.send(commands)?;
    assert_eq!(peer.rest()?, reply);
    peer = Peer::connect(memcached.addr())?;
    ask(&mut peer, "flush_all")?;
    for byte in commands.bytes() {
        peer.send([byte])?;
    }
    assert_eq!(
        peer.rest()?,
        reply.replace("8 1", "8 6").replace("0 2", "0 7")
    );
    Ok(memcached.stop()?)
}

/// A value of another length than announced: what is behind it may be a value, too.
fn what_follows_a_broken_value() -> Outcome {
    let memcached = start()?;
    for (broken, why) in [
        ("set a 0 0 3\r\nabcd\r\n", "CLIENT_ERROR bad data chunk"),
        ("set a 0 0 3\r\na\r\n", "CLIENT_ERROR bad data chunk"),
        ("set a 0 0 3\r\nabc\n", "CLIENT_ERROR bad data chunk"),
        ("set a 0 0 -1\r\n", "CLIENT_ERROR bad command line format"),
        ("set a 0 0 x\r\n", "CLIENT_ERROR bad command line format"),
        (
            "cas a 0 0 4294967296 1\r\n",
            "CLIENT_ERROR bad command line format",
        ),
    ] {
        let mut peer = Peer::connect(memcached.addr())?;
        peer.send(format!("{broken}set b 0 0 1\r\nx\r\n"))?;
        assert_eq!(peer.rest()?, format!("{why}\r\n"), "{broken}");
    }
    let mut peer = Peer::connect(memcached.addr())?;
    assert_eq!(ask(&mut peer, "get a b")?, "END\r\n");
    Ok(memcached.stop()?)
}

fn what_is_refused() -> Outcome {
    let memcached = start()?;
    let mut peer = Peer::connect(memcached.addr())?;
    let key = "k".repeat(251);
    let value = "set b 0 0 1\r\nx"; // It looks like commands.
    for (line, why) in [
        (
            format!("set {key} 0 0 {}", value.len()),
            "CLIENT_ERROR bad command line format",
        ),
        (
            format!("set a x 0 {}", value.len()),
            "CLIENT_ERROR bad command line format",
        ),
        (
            format!("set a 0 x {}", value.len()),
            "CLIENT_ERROR bad command line format",
        ),
        (
            format!("cas a 0 0 {} x", value.len()),
            "CLIENT_ERROR bad command line format",
        ),
        (format!("cas a 0 0 {}", value.len()), "ERROR"),
        (format!("set a 0 0 {} 1", value.len()), "ERROR"),
    ] {
        let said = ask(&mut peer, &format!("{line}\r\n{value}"))?;
        assert_eq!(said, format!("{why}\r\n"), "{line}");
    }
    let large = format!("set a 0 0 2000006\r\n{}", "get b\r\n".repeat(285_715) + "x");
    assert_eq!(
        ask(&mut peer, &large)?,
        "SERVER_ERROR object too large for cache\r\n"
    );
    assert_eq!(ask(&mut peer, "get a b")?, "END\r\n");
    let many = format!("set a 0 0 9\r\nvaluable!\r\nget{}", " a".repeat(500_000));
    assert_eq!(
        ask(&mut peer, &many)?,
        "STORED\r\nSERVER_ERROR out of memory writing get response\r\n"
    );
    Ok(memcached.stop()?)
}

fn words_that_are_wrong() -> Outcome {
    let memcached = start()?;
    let mut peer = Peer::connect(memcached.addr())?;
    let key = "k".repeat(251);
    for (line, reply) in [
        ("nothing", "ERROR"),
        ("GET a", "ERROR"),
        ("get", "ERROR"),
        (
            &format!("get a {key}"),
            "CLIENT_ERROR bad command line format",
        ),
        (
            &format!("get {}", "a ".repeat(600_000)),
            "CLIENT_ERROR line too long",
        ),
        ("set a 0 0", "ERROR"),
        ("touch a x", "CLIENT_ERROR bad command line format"),
        ("delete", "ERROR"),
        ("delete a b", "ERROR"),
        ("incr a x", "CLIENT_ERROR invalid numeric delta argument"),
        ("flush_all -1", "CLIENT_ERROR bad command line format"),
        ("stats noreply", "ERROR"),
    ] {
        let shown = &line[..line.len().min(40)];
        assert_eq!(ask(&mut peer, line)?, format!("{reply}\r\n"), "{shown}");
    }
    Ok(memcached.stop()?)
}

fn items_expire() -> Outcome {
    let memcached = start()?;
    let mut peer = Peer::connect(memcached.addr())?;
    let never = ["0", "2592000", "4000000000", "9223372036854775807"];
    for expiry in never {
        let said = ask(&mut peer, &format!("set a 0 {expiry} 1\r\nx\r\nget a"))?;
        assert_eq!(said, "STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n", "{expiry}");
    }
    for expiry in ["-1", "2592001", "1000000000"] {
        let said = ask(
            &mut peer,
            &format!("set a 0 {expiry} 1\r\nx\r\nget a\r\nadd a 0 0 0\r\n"),
        )?;
        assert_eq!(said, "STORED\r\nEND\r\nSTORED\r\n", "{expiry}");
    }
    assert_eq!(
        ask(&mut peer, "touch a 1\r\nset b 0 1 1\r\nx\r\nflush_all 2")?,
        "TOUCHED\r\nSTORED\r\nOK\r\n"
    );
    assert_eq!(
        ask(&mut peer, "set c 0 0 1\r\nx\r\ntouch b 0")?,
        "STORED\r\nTOUCHED\r\n"
    );
    wait_until(|| ask(&mut peer, "get a").is_ok_and(|said| said == "END\r\n"));
    assert_eq!(
        ask(&mut peer, "get b c")?,
        "VALUE b 0 1\r\nx\r\nVALUE c 0 1\r\nx\r\nEND\r\n"
    );
    wait_until(|| ask(&mut peer, "get b c").is_ok_and(|said| said == "END\r\n"));
    Ok(memcached.stop()?)
}

fn what_is_not_used_makes_room() -> Outcome {
    let memcached = start()?;
    let mut peer = Peer::connect(memcached.addr())?;
    let value = "x".repeat(1 << 20);
    for n in 0..80 {
        peer.send(format!(
            "set {n} 0 0 {}\r\n{value}\r\ntouch 0 0\r\n",
            value.len()
        ))?;
        assert_eq!(
            (peer.line()?, peer.line()?),
            ("STORED\r\n".into(), "TOUCHED\r\n".into())
        );
    }
    let is_there = |peer: &mut Peer, n| {
        Ok::<_, io::Error>(ask(peer, &format!("touch {n} 0"))? == "TOUCHED\r\n")
    };
    let there = (0..80)
        .map(|n| is_there(&mut peer, n))
        .collect::<io::Result<Vec<_>>>()?;
    assert!(there[0] && !there[1] && !there[16], "{there:?}");
    assert!(there[18..].iter().all(|there| *there), "{there:?}");
    let stats = ask(&mut peer, "stats")?;
    assert!(
        stats.contains("STAT evictions 17\r\n") && stats.contains("STAT curr_items 63\r\n"),
        "{stats}"
    );
    Ok(memcached.stop()?)
}

fn clients_count_together() -> Outcome {
    let memcached = start()?;
    let mut peer = Peer::connect(memcached.addr())?;
    ask(&mut peer, "set n 0 0 1\r\n0")?;
    let addr = memcached.addr();
    let count = || {
        let mut peer = Peer::connect(addr)?;
        (0..500).try_for_each(|_| ask(&mut peer, "incr n 1").map(drop))
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..8).map(|_| scope.spawn(count)).collect();
        let mut results = clients
            .into_iter()
            .map(|client| client.join().expect("no panic"));
        results.try_for_each(|result: io::Result<()>| result)
    })?;
    assert_eq!(ask(&mut peer, "get n")?, "VALUE n 0 4\r\n4000\r\nEND\r\n");
    Ok(memcached.stop()?)
}
