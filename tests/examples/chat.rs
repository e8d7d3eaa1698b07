use std::io::{self, ErrorKind};

use libtest_mimic::Trial;
use socket2::{Domain, Socket, Type};

use crate::client::{NC, Peer};
use crate::server::Example;
use crate::{Outcome, plain, with_client};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        plain(
            "chat::what_one_says_the_others_read",
            what_one_says_the_others_read,
        ),
        plain(
            "chat::a_slow_reader_is_dropped_and_stalls_nobody",
            a_slow_reader_is_dropped,
        ),
        plain(
            "chat::a_flooder_who_does_not_read_is_dropped_and_stalls_nobody",
            a_flooder_is_dropped,
        ),
        plain("chat::a_shutdown_tells_the_room", a_shutdown_tells_the_room),
        with_client(
            NC,
            "chat::nc_says_something_and_leaves",
            nc_says_something_and_leaves,
        ),
    ]
}

fn join(chat: &Example, nick: &str) -> io::Result<Peer> {
    enter(Peer::connect(chat.addr())?, nick)
}

fn enter(mut peer: Peer, nick: &str) -> io::Result<Peer> {
    assert_eq!(peer.line()?, "* who are you?\n");
    peer.send(format!("{nick}\n"))?;
    let welcome = peer.line()?;
    assert!(
        welcome.starts_with(&format!("* welcome, {nick}; here:")),
        "{welcome}"
    );
    Ok(peer)
}

fn what_one_says_the_others_read() -> Outcome {
    let chat = Example::on_a_port("chat")?;
    let mut ann = join(&chat, "ann")?;
    let mut bob = join(&chat, "bob")?;
    assert_eq!(ann.line()?, "* bob joined\n");
    bob.send("hello\n/who\n/nick rob\n/nick ann\n")?;
    assert_eq!(ann.line()?, "bob: hello\n");
    assert_eq!(ann.line()?, "* bob is now rob\n");
    assert_eq!(bob.line()?, "* here: ann bob\n");
    assert_eq!(bob.line()?, "* you are rob\n");
    assert_eq!(bob.line()?, "* ann cannot be taken\n");
    ann.send("a \x1b[2J trick\n")?;
    assert_eq!(bob.line()?, "ann: a  [2J trick\n");
    bob.send("/quit\n")?;
    assert_eq!(ann.line()?, "* rob left\n");
    assert_eq!(bob.rest()?, "");
    Ok(chat.stop()?)
}

fn a_slow_reader_is_dropped() -> Outcome {
    const MOST: usize = 100_000;
    let chat = Example::on_a_port("chat")?;
    let mut ann = join(&chat, "ann")?;
    let mut bob = join(&chat, "bob")?;
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_recv_buffer_size(4096)?;
    let addr: std::net::SocketAddr = chat.addr().parse()?;
    socket.connect(&addr.into())?;
    let _slow = enter(Peer::over(socket.into())?, "slow")?;
    assert_eq!(bob.line()?, "* slow joined\n");
    let text = "x".repeat(900);
    for _ in 0..MOST {
        // One line at a time, so that bob surely keeps up.
        ann.send(format!("{text}\n"))?;
        let line = bob.line()?;
        if line.starts_with("* slow reads too slowly") {
            ann.send("/who\n")?;
            while ann.line()? != "* here: ann bob\n" {}
            return Ok(chat.stop()?);
        }
        assert_eq!(line.len(), "ann: \n".len() + text.len(), "{line}");
    }
    panic!("nobody was dropped");
}

/// What a peer asks for himself holds up nobody else either: neither a member nor one who has no name yet.
fn a_flooder_is_dropped() -> Outcome {
    let chat = Example::on_a_port("chat")?;
    let mut ann = join(&chat, "ann")?;
    let member = join(&chat, "flooder")?;
    assert_eq!(ann.line()?, "* flooder joined\n");
    assert_ne!(flood(member, "/who\n"), ErrorKind::WouldBlock);
    assert_eq!(ann.line()?, "* flooder left\n");
    let stranger = Peer::connect(chat.addr())?;
    assert_ne!(flood(stranger, "no name\n"), ErrorKind::WouldBlock);
    ann.send("/who\n")?;
    assert_eq!(ann.line()?, "* here: ann\n");
    Ok(chat.stop()?)
}

/// Repeats a line for ever and reads nothing; returns how that ended.
fn flood(mut peer: Peer, line: &str) -> ErrorKind {
    let lines = line.repeat(1000);
    loop {
        if let Err(error) = peer.send(&lines) {
            return error.kind();
        }
    }
}

fn a_shutdown_tells_the_room() -> Outcome {
    let chat = Example::on_a_port("chat")?;
    let mut ann = join(&chat, "ann")?;
    let mut bob = join(&chat, "bob")?;
    bob.send("hello\n")?;
    assert_eq!(ann.line()?, "* bob joined\n");
    assert_eq!(ann.line()?, "bob: hello\n");
    chat.stop()?;
    assert!(ann.rest()?.contains("* the room closes\n"));
    assert!(bob.rest()?.contains("* the room closes\n"));
    Ok(())
}

fn nc_says_something_and_leaves() -> Outcome {
    let chat = Example::on_a_port("chat")?;
    let mut ann = join(&chat, "ann")?;
    let output = NC
        .run(&["-N", "127.0.0.1", chat.port()], b"bob\nhello from nc\n")?
        .success();
    assert_eq!(output, "* who are you?\n* welcome, bob; here: ann\n");
    assert_eq!(ann.line()?, "* bob joined\n");
    assert_eq!(ann.line()?, "bob: hello from nc\n");
    assert_eq!(ann.line()?, "* bob left\n");
    Ok(chat.stop()?)
}
