//! What no client sends on demand: wrong names, strange options, packets that come twice, half an upload.

use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::symlink;
use std::process::Command;
use std::{fs, io};

use libtest_mimic::Trial;
use sockserv_tests::{Folder, wait_until};

use super::{Server, Test, noise, text};
use crate::client::DEADLINE;
use crate::server::{Example, program};
use crate::{Outcome, plain};

pub(super) fn trials() -> Vec<Trial> {
    ALL.map(|(name, test)| plain(name, test)).into()
}

const ALL: [Test; 9] = [
    (
        "tftp::nothing_outside_the_folder_has_a_name",
        nothing_outside_has_a_name,
    ),
    (
        "tftp::without_a_folder_it_takes_nothing",
        without_a_folder_it_takes_nothing,
    ),
    (
        "tftp::options_are_agreed_or_left_out",
        options_are_agreed_or_left_out,
    ),
    (
        "tftp::what_is_no_request_is_refused_or_ignored",
        what_is_no_request_is_refused,
    ),
    (
        "tftp::a_repeated_acknowledgement_repeats_no_block",
        a_repeated_acknowledgement,
    ),
    (
        "tftp::a_repeated_request_is_served_once",
        a_repeated_request_is_served_once,
    ),
    (
        "tftp::a_last_block_that_comes_again_is_acknowledged",
        a_last_block_comes_again,
    ),
    (
        "tftp::half_an_upload_leaves_nothing",
        half_an_upload_leaves_nothing,
    ),
    (
        "tftp::a_text_is_translated_across_blocks",
        a_text_is_translated_across_blocks,
    ),
];

/// A client that says exactly what it is told to.
struct Peer {
    socket: UdpSocket,
    /// Who sent the last packet; at first the server itself.
    server: SocketAddr,
}

impl Peer {
    fn of(server: &Server) -> io::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(DEADLINE))?;
        let server = server.addr();
        Ok(Peer { socket, server })
    }

    fn send(&self, packet: &[u8]) -> io::Result<()> {
        self.socket.send_to(packet, self.server).map(drop)
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut packet = vec![0; 65536];
        let (length, from) = self.socket.recv_from(&mut packet)?;
        packet.truncate(length);
        self.server = from;
        Ok(packet)
    }

    fn ask(&mut self, packet: &[u8]) -> io::Result<Vec<u8>> {
        self.send(packet)?;
        self.receive()
    }
}

const READ: u8 = 1;
const WRITE: u8 = 2;
const NOT_FOUND: &str = r"\x00\x05\x00\x01file not found\x00";
const ACCESS_VIOLATION: &str = r"\x00\x05\x00\x02access violation\x00";
const ILLEGAL: &str = r"\x00\x05\x00\x04illegal TFTP operation\x00";
/// The peer has changed his mind.
const ENOUGH: &[u8] = b"\0\x05\0\0\0";

fn request(opcode: u8, name: &str, options: &[&str]) -> Vec<u8> {
    let mut words = vec![name, "octet"];
    words.extend(options);
    let words = words.iter().flat_map(|word| word.bytes().chain([0]));
    [0, opcode].into_iter().chain(words).collect()
}

fn shown(packet: &[u8]) -> String {
    packet.escape_ascii().to_string()
}

/// Uploads what fits into one block.
fn put(server: &Server, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut peer = Peer::of(server)?;
    assert_eq!(peer.ask(&request(WRITE, name, &[]))?, [0, 4, 0, 0]);
    assert_eq!(peer.ask(&[&[0, 3, 0, 1], bytes].concat())?, [0, 4, 0, 1]);
    Ok(())
}

