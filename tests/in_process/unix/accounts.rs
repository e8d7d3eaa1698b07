//! A path's owner and group, and who the peer is.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::{Command, Stdio};

use sockserv::Incoming;
use sockserv::prelude::*;
use sockserv_tests::{DEADLINE, Folder};

use crate::Test;
use crate::echo::{echo, unix_datagram_sync, unix_threading};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("f04_owner_and_group_of_a_path", owner_and_group),
        ("f04_an_unknown_account_is_named", unknown_account),
        ("f04_the_mode_of_a_path_that_is_given_away", mode_with_owner),
    ]
}

/// Tests that start this program again.
pub(crate) fn alone() -> Vec<Test> {
    vec![
        ("f04_giving_a_path_away_needs_root", needs_root),
        ("f04_credentials_of_a_child", credentials),
    ]
}

/// Started by a test, as a process of its own.
pub(crate) fn handed() -> Vec<Test> {
    vec![("asks_who_it_is", asks_who_it_is)]
}

/// Whether this test may give files away; says so if not.
fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        // Where a test that skips cannot say so, nothing can be done.
        let _ = writeln!(io::stderr(), "skipped: only root may give a path away");
    }
    is_root
}

/// An account's number, as the system's own program finds it.
fn number(kind: &str, name: &str) -> u32 {
    let entry = Command::new("getent").args([kind, name]).output();
    let entry = String::from_utf8(entry.expect("glibc's").stdout).expect("text");
    let number = entry.split(':').nth(2).expect("a third field");
    number.parse().expect("a number")
}

fn owner_and_group() {
    if !is_root() {
        return;
    }
    let folder = Folder::new();
    let (uid, gid) = (number("passwd", "nobody"), number("group", "nogroup"));
    let accounts = [
        ("both", Some("nobody"), Some("nogroup"), (uid, gid)),
        ("owner", Some("nobody"), None, (uid, 0)),
        ("group", None, Some("nogroup"), (0, gid)),
        ("numbers", Some("1234"), Some("5678"), (1234, 5678)),
    ];
    for (name, owner, group, expected) in accounts {
        let path = folder.join(name);
        let mut server = unix_threading::EchoServer::builder(unix_threading::Echo::default())
            .addr(Address::Unix(path.clone()))
            .mode(0o660);
        if let Some(owner) = owner {
            server = server.owner(owner);
        }
        if let Some(group) = group {
            server = server.group(group);
        }
        let server = server.bind_unactivated().expect("root may");
        let made = fs::metadata(&path).expect("it is there");
        assert_eq!((made.uid(), made.gid()), expected, "{name}");
        assert_eq!(made.permissions().mode() & 0o777, 0o660, "{name}");
        drop(server);
        assert!(!path.exists(), "it is still ours to remove");
    }
    let packets = unix_datagram_sync::EchoServer::builder(unix_datagram_sync::Echo)
        .addr(Address::Unix(folder.join("packets")))
        .owner("nobody")
        .mode(0o622);
    let running = packets.bind().expect("root may").spawn().expect("a thread");
    let made = fs::metadata(folder.join("packets")).expect("it is there");
    assert_eq!(
        (made.uid(), made.permissions().mode() & 0o777),
        (uid, 0o622)
    );
    echo(&mut running.connect().expect("it is bound"), "here");
    running.shutdown().expect("a good end");
}

/// Without `mode` it is the one that `bind` gives, by the umask.
fn mode_with_owner() {
    let folder = Folder::new();
    let plain = UnixDatagram::bind(folder.join("plain")).expect("a fresh path");
    let server = unix_datagram_sync::EchoServer::builder(unix_datagram_sync::Echo)
        .addr(Address::Unix(folder.join("given")))
        .owner(rustix::process::geteuid().as_raw().to_string())
        .bind_unactivated()
        .expect("to oneself one may always give");
    let mode = |name| fs::metadata(folder.join(name)).expect("it is there").mode();
    assert_eq!(mode("given"), mode("plain"));
    drop((plain, server));
}

fn unknown_account() {
    let folder = Folder::new();
    let builder = || {
        unix_threading::EchoServer::builder(unix_threading::Echo::default())
            .addr(Address::Unix(folder.join("socket")))
    };
    let path = folder.join("socket");
    let path = path.display();
    for (server, what) in [
        (builder().owner("no-such-one"), "user"),
        (builder().group("no-such-one"), "group"),
    ] {
        let error = server.bind().expect_err("there is none");
        assert_eq!(
            error.to_string(),
            format!("cannot bind `unix:{path}`: no {what} `no-such-one` on this machine")
        );
        assert!(!folder.join("socket").exists());
    }
}

fn needs_root() {
    if is_root() && Command::new("setpriv").arg("--version").output().is_ok() {
        let status = fs::read_to_string("/proc/self/status").expect("/proc");
        let able = |line: &str| line.starts_with("CapEff:") && !line.ends_with("0000000000000000");
        if status.lines().any(able) {
            let mut plain = Command::new("setpriv");
            plain.args(["--bounding-set=-all", "--inh-caps=-all"]);
            plain.arg(crate::this());
            crate::run_alone(plain, "f04_giving_a_path_away_needs_root").expect("as a plain user");
            return;
        }
    }
    let folder = Folder::new();
    let path = folder.join("socket");
    let server = || {
        unix_threading::EchoServer::builder(unix_threading::Echo::default())
            .addr(Address::Unix(path.clone()))
    };
    for (server, what, who) in [
        (server().owner("54321"), "owner", "root"),
        (server().group("54321"), "group", "root or a member of it"),
    ] {
        let error = server.bind().expect_err("only root may");
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        let at = path.display();
        assert_eq!(
            error.to_string(),
            format!(
                "cannot bind `unix:{at}`: changing the {what} of `{at}` to `54321` needs {who}"
            )
        );
        assert!(!path.exists(), "nothing is left behind");
    }
}

/// Says who its peer is, as the stream and as the incoming request know it.
#[derive(Clone)]
struct Who(std::sync::mpsc::Sender<sockserv::Credentials>);

#[server(unix, threading)]
impl Who {
    fn verify_request(&self, _peer: &Address, incoming: &Incoming) -> bool {
        incoming
            .credentials()
            .is_ok_and(|who| self.0.send(who).is_ok())
    }

    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        let who = stream.credentials()?;
        write!(stream, "{} {} {:?}", who.uid, who.gid, who.pid)
    }
}

fn credentials() {
    let folder = Folder::new();
    let (sender, incoming) = std::sync::mpsc::channel();
    let server = WhoServer::bind_to(folder.join("socket"), Who(sender));
    let running = server.expect("a fresh path").spawn().expect("a thread");
    let child = Command::new(crate::this())
        .args(["--alone", "asks_who_it_is"])
        .env("SOCKET", folder.join("socket"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("this very program");
    let pid = child.id();
    let output = child.wait_with_output().expect("it ends");
    let (uid, gid) = (
        rustix::process::getuid().as_raw(),
        rustix::process::getgid().as_raw(),
    );
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        format!("{uid} {gid} Some({pid})")
    );
    let who = incoming.recv_timeout(DEADLINE).expect("it was asked");
    assert_eq!((who.uid, who.gid, who.pid), (uid, gid, Some(pid)));
    running.shutdown().expect("a good end");
}

fn asks_who_it_is() {
    let path = std::env::var_os("SOCKET").expect("the test says where");
    let mut stream = UnixStream::connect(path).expect("it listens");
    io::copy(&mut stream, &mut io::stdout()).expect("a reply");
}
