use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::{fs, io};

use libtest_mimic::Trial;
use sockserv_tests::{Folder, wait_until};

use crate::client::{self, CURL, DEADLINE, TFTP};
use crate::relay::{Fate, Relay};
use crate::server::{Example, program};
use crate::{Outcome, plain, with_client};

type Test = (&'static str, fn() -> Outcome);

pub(crate) fn trials() -> Vec<Trial> {
    let curl = WITH_CURL.map(|(name, test)| with_client(CURL, name, test));
    let tftp = WITH_TFTP.map(|(name, test)| with_client(TFTP, name, test));
    let plain = PLAIN.map(|(name, test)| plain(name, test));
    curl.into_iter().chain(tftp).chain(plain).collect()
}

const WITH_CURL: [Test; 5] = [
    ("tftp::curl_gets_ten_mebibytes", curl_gets_ten_mebibytes),
    ("tftp::curl_puts_ten_mebibytes", curl_puts_ten_mebibytes),
    (
        "tftp::curl_goes_on_after_65535_blocks",
        curl_goes_on_after_65535_blocks,
    ),
    (
        "tftp::curl_does_without_some_packets",
        curl_over_a_losing_line,
    ),
    (
        "tftp::curl_does_with_every_packet_twice",
        curl_over_a_doubling_line,
    ),
];

const WITH_TFTP: [Test; 3] = [
    ("tftp::tftp_hpa_gets_and_puts_bytes", tftp_hpa_with_bytes),
    ("tftp::tftp_hpa_gets_and_puts_texts", tftp_hpa_with_texts),
    (
        "tftp::tftp_hpa_does_with_bad_lines",
        tftp_hpa_over_bad_lines,
    ),
];

const PLAIN: [Test; 9] = [
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

const MEBIBYTE: usize = 1 << 20;

/// A server over a folder of its own.
struct Server {
    example: Example,
    folder: Folder,
}

impl Server {
    fn start() -> io::Result<Self> {
        let folder = Folder::new();
        let dir = folder.path().to_str().expect("a plain path");
        let example = Example::start("tftp", 1, &["--dir", dir, "127.0.0.1:0"])?;
        Ok(Server { example, folder })
    }

    fn peer(&self) -> io::Result<Peer> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(DEADLINE))?;
        let server = self.addr();
        Ok(Peer { socket, server })
    }

    fn addr(&self) -> SocketAddr {
        self.example.addr().parse().expect("an address")
    }
}

/// A client that says exactly what it is told to.
struct Peer {
    socket: UdpSocket,
    /// Who sent the last packet; at first the server itself.
    server: SocketAddr,
}

impl Peer {
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

/// Bytes that are alike nowhere: what is lost, doubled or moved shows.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn curl_get(
    server: &Server,
    addr: SocketAddr,
    name: &str,
    options: &[&str],
) -> io::Result<Vec<u8>> {
    let to = server.folder.join("downloaded");
    let url = format!("tftp://{addr}/{name}");
    let arguments = [options, &["-sS", "-o", text(&to), &url]].concat();
    CURL.run(&arguments, b"")?.success();
    fs::read(to)
}

