//! Unix paths: whose they are, when they go, and who may connect. Promise 8, A10, D21.

use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{self, Command};
use std::time::{Duration, Instant};

use sockserv::prelude::*;
use sockserv_tests::Folder;

use crate::Test;
use crate::echo::{echo, unix_datagram_sync, unix_sync, unix_threading};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("d21_the_path_goes_with_the_server", removed),
        ("d21_a_stale_path_is_replaced", stale),
        ("d21_a_stale_path_of_packets_is_replaced", stale_packets),
        (
            "p08_an_odd_name_elsewhere_makes_no_path_stale",
            live_beside_an_odd_name,
        ),
        ("d21_a_live_path_is_not_stolen", live),
        (
            "d21_a_live_path_of_another_type_is_not_stolen",
            live_of_another_type,
        ),
        ("d21_a_foreign_file_is_left_alone", foreign_file),
        ("d21_a_path_that_somebody_replaced_is_left_alone", replaced),
        ("a10_stop_and_start_a_hundred_times", hundred_times),
        ("p08_the_mode_is_right", mode),
        (
            "p08_two_servers_that_find_a_stale_path_do_not_both_have_it",
            race,
        ),
        (
            "r22_a_stranger_s_lock_holds_up_neither_bind_nor_end",
            stranger_s_lock,
        ),
    ]
}

/// Tests that must not have a superuser's right to write everywhere.
pub(crate) fn alone() -> Vec<Test> {
    vec![("p08_a_read_only_folder_is_named", read_only)]
}

fn bind(path: &Path) -> io::Result<unix_threading::EchoServer> {
    unix_threading::EchoServer::bind_to(path, unix_threading::Echo::default())
}

fn removed() {
    let folder = Folder::new();
    let running = bind(&folder.join("socket"))
        .expect("a fresh path")
        .spawn()
        .expect("a thread");
    echo(&mut running.connect().expect("it listens"), "here");
    running.shutdown().expect("a good end");
    assert!(!folder.join("socket").exists());
    drop(bind(&folder.join("socket")).expect("a fresh path")); // It never served.
    assert!(!folder.join("socket").exists());
}

fn stale() {
    let folder = Folder::new();
    drop(UnixListener::bind(folder.join("socket")).expect("a fresh path"));
    assert!(folder.join("socket").exists(), "std leaves it behind");
    let running = bind(&folder.join("socket"))
        .expect("nobody serves it")
        .spawn()
        .expect("a thread");
    echo(&mut running.connect().expect("it listens"), "here");
}

fn stale_packets() {
    let folder = Folder::new();
    drop(UnixDatagram::bind(folder.join("socket")).expect("a fresh path"));
    let server =
        unix_datagram_sync::EchoServer::bind_to(folder.join("socket"), unix_datagram_sync::Echo)
            .expect("nobody serves it");
    echo(
        &mut server
            .spawn()
            .expect("a thread")
            .connect()
            .expect("it is bound"),
        "here",
    );
}

fn refused(result: io::Result<impl Sized>, why: &str) {
    let error = result.err().expect("it is taken");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(why), "{error}");
}

fn live() {
    let folder = Folder::new();
    let running = bind(&folder.join("socket"))
        .expect("a fresh path")
        .spawn()
        .expect("a thread");
    refused(
        bind(&folder.join("socket")),
        "another server is alive there",
    );
    echo(&mut running.connect().expect("it listens"), "still here");
    about_to_listen_is_alive(&folder.join("other"));
}

/// Bound and not listening yet is alive, too.
fn about_to_listen_is_alive(path: &Path) {
    let first = unix_sync::EchoServer::builder(unix_sync::Echo::default())
        .addr(Address::Unix(path.to_owned()));
    let first = first.bind_unactivated().expect("a fresh path");
    if let Ok(second) = bind(path) {
        drop(second);
        drop(first);
        panic!("a server that is about to listen has lost its path");
    }
}