fn nothing_outside_has_a_name() -> Outcome {
    let server = Server::start()?;
    let outside = Folder::new();
    fs::write(outside.join("secret"), b"secret")?;
    let inside = server.folder.join("inside");
    fs::create_dir(&inside)?;
    fs::write(inside.join("file"), b"public")?;
    symlink(outside.path(), server.folder.join("folder"))?;
    symlink(outside.join("secret"), server.folder.join("link"))?;
    symlink(inside.join("file"), server.folder.join("own"))?;
    rustix::fs::mkfifoat(rustix::fs::CWD, server.folder.join("pipe"), 0o600.into())?;
    let name = text(outside.path()).rsplit('/').next().expect("a name");
    let names = [
        &format!("../{name}/secret"),
        &format!("inside/../../{name}/secret"),
        "folder/secret",
        "inside/../inside/file",
        "..",
        "inside/..",
        "/",
        ".",
        "",
    ];
    let not_files = ["link", "own", "pipe", "inside", "folder"];
    for name in names.iter().chain(&not_files) {
        let said = Peer::of(&server)?.ask(&request(READ, name, &[]))?;
        assert_eq!(shown(&said), ACCESS_VIOLATION, "read `{name}`");
    }
    for name in names {
        let said = Peer::of(&server)?.ask(&request(WRITE, name, &[]))?;
        assert_eq!(shown(&said), ACCESS_VIOLATION, "write `{name}`");
    }
    let absolute = request(READ, text(&outside.join("secret")), &[]);
    assert_eq!(shown(&Peer::of(&server)?.ask(&absolute)?), NOT_FOUND);
    for name in ["/inside/file", "./inside//file"] {
        let said = Peer::of(&server)?.ask(&request(READ, name, &[]))?;
        assert_eq!(
            shown(&said),
            r"\x00\x03\x00\x01public",
            "`{name}` is below the folder"
        );
    }
    put(&server, "link", b"mine")?; // A file in the link's place.
    assert_eq!(fs::read(server.folder.join("link"))?, b"mine");
    assert_eq!(fs::read(outside.join("secret"))?, b"secret");
    assert_eq!(fs::read_dir(outside.path())?.count(), 1);
    Ok(server.example.stop()?)
}

fn without_a_folder_it_takes_nothing() -> Outcome {
    let folder = Folder::new();
    fs::write(folder.join("file"), b"public")?;
    let mut command = Command::new(program("tftp"));
    let command = command.arg("127.0.0.1:0").current_dir(folder.path());
    let example = Example::spawn(command, 1)?;
    let server = Server { example, folder };
    let said = Peer::of(&server)?.ask(&request(WRITE, "new", &[]))?;
    assert_eq!(shown(&said), ACCESS_VIOLATION);
    let said = Peer::of(&server)?.ask(&request(READ, "file", &[]))?;
    assert_eq!(shown(&said), r"\x00\x03\x00\x01public");
    Ok(server.example.stop()?)
}

fn options_are_agreed_or_left_out() -> Outcome {
    let server = Server::start()?;
    fs::write(server.folder.join("file"), b"public")?;
    let cases: [(u8, &[&str], &str); 7] = [
        (
            READ,
            &["blksize", "1024", "tsize", "0"],
            r"\x00\x06blksize\x001024\x00tsize\x006\x00",
        ),
        (
            READ,
            &["TSize", "0", "windowsize", "8"],
            r"\x00\x06tsize\x006\x00",
        ),
        (
            READ,
            &["blksize", "65535", "timeout", "255"],
            r"\x00\x06blksize\x0065464\x00timeout\x00255\x00",
        ),
        (
            READ,
            &["blksize", "7", "timeout", "0", "tsize", "x"],
            r"\x00\x03\x00\x01public",
        ),
        (
            READ,
            &["timeout", "256", "blksize"],
            r"\x00\x03\x00\x01public",
        ),
        (
            WRITE,
            &["tsize", "10485760", "BLKSIZE", "8"],
            r"\x00\x06blksize\x008\x00tsize\x0010485760\x00",
        ),
        (WRITE, &["multicast", ""], r"\x00\x04\x00\x00"),
    ];
    for (opcode, options, answer) in cases {
        let mut peer = Peer::of(&server)?;
        assert_eq!(
            shown(&peer.ask(&request(opcode, "file", options))?),
            answer,
            "{options:?}"
        );
        peer.send(ENOUGH)?;
    }
    // The length of a text on its way is not known before.
    let said = Peer::of(&server)?.ask(b"\0\x01file\0NetASCII\0tsize\x000\0")?;
    assert_eq!(shown(&said), r"\x00\x03\x00\x01public");
    Ok(server.example.stop()?)
}

fn what_is_no_request_is_refused() -> Outcome {
    let server = Server::start()?;
    let mut peer = Peer::of(&server)?;
    let main = peer.server;
    for ignored in [
        &b""[..],
        b"\0",
        b"\0\x03\0\x01data",
        b"\0\x04\0\0",
        b"\0\x05\0\0\0",
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        peer.send(ignored)?; // An answer to one of them would be taken for an answer to the next request.
    }
    for wrong in [
        &b"\0\x01file\0octet"[..],
        b"\0\x01file\0",
        b"\0\x01",
        b"\0\x02file\0mail\0",
    ] {
        peer.server = main;
        assert_eq!(
            shown(&peer.ask(wrong)?),
            ILLEGAL,
            "{}",
            wrong.escape_ascii()
        );
    }
    peer.server = main;
    assert_eq!(
        shown(&peer.ask(&request(WRITE, "file", &["blksize", "8"]))?),
        r"\x00\x06blksize\x008\x00"
    );
    assert_eq!(
        shown(&peer.ask(b"\0\x03\0\x01nine byte")?),
        ILLEGAL,
        "more than was agreed"
    );
    Ok(server.example.stop()?)
}

