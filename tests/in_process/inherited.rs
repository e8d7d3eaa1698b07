//! Sockets that somebody else opened: `fd:N`, LISTEN_FDS, and systemd's own program. Promise 8, D29, F26.

use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use libtest_mimic::Trial;
use socket2::SockRef;
use sockserv::prelude::*;
use sockserv_tests::wait_until;

use crate::Test;
use crate::echo::{echo, tcp_threading, tcp_udp_threading, unix_threading};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("d29_listen_fds_are_taken_where_they_fit", || {
            handed_over("$$", "listen_fds")
        }),
        Trial::test("d29_listen_fds_for_somebody_else_are_left_alone", || {
            handed_over("1", "listen_fds_of_somebody_else")
        }),
    ]
}

pub(crate) fn alone() -> Vec<Test> {
    vec![
        ("a10_an_inherited_path_is_never_removed", inherited_path),
        ("d29_an_inherited_descriptor_is_served", descriptor),
        (
            "p06_one_connection_whose_peer_has_left_is_a_good_end",
            peer_has_left,
        ),
    ]
}

/// Tests that need their descriptors from outside; `alone` finds them, but nobody starts them without.
pub(crate) fn handed() -> Vec<Test> {
    vec![
        ("listen_fds", listen_fds),
        ("listen_fds_of_somebody_else", listen_fds_of_somebody_else),
    ]
}

fn inherited_path() {
    let path = std::env::temp_dir().join(format!("sockserv-inherited-{}", std::process::id()));
    let fd = UnixListener::bind(&path)
        .expect("a fresh path")
        .into_raw_fd();
    let server =
        unix_threading::EchoServer::bind_to(format!("fd:{fd}"), unix_threading::Echo::default())
            .expect("it is a listener");
    let taken =
        unix_threading::EchoServer::bind_to(format!("fd:{fd}"), unix_threading::Echo::default());
    assert!(taken.is_err(), "a descriptor has one owner");
    let running = server.spawn().expect("a thread");
    echo(&mut running.connect().expect("it listens"), "here");
    running.shutdown().expect("a good end");
    assert!(path.exists(), "who made it removes it");
    std::fs::remove_file(path).expect("it is there");
}

fn descriptor() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let at = listener.local_addr().expect("it is bound");
    let fd = listener.into_raw_fd();
    let mut server =
        tcp_threading::EchoServer::bind_to(format!("fd:{fd}"), tcp_threading::Echo::default())
            .expect("it is a listener");
    assert_eq!(server.local_addr(), &Address::Inet(at));
    std::thread::scope(|scope| {
        let handle = server.handle();
        let client = scope.spawn(move || {
            echo(&mut TcpStream::connect(at).expect("it listens"), "here");
            handle.shutdown();
        });
        server.serve_forever().expect("a good end");
        client.join().expect("it was served");
    });
    let again = server
        .serve_forever()
        .expect_err("it is closed and cannot be opened again");
    assert!(again.to_string().contains("inherited"), "{again}");
    // Neither a closed descriptor nor one of another kind is taken.
    assert!(tcp_threading::EchoServer::bind_to("fd:900", tcp_threading::Echo::default()).is_err());
    let file = std::fs::File::open("/dev/null").expect("it is there");
    let error = tcp_threading::EchoServer::bind_to(
        format!("fd:{}", file.as_raw_fd()),
        tcp_threading::Echo::default(),
    )
    .err();
    assert!(error.is_some_and(|error| error.to_string().contains("no socket")));
}

/// Whoever connects and resets at once has left before inetd's server, or that of `Accept=yes`, has begun.
fn peer_has_left() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let at = listener.local_addr().expect("it is bound");
    let client = TcpStream::connect(at).expect("it listens");
    let (accepted, _) = listener.accept().expect("it has connected");
    SockRef::from(&client)
        .set_linger(Some(Duration::ZERO))
        .expect("an own socket");
    drop(client);
    wait_until(|| accepted.peer_addr().is_err());
    let fd = accepted.into_raw_fd();
    let mut server =
        tcp_threading::EchoServer::bind_to(format!("fd:{fd}"), tcp_threading::Echo::default())
            .expect("it is a connection");
    server.serve_forever().expect("a good end");
    let stats = server.handle().stats();
    assert_eq!((stats.finished, stats.refused), (0, 1), "{stats:?}");
}

/// Runs a test as systemd starts a service: descriptor 3 is a socket, and the environment says so.
fn handed_over(to: &str, name: &str) -> Result<(), libtest_mimic::Failed> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    // The shell moves it to where systemd would have put it, and keeps its own number over the exec.
    let script = format!(
        "exec 3<&0 0</dev/null; LISTEN_PID={to} LISTEN_FDS=1 LISTEN_FDNAMES=web exec \"$0\" --alone \"$1\" \"$2\""
    );
    let mut command = Command::new("sh");
    let at = listener.local_addr()?.to_string();
    command
        .args(["-c", &script])
        .arg(crate::this())
        .args([name, &at])
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(listener)));
    crate::run(&mut command)
}

/// Where the socket that was handed over listens.
fn told() -> std::net::SocketAddr {
    std::env::args()
        .nth(3)
        .expect("an address")
        .parse()
        .expect("an address")
}

#[derive(Clone)]
struct Elsewhere;

#[server(tcp, threading, addr = "127.0.0.1:0")]
impl Elsewhere {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
    }
}

fn listen_fds() {
    // A server whose kinds it does not fit leaves it alone.
    let name = format!("unix:@sockserv-handed-{}", std::process::id());
    drop(
        unix_threading::EchoServer::bind_to(&name, unix_threading::Echo::default())
            .expect("a free name"),
    );
    // Whoever names an address at run time gets that.
    let own = tcp_threading::EchoServer::bind_to("127.0.0.1:0", tcp_threading::Echo::default())
        .expect("a free port");
    assert_ne!(own.local_addr(), &Address::Inet(told()));
    let missing =
        tcp_threading::EchoServer::bind_to("systemd:other", tcp_threading::Echo::default())
            .expect_err("another name");
    assert!(
        missing
            .to_string()
            .contains("no `tcp` socket named `other`"),
        "{missing}"
    );
    // `bind` takes it in place of the attribute's address.
    let server = ElsewhereServer::bind(Elsewhere).expect("it was handed over");
    assert_eq!(server.local_addr(), &Address::Inet(told()));
    let running = server.spawn().expect("a thread");
    echo(&mut running.connect().expect("it listens"), "here");
    running.shutdown().expect("a good end");
    // And nobody gets it twice.
    assert_ne!(
        ElsewhereServer::bind(Elsewhere)
            .expect("a free port")
            .local_addr(),
        &Address::Inet(told())
    );
    drop(
        tcp_udp_threading::EchoServer::bind_to("127.0.0.1:0", tcp_udp_threading::Echo)
            .expect("a free port"),
    );
}

fn listen_fds_of_somebody_else() {
    let server = ElsewhereServer::bind(Elsewhere).expect("a free port");
    assert_ne!(
        server.local_addr(),
        &Address::Inet(told()),
        "LISTEN_PID names another process"
    );
}
