//! What Unix sockets have beside a path: descriptors that travel with the bytes, accounts, and who the peer is. F04.
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    reason = "the word `unsafe(forking)`: the handler needs no lock that a thread of this test holds"
)]

pub(crate) mod accounts;

use std::fs::File;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use rustix::process::{Resource, getrlimit, setrlimit};
use sockserv::prelude::*;
use sockserv_tests::{DEADLINE, Folder, Process};

use crate::Test;
use crate::echo::{unix_datagram_sync, unix_threading};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("f04_descriptors_under_sync", || {
            passes(|at| synchronous::PassServer::bind_to(at, synchronous::Pass)?.spawn());
        }),
        ("f04_descriptors_under_threading", || {
            passes(|at| threading::PassServer::bind_to(at, threading::Pass)?.spawn());
        }),
        ("f04_tcp_carries_no_descriptors", over_tcp),
    ]
}

/// Tests that fork, count descriptors or limit them.
pub(crate) fn alone() -> Vec<Test> {
    vec![
        ("f04_descriptors_under_forking", || {
            passes(|at| forking::PassServer::bind_to(at, forking::Pass)?.spawn());
        }),
        ("f04_descriptors_beyond_what_is_expected_are_closed", excess),
        (
            "f04_descriptors_that_nobody_expects_cost_nothing",
            unexpected,
        ),
        ("f04_descriptors_in_a_packet_are_closed", in_a_packet),
        ("f04_a_descriptor_too_many_for_the_process", no_room),
    ]
}

/// Does with descriptors what its peer says, a command a line.
fn obey(stream: &mut Stream) -> io::Result<()> {
    let mut line = String::new();
    while stream.rfile.read_line(&mut line)? > 0 {
        match line
            .trim_end()
            .split_once(' ')
            .unwrap_or((line.trim_end(), ""))
        {
            ("expect", count) => {
                stream.expect_fds(count.parse().map_err(io::Error::other)?)?;
                stream.write_all(b"expecting\n")?;
            }
            ("patience", millis) => {
                let millis = millis.parse().map_err(io::Error::other)?;
                stream.set_timeout(Duration::from_millis(millis))?;
            }
            ("take", _) => {
                stream.write_all(b"taking\n")?;
                let said = match stream.recv_fd() {
                    Ok(fd) => io::read_to_string(File::from(fd))?,
                    Err(error) => format!("{:?}: {error}", error.kind()),
                };
                writeln!(stream, "{said}")?;
            }
            ("skip", count) => {
                let bytes = stream
                    .rfile
                    .read_bytes(count.parse().map_err(io::Error::other)?)?;
                writeln!(stream, "{}", bytes.escape_ascii())?;
            }
            ("give", text) => {
                let (reader, mut writer) = io::pipe()?;
                writer.write_all(text.as_bytes())?;
                stream.write_all(b"before\n")?;
                stream.send_fd(reader)?;
                stream.write_all(b"after\n")?;
            }
            _ => stream.write_all(line.as_bytes())?,
        }
        line.clear();
    }
    Ok(())
}

macro_rules! passes {
    ($($module:ident: $transport:ident [$($model:tt)*];)*) => {$(
        mod $module {
            use sockserv::prelude::*;

            #[derive(Clone)]
            pub(super) struct Pass;

            #[server($transport, $($model)*, vis = pub(super))]
            impl Pass {
                fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
                    super::obey(stream)
                }
            }
        }
    )*};
}
passes! {
    synchronous: unix [sync];
    threading: unix [threading];
    forking: unix [unsafe(forking)];
    tcp: tcp [threading];
}

/// One end of a connection whose server passes descriptors.
struct Peer(UnixStream);

impl Peer {
    fn of(folder: &Folder) -> Self {
        let socket = UnixStream::connect(folder.join("socket")).expect("it listens");
        socket.set_read_timeout(Some(DEADLINE)).expect("a socket");
        Self(socket)
    }

    fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).expect("it reads");
    }

    fn line(&mut self) -> String {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let mut byte = [0];
            self.0.read_exact(&mut byte).expect("a reply");
            line.extend(byte);
        }
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }

    fn ask(&mut self, command: &str) -> String {
        self.send(&format!("{command}\n"));
        self.line()
    }

    /// Sends pipes with these texts in them.
    fn pass(&mut self, bytes: &str, texts: &[&str]) {
        let pipes: Vec<_> = texts.iter().map(|text| pipe_with(text)).collect();
        let fds: Vec<_> = pipes.iter().map(AsFd::as_fd).collect();
        self.pass_all(bytes, &fds);
    }

    fn pass_all(&mut self, bytes: &str, fds: &[BorrowedFd<'_>]) {
        pass(&self.0, bytes, fds);
    }

    /// Receives some bytes and the descriptors with them.
    fn receive(&mut self) -> (String, Vec<OwnedFd>) {
        let mut bytes = [0; 100];
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut control = RecvAncillaryBuffer::new(&mut room);
        let got = recvmsg(
            &self.0,
            &mut [IoSliceMut::new(&mut bytes)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )
        .expect("a reply");
        let mut fds = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(more) = message {
                fds.extend(more);
            }
        }
        (
            String::from_utf8_lossy(&bytes[..got.bytes]).into_owned(),
            fds,
        )
    }
}