/// The sorcerer's apprentice: RFC 1123, 4.2.3.1.
fn a_repeated_acknowledgement() -> Outcome {
    let server = Server::start()?;
    fs::write(server.folder.join("file"), noise(5 * 512))?;
    let mut peer = Peer::of(&server)?;
    // The clock waits longer than the test, so that nothing else is sent twice.
    peer.ask(&request(READ, "file", &["timeout", "255"]))?;
    for block in 1..=6 {
        for _ in 0..3 {
            peer.send(&[0, 4, 0, block - 1])?;
        }
        let data = peer.receive()?;
        assert_eq!(
            data[..4],
            [0, 3, 0, block],
            "one block for three acknowledgements"
        );
    }
    peer.send(&[0, 4, 0, 6])?;
    Ok(server.example.stop()?)
}

fn a_repeated_request_is_served_once() -> Outcome {
    let server = Server::start()?;
    fs::write(server.folder.join("file"), noise(512))?;
    let mut peer = Peer::of(&server)?;
    let main = peer.server;
    let wanted = request(READ, "file", &["timeout", "255"]);
    peer.ask(&wanted)?;
    let first = peer.server;
    for _ in 0..3 {
        peer.socket.send_to(&wanted, main)?;
    }
    // Another name, and its answer is the next packet.
    peer.server = main;
    assert_eq!(shown(&peer.ask(&request(READ, "nothing", &[]))?), NOT_FOUND);
    peer.server = first;
    for block in 0..=1 {
        assert_eq!(peer.ask(&[0, 4, 0, block])?[..4], [0, 3, 0, block + 1]);
    }
    peer.send(&[0, 4, 0, 2])?;
    Ok(server.example.stop()?)
}

fn a_last_block_comes_again() -> Outcome {
    let server = Server::start()?;
    let mut peer = Peer::of(&server)?;
    peer.ask(&request(WRITE, "file", &[]))?;
    assert_eq!(peer.ask(b"\0\x03\0\x01all of it")?, [0, 4, 0, 1]);
    assert_eq!(
        fs::read(server.folder.join("file"))?,
        b"all of it",
        "it is safe when it is acknowledged"
    );
    for _ in 0..2 {
        assert_eq!(peer.ask(b"\0\x03\0\x01all of it")?, [0, 4, 0, 1]);
    }
    Ok(server.example.stop()?)
}

fn half_an_upload_leaves_nothing() -> Outcome {
    let server = Server::start()?;
    let mut peer = Peer::of(&server)?;
    peer.ask(&request(WRITE, "file", &[]))?;
    assert_eq!(
        peer.ask(&[&[0, 3, 0, 1][..], &noise(512)].concat())?,
        [0, 4, 0, 1]
    );
    assert_eq!(
        fs::read_dir(server.folder.path())?.count(),
        1,
        "it has no name yet"
    );
    peer.send(ENOUGH)?;
    let folder = server.folder.path().to_owned();
    wait_until(|| fs::read_dir(&folder).is_ok_and(|names| names.count() == 0));
    put(&server, "file", b"whole")?;
    assert_eq!(fs::read(server.folder.join("file"))?, b"whole");
    Ok(server.example.stop()?)
}

/// What belongs together may be in two packets.
fn a_text_is_translated_across_blocks() -> Outcome {
    let server = Server::start()?;
    let mut peer = Peer::of(&server)?;
    peer.ask(b"\0\x02file\0netascii\0blksize\08\0")?;
    for (n, data) in [
        &b"1234567\r"[..],
        b"\nline 2\r",
        b"\0\r\r\n\rx\0\n",
        b"the end\r",
        b"",
    ]
    .iter()
    .enumerate()
    {
        let block = n as u8 + 1;
        assert_eq!(
            peer.ask(&[&[0, 3, 0, block][..], data].concat())?,
            [0, 4, 0, block]
        );
    }
    assert_eq!(
        fs::read(server.folder.join("file"))?,
        b"1234567\nline 2\r\r\n\rx\0\nthe end\r"
    );
    fs::write(server.folder.join("file"), b"1234567\n\r\n")?;
    let mut peer = Peer::of(&server)?;
    peer.ask(b"\0\x01file\0netascii\0blksize\08\0")?;
    assert_eq!(
        shown(&peer.ask(&[0, 4, 0, 0])?),
        r"\x00\x03\x00\x011234567\r"
    );
    assert_eq!(
        shown(&peer.ask(&[0, 4, 0, 1])?),
        r"\x00\x03\x00\x02\n\r\x00\r\n"
    );
    peer.send(&[0, 4, 0, 2])?;
    Ok(server.example.stop()?)
}