/// Any process may bind a name that is no text, and paths may have spaces.
fn live_beside_an_odd_name() {
    let name = [b"sockserv \xff ", process::id().to_string().as_bytes()].concat();
    let name = SocketAddr::from_abstract_name(name).expect("a short name");
    let _odd = UnixDatagram::bind_addr(&name).expect("a fresh name");
    let folder = Folder::new();
    about_to_listen_is_alive(&folder.join("other"));
    about_to_listen_is_alive(&folder.join(" an  other "));
}

fn live_of_another_type() {
    let folder = Folder::new();
    let other = UnixDatagram::bind(folder.join("socket")).expect("a fresh path");
    refused(
        bind(&folder.join("socket")),
        "another server is alive there",
    );
    drop(other);
}

fn foreign_file() {
    let folder = Folder::new();
    fs::write(folder.join("socket"), "somebody's work").expect("a fresh path");
    refused(
        bind(&folder.join("socket")),
        "a file that is no socket is in the way",
    );
    assert_eq!(
        fs::read_to_string(folder.join("socket")).expect("it is there"),
        "somebody's work"
    );
}

fn replaced() {
    let folder = Folder::new();
    let server = bind(&folder.join("socket")).expect("a fresh path");
    fs::remove_file(folder.join("socket")).expect("it is there");
    let other = UnixListener::bind(folder.join("socket")).expect("the path is free");
    drop(server);
    assert!(folder.join("socket").exists(), "it is somebody else's now");
    drop(other);
}

fn hundred_times() {
    let folder = Folder::new();
    for _ in 0..100 {
        let running = bind(&folder.join("socket"))
            .expect("it is free")
            .spawn()
            .expect("a thread");
        echo(&mut running.connect().expect("it listens"), "again");
        running.shutdown().expect("a good end");
    }
}

fn mode() {
    for mode in [0o600, 0o660, 0o666] {
        let folder = Folder::new();
        let server = unix_threading::EchoServer::builder(unix_threading::Echo::default())
            .addr(Address::Unix(folder.join("socket")))
            .mode(mode);
        // Before it listens nobody can connect, and then it is right already.
        let server = server.bind_unactivated().expect("a fresh path");
        let got = fs::metadata(folder.join("socket"))
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(got & 0o777, mode, "{got:o}");
        drop(server);
    }
}

fn race() {
    for _ in 0..50 {
        let folder = Folder::new();
        drop(UnixListener::bind(folder.join("socket")).expect("a fresh path"));
        let servers = std::thread::scope(|scope| {
            let both = [0, 1].map(|_| scope.spawn(|| bind(&folder.join("socket"))));
            both.map(|thread| thread.join().expect("it does not panic"))
        });
        let won: Vec<_> = servers.into_iter().filter_map(Result::ok).collect();
        assert_eq!(won.len(), 1, "one of them has it");
        assert!(folder.join("socket").exists());
    }
}

fn read_only() {
    let folder = Folder::new();
    let locked = |mode| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode));
    locked(0o555).expect("an own folder");
    if fs::write(folder.join("probe"), "").is_ok() {
        // The superuser may write here; without his capabilities he is a user like all others.
        let mut plain = Command::new("setpriv");
        plain.args(["--bounding-set=-all", "--inh-caps=-all"]);
        plain.arg(crate::this());
        crate::run_alone(plain, "p08_a_read_only_folder_is_named").expect("as a plain user");
        return;
    }
    let path = folder.join("socket");
    let error = bind(&path).expect_err("nobody may write there");
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
    let text = error.to_string();
    assert!(text.contains(path.to_str().expect("text")), "{text}");
    assert!(text.contains("ermission denied"), "{text}");
    locked(0o755).expect("an own folder");
}

fn stranger_s_lock() {
    let folder = Folder::new();
    let stranger = fs::File::open(folder.path()).expect("a folder that one may read");
    rustix::fs::flock(&stranger, rustix::fs::FlockOperation::LockExclusive)
        .expect("nobody else has locked it");
    let began = Instant::now();
    let server = bind(&folder.join("socket")).expect("a fresh path");
    let bound = began.elapsed();
    drop(server);
    let ended = began.elapsed() - bound;
    assert!(
        !folder.join("socket").exists(),
        "it is removed all the same"
    );
    for took in [bound, ended] {
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
}