fn curl_put(addr: SocketAddr, from: &Path, name: &str, options: &[&str]) -> io::Result<()> {
    let url = format!("tftp://{addr}/{name}");
    let arguments = [options, &["-sS", "-T", text(from), &url]].concat();
    CURL.run(&arguments, b"")?.success();
    Ok(())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

fn curl_gets_ten_mebibytes() -> Outcome {
    let server = Server::start()?;
    let file = noise(10 * MEBIBYTE);
    fs::write(server.folder.join("file"), &file)?;
    let ways: [&[&str]; 4] = [
        &[],
        &["--tftp-no-options"],
        &["--tftp-blksize", "1428"],
        &["--tftp-blksize", "65464"],
    ];
    for options in ways {
        let downloaded = curl_get(&server, server.addr(), "file", options)?;
        assert!(
            downloaded == file,
            "{options:?}: {} bytes",
            downloaded.len()
        );
    }
    Ok(server.example.stop()?)
}

fn curl_puts_ten_mebibytes() -> Outcome {
    let server = Server::start()?;
    let file = noise(10 * MEBIBYTE);
    let from = server.folder.join("from");
    fs::write(&from, &file)?;
    for options in [&[][..], &["--tftp-no-options"], &["--tftp-blksize", "1428"]] {
        curl_put(server.addr(), &from, "file", options)?; // The second takes the place of the first.
        assert!(fs::read(server.folder.join("file"))? == file, "{options:?}");
    }
    Ok(server.example.stop()?)
}

fn curl_goes_on_after_65535_blocks() -> Outcome {
    let server = Server::start()?;
    let file = noise(70_000 * 8 + 5);
    let from = server.folder.join("from");
    fs::write(&from, &file)?;
    let options = ["--tftp-blksize", "8"];
    assert!(curl_get(&server, server.addr(), "from", &options)? == file);
    curl_put(server.addr(), &from, "file", &options)?;
    assert!(fs::read(server.folder.join("file"))? == file);
    Ok(server.example.stop()?)
}

/// Without options: with them curl asks for six seconds between two tries, and takes an agreement that comes twice for a
/// new beginning.
const NO_OPTIONS: [&str; 1] = ["--tftp-no-options"];

fn one_in_25_is_lost(n: usize) -> usize {
    usize::from(n % 25 != 24)
}

fn each_comes_twice(_: usize) -> usize {
    2
}

fn curl_over_a_losing_line() -> Outcome {
    let server = Server::start()?;
    let file = noise(100 * 512);
    let from = server.folder.join("from");
    fs::write(&from, &file)?;
    let relay = Relay::start(server.addr(), one_in_25_is_lost)?;
    let got = curl_get(&server, relay.addr(), "from", &NO_OPTIONS)?;
    assert!(got == file);
    let relay = Relay::start(server.addr(), one_in_25_is_lost)?;
    curl_put(relay.addr(), &from, "file", &NO_OPTIONS)?;
    assert!(fs::read(server.folder.join("file"))? == file);
    Ok(server.example.stop()?)
}

/// Whatever comes twice is answered once: no block is sent twice.
fn curl_over_a_doubling_line() -> Outcome {
    let server = Server::start()?;
    let file = noise(100 * 512);
    let from = server.folder.join("from");
    fs::write(&from, &file)?;
    let relay = Relay::start(server.addr(), each_comes_twice)?;
    let got = curl_get(&server, relay.addr(), "from", &[])?;
    assert!(got == file);
    assert_eq!(
        relay.packets_of_server(),
        1 + 101,
        "what was agreed, and the blocks"
    );
    let relay = Relay::start(server.addr(), each_comes_twice)?;
    curl_put(relay.addr(), &from, "file", &NO_OPTIONS)?;
    assert!(fs::read(server.folder.join("file"))? == file);
    Ok(server.example.stop()?)
}

/// Its commands come from standard input; it goes on from one to the next with the same socket.
fn tftp_hpa(server: &Server, port: u16, mode: &str, commands: &str) -> io::Result<String> {
    let folder = server.folder.join("client");
    let mut command = Command::new(TFTP.name);
    command
        .args(["-m", mode, "127.0.0.1", &port.to_string()])
        .current_dir(folder);
    Ok(client::run(&mut command, commands.as_bytes())?.success())
}

fn tftp_hpa_with_bytes() -> Outcome {
    let server = Server::start()?;
    fs::create_dir(server.folder.join("client"))?;
    let file = noise(10 * MEBIBYTE);
    fs::write(server.folder.join("file"), &file)?;
    fs::write(server.folder.join("empty"), b"")?;
    fs::write(server.folder.join("block"), noise(512))?;
    let said = tftp_hpa(
        &server,
        server.addr().port(),
        "binary",
        "get file\nget empty\nget block\nput file file2\nput empty empty2\nput block block2\nget nothing\n",
    )?;
    assert!(said.contains("Error code 1: file not found"), "{said}");
    for (name, bytes) in [("file", &file), ("empty", &vec![]), ("block", &noise(512))] {
        for path in [format!("client/{name}"), format!("{name}2")] {
            assert!(fs::read(server.folder.join(&path))? == *bytes, "{path}");
        }
    }
    Ok(server.example.stop()?)
}

fn tftp_hpa_over_bad_lines() -> Outcome {
    let server = Server::start()?;
    fs::create_dir(server.folder.join("client"))?;
    let file = noise(100 * 512);
    fs::write(server.folder.join("file"), &file)?;
    let lines: [(&str, Fate); 4] = [
        ("get file", one_in_25_is_lost),
        ("get file", each_comes_twice),
        ("put file", each_comes_twice),
        ("put file", |n| usize::from(n != 30)), // It waits for 5 seconds before it repeats a block.
    ];
    for (command, fate) in lines {
        let relay = Relay::start(server.addr(), fate)?;
        tftp_hpa(&server, relay.addr().port(), "binary", command)?;
        for copy in ["client/file", "file"] {
            assert!(fs::read(server.folder.join(copy))? == file, "{command}");
        }
    }
    Ok(server.example.stop()?)
}

fn tftp_hpa_with_texts() -> Outcome {
    let server = Server::start()?;
    fs::create_dir(server.folder.join("client"))?;
    let file = "a line\nwith a bare \r, one before its end\r\n and \r\r\n\n".repeat(1000);
    fs::write(server.folder.join("file"), &file)?;
    tftp_hpa(
        &server,
        server.addr().port(),
        "netascii",
        "get file\nput file again\n",
    )?;
    assert_eq!(fs::read_to_string(server.folder.join("client/file"))?, file);
    assert_eq!(fs::read_to_string(server.folder.join("again"))?, file);
    Ok(server.example.stop()?)
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
    let mut peer = server.peer()?;
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
        let said = server.peer()?.ask(&request(READ, name, &[]))?;
        assert_eq!(shown(&said), ACCESS_VIOLATION, "read `{name}`");
    }
    for name in names {
        let said = server.peer()?.ask(&request(WRITE, name, &[]))?;
        assert_eq!(shown(&said), ACCESS_VIOLATION, "write `{name}`");
    }
    let absolute = request(READ, text(&outside.join("secret")), &[]);
    assert_eq!(shown(&server.peer()?.ask(&absolute)?), NOT_FOUND);
    for name in ["/inside/file", "./inside//file"] {
        let said = server.peer()?.ask(&request(READ, name, &[]))?;
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
    let said = server.peer()?.ask(&request(WRITE, "new", &[]))?;
    assert_eq!(shown(&said), ACCESS_VIOLATION);
    let said = server.peer()?.ask(&request(READ, "file", &[]))?;
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
        let mut peer = server.peer()?;
        assert_eq!(
            shown(&peer.ask(&request(opcode, "file", options))?),
            answer,
            "{options:?}"
        );
        peer.send(ENOUGH)?;
    }
    // The length of a text on its way is not known before.
    let said = server.peer()?.ask(b"\0\x01file\0NetASCII\0tsize\x000\0")?;
    assert_eq!(shown(&said), r"\x00\x03\x00\x01public");
    Ok(server.example.stop()?)
}

fn what_is_no_request_is_refused() -> Outcome {
    let server = Server::start()?;
    let mut peer = server.peer()?;
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
    let mut peer = server.peer()?;
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
    let mut peer = server.peer()?;
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
    let mut peer = server.peer()?;
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
    let mut peer = server.peer()?;
    let main = peer.server;
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
    // The same peer may go on: with what he has asked for before, once that has ended.
    let folder = server.folder.path().to_owned();
    wait_until(|| fs::read_dir(&folder).is_ok_and(|names| names.count() == 0));
    peer.server = main;
    put(&server, "file", b"whole")?;
    assert_eq!(fs::read(server.folder.join("file"))?, b"whole");
    Ok(server.example.stop()?)
}

/// What belongs together may be in two packets.
fn a_text_is_translated_across_blocks() -> Outcome {
    let server = Server::start()?;
    let mut peer = server.peer()?;
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
    let mut peer = server.peer()?;
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
