use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::{fs, io};

use libtest_mimic::Trial;
use sockserv_tests::Folder;

use crate::client::{self, CURL, TFTP};
use crate::server::Example;
use crate::{Outcome, with_client};
use relay::{Fate, Relay};

mod packets;
mod relay;

type Test = (&'static str, fn() -> Outcome);

pub(crate) fn trials() -> Vec<Trial> {
    let curl = WITH_CURL.map(|(name, test)| with_client(CURL, name, test));
    let tftp = WITH_TFTP.map(|(name, test)| with_client(TFTP, name, test));
    curl.into_iter()
        .chain(tftp)
        .chain(packets::trials())
        .collect()
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

    fn addr(&self) -> SocketAddr {
        self.example.addr().parse().expect("an address")
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

/// With options curl asks for six seconds between two tries, and takes an agreement that comes twice for a beginning.
const NO_OPTIONS: [&str; 1] = ["--tftp-no-options"];

fn loses_some(n: usize) -> usize {
    usize::from(n % 25 != 24)
}

fn loses_others(n: usize) -> usize {
    usize::from(n % 25 != 12)
}

fn comes_twice(_: usize) -> usize {
    2
}

fn curl_over_a_losing_line() -> Outcome {
    let server = Server::start()?;
    let file = noise(100 * 512);
    let from = server.folder.join("from");
    fs::write(&from, &file)?;
    let relay = Relay::start(server.addr(), loses_some, loses_others)?;
    let got = curl_get(&server, relay.addr(), "from", &NO_OPTIONS)?;
    assert!(got == file);
    let relay = Relay::start(server.addr(), loses_some, loses_others)?;
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
    let relay = Relay::start(server.addr(), comes_twice, comes_twice)?;
    let got = curl_get(&server, relay.addr(), "from", &[])?;
    assert!(got == file);
    assert_eq!(
        relay.packets_of_server(),
        1 + 101,
        "what was agreed, and the blocks"
    );
    let relay = Relay::start(server.addr(), comes_twice, comes_twice)?;
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
    let loses_one: Fate = |n| usize::from(n != 30);
    let lines: [(&str, Fate, Fate); 4] = [
        ("get file", loses_some, loses_others),
        ("get file", comes_twice, comes_twice),
        ("put file", comes_twice, comes_twice),
        ("put file", loses_one, loses_others), // It waits for 5 seconds before it repeats a block.
    ];
    for (command, to_server, to_client) in lines {
        let relay = Relay::start(server.addr(), to_server, to_client)?;
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