fn pass(socket: impl AsFd, bytes: &str, fds: &[BorrowedFd<'_>]) {
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
    let mut control = SendAncillaryBuffer::new(&mut room);
    assert!(control.push(SendAncillaryMessage::ScmRights(fds)));
    let sent = sendmsg(
        socket,
        &[IoSlice::new(bytes.as_bytes())],
        &mut control,
        SendFlags::empty(),
    );
    assert_eq!(sent.expect("it is taken"), bytes.len());
}

fn pipe_with(text: &str) -> OwnedFd {
    let (reader, mut writer) = io::pipe().expect("a pipe");
    writer.write_all(text.as_bytes()).expect("it fits");
    reader.into()
}

fn passes(spawn: impl FnOnce(&std::path::Path) -> io::Result<sockserv::Running>) {
    let folder = Folder::new();
    let running = spawn(&folder.join("socket")).expect("a fresh path");
    one_by_one(&mut Peer::of(&folder));
    among_text(&mut Peer::of(&folder));
    several(&mut Peer::of(&folder));
    out(&mut Peer::of(&folder));
    no_end(&mut Peer::of(&folder));
    let mut leaver = Peer::of(&folder);
    assert_eq!(leaver.ask("take"), "taking");
    leaver
        .0
        .shutdown(std::net::Shutdown::Write)
        .expect("it is open");
    assert_eq!(
        leaver.line(),
        "UnexpectedEof: the stream ended before a descriptor came"
    );
    drop(leaver);
    running.shutdown().expect("a good end");
}

/// `recv_fd` alone expects one, and its byte is read like any other.
fn one_by_one(peer: &mut Peer) {
    for text in ["one", "two"] {
        assert_eq!(peer.ask("take"), "taking");
        let (reader, mut writer) = io::pipe().expect("a pipe");
        peer.pass_all("skip 1\n\0", &[reader.as_fd()]);
        drop(reader);
        writer.write_all(text.as_bytes()).expect("they read it");
        drop(writer);
        assert_eq!(peer.line(), text);
        assert_eq!(peer.line(), "\\x00");
    }
}

/// Text before, with and after a descriptor stays in order, whichever is read first.
fn among_text(peer: &mut Peer) {
    assert_eq!(peer.ask("expect 1"), "expecting");
    peer.send("first\ntake\nsecond\n");
    peer.pass("third\n", &["the pipe's"]);
    peer.send("fourth\n");
    let said = [(); 6].map(|()| peer.line());
    assert_eq!(
        said,
        ["first", "taking", "the pipe's", "second", "third", "fourth"]
    );
    peer.pass("fifth\n", &["another's"]); // Read long before it is asked for.
    assert_eq!(peer.line(), "fifth");
    assert_eq!(peer.ask("take"), "taking");
    assert_eq!(peer.line(), "another's");
    // More than the buffer holds.
    assert_eq!(peer.ask("take"), "taking");
    let long = format!("{}\n", "x".repeat(20_000));
    peer.send(&long);
    peer.pass("end\n", &["behind much"]);
    assert_eq!(peer.line(), "behind much");
    assert_eq!(peer.line(), long.trim_end());
    assert_eq!(peer.line(), "end");
}

fn several(peer: &mut Peer) {
    assert_eq!(peer.ask("expect 3"), "expecting");
    peer.pass("two\n", &["a", "b"]);
    peer.pass("three\n", &["c", "d", "e"]);
    assert_eq!([peer.line(), peer.line()], ["two", "three"]);
    for text in ["a", "b", "c"] {
        assert_eq!(peer.ask("take"), "taking");
        assert_eq!(peer.line(), text);
    }
    peer.send("patience 30\n");
    assert_eq!(peer.ask("take"), "taking");
    let said = peer.line();
    assert!(said.starts_with("TimedOut: "), "{said}");
}

fn out(peer: &mut Peer) {
    peer.send("give a present\n");
    let (mut text, mut fds) = (String::new(), Vec::new());
    while !text.ends_with("after\n") {
        let (more, with) = peer.receive();
        assert!(with.is_empty() || more.ends_with('\0'), "{more:?}");
        text += &more;
        fds.extend(with);
    }
    assert_eq!(text, "before\n\0after\n");
    assert_eq!(fds.len(), 1);
    let file = File::from(fds.pop().expect("one"));
    assert_eq!(io::read_to_string(file).expect("a pipe"), "a present");
}

/// A peer that sends bytes without end in place of a descriptor.
fn no_end(peer: &mut Peer) {
    assert_eq!(peer.ask("take"), "taking");
    let mut writer = peer.0.try_clone().expect("a second descriptor");
    std::thread::scope(|scope| {
        // Until it gives up, and then ends.
        let sending = scope.spawn(move || while writer.write_all(&[b'x'; 1 << 14]).is_ok() {});
        let said = peer.line();
        assert!(said.starts_with("InvalidData: no descriptor"), "{said}");
        sending.join().expect("it only writes");
    });
}

fn over_tcp() {
    let server = tcp::PassServer::bind_to("127.0.0.1:0", tcp::Pass).expect("a free port");
    let running = server.spawn().expect("a thread");
    let mut client = io::BufReader::new(running.connect().expect("it listens"));
    client.get_mut().write_all(b"take\n").expect("it reads");
    let mut said = String::new();
    client.read_line(&mut said).expect("a reply");
    client.read_line(&mut said).expect("a reply");
    assert_eq!(
        said,
        "taking\nUnsupported: descriptors can be passed over a Unix stream only\n"
    );
    for command in ["expect 1", "give something"] {
        let mut client = running.connect().expect("it listens");
        writeln!(client, "{command}").expect("it reads");
        let said = io::read_to_string(client).expect("an end");
        assert!(["", "before\n"].contains(&&*said), "{said}"); // Its handler failed.
    }
    running.shutdown().expect("a good end");
}

fn excess() {
    let folder = Folder::new();
    let own = Process(std::process::id());
    let at_first = own.descriptors();
    let server = threading::PassServer::bind_to(folder.join("socket"), threading::Pass);
    let running = server.expect("a fresh path").spawn().expect("a thread");
    let mut peer = Peer::of(&folder);
    assert_eq!(peer.ask("expect 2"), "expecting");
    let before = own.descriptors().len();
    let pipe = pipe_with("a pipe's");
    peer.pass_all("many\n", &[pipe.as_fd(); 200]);
    peer.pass_all("more\n", &[pipe.as_fd(); 200]);
    drop(pipe);
    assert_eq!([peer.line(), peer.line()], ["many", "more"]);
    assert_eq!(own.descriptors().len(), before + 2);
    assert_eq!(peer.ask("take"), "taking");
    assert_eq!(peer.line(), "a pipe's");
    assert_eq!(own.descriptors().len(), before + 1);
    assert_eq!(peer.ask("expect 0"), "expecting");
    peer.pass("none\n", &["unseen"]);
    assert_eq!(peer.line(), "none");
    assert_eq!(own.descriptors().len(), before + 1);
    // What nobody took goes with the request.
    peer.0.shutdown(std::net::Shutdown::Write).expect("open");
    assert_eq!(peer.0.read(&mut [0]).expect("an end"), 0);
    drop(peer);
    running.shutdown().expect("a good end");
    assert_eq!(own.descriptors(), at_first);
}

fn unexpected() {
    let folder = Folder::new();
    let server =
        unix_threading::EchoServer::bind_to(folder.join("socket"), unix_threading::Echo::default());
    let running = server.expect("a fresh path").spawn().expect("a thread");
    let mut peer = Peer::of(&folder);
    assert_eq!(peer.ask("here"), "here");
    let own = Process(std::process::id());
    let before = own.descriptors();
    for _ in 0..20 {
        let null = File::open("/dev/null").expect("it is there");
        peer.pass_all("hello\n", &[null.as_fd(); 250]);
        drop(null);
        assert_eq!(peer.line(), "hello");
        assert_eq!(own.descriptors(), before);
    }
    drop(peer);
    running.shutdown().expect("a good end");
}

fn in_a_packet() {
    let folder = Folder::new();
    let at = folder.join("socket");
    let server = unix_datagram_sync::EchoServer::bind_to(&*at, unix_datagram_sync::Echo);
    let running = server.expect("a fresh path").spawn().expect("a thread");
    let peer = UnixDatagram::bind(folder.join("peer")).expect("a fresh path");
    peer.connect(&at).expect("it is bound");
    peer.set_read_timeout(Some(DEADLINE)).expect("a socket");
    let own = Process(std::process::id());
    let before = own.descriptors();
    for fds in [1, 12, 250] {
        pass(&peer, "hello", &vec![peer.as_fd(); fds]);
        let mut reply = [0; 10];
        let count = peer.recv(&mut reply).expect("a reply");
        assert_eq!(&reply[..count], b"hello");
        assert_eq!(own.descriptors(), before, "after {fds}");
    }
    running.shutdown().expect("a good end");
}

fn no_room() {
    let folder = Folder::new();
    let server = threading::PassServer::bind_to(folder.join("socket"), threading::Pass);
    let running = server.expect("a fresh path").spawn().expect("a thread");
    let mut peer = Peer::of(&folder);
    assert_eq!(peer.ask("take"), "taking");
    let pipe = pipe_with("it has room");
    let limits = getrlimit(Resource::Nofile);
    let mut tight = limits;
    tight.current = Some(3);
    setrlimit(Resource::Nofile, tight).expect("less is allowed");
    peer.pass_all("still here\n", &[pipe.as_fd()]);
    let said = peer.line();
    setrlimit(Resource::Nofile, limits).expect("as much as before");
    let why = io::Error::from(Errno::MFILE).to_string(); // Each C library has its own words.
    assert!(said.contains(&why), "{said}");
    assert_eq!(peer.line(), "still here");
    assert_eq!(peer.ask("take"), "taking");
    peer.pass_all("again\n", &[pipe.as_fd()]);
    drop(pipe);
    assert_eq!([peer.line(), peer.line()], ["it has room", "again"]);
    drop(peer);
    running.shutdown().expect("a good end");
}
