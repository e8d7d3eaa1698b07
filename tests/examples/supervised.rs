//! Servers under a service manager, which this test is itself: what it is told, and when.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::Signal;
use sockserv_tests::{Folder, Process, wait_until};

use crate::client::{DEADLINE, Peer};
use crate::server::{Example, program};
use crate::{Outcome, plain};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        plain(
            "supervised::an_abstract_socket_hears_as_well",
            abstract_name,
        ),
        plain("supervised::a_hang_up_ends_what_cannot_reload", hang_up),
    ];
    let promises: [(&str, Promise); 4] = [
        ("ready_and_stopping", ready_and_stopping),
        ("the_watchdog_is_fed", watchdog),
        ("a_reload_is_reported", reload),
        ("sigusr1_lists_live_requests", report),
    ];
    for (name, promise) in promises {
        for model in ["sync", "threading", "pool", "forking", "prefork"] {
            let name = format!("supervised::{name}_by_{model}");
            trials.push(Trial::test(name, move || promise(model)));
        }
    }
    trials
}

/// What holds under the model of this name.
type Promise = fn(&str) -> Outcome;

/// Who is told.
struct Manager {
    socket: UnixDatagram,
    folder: Folder,
}

impl Manager {
    fn new() -> std::io::Result<Self> {
        let folder = Folder::new();
        let socket = UnixDatagram::bind(folder.join("notify"))?;
        socket.set_read_timeout(Some(DEADLINE))?;
        Ok(Self { socket, folder })
    }

    fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program(name));
        command
            .args(arguments)
            .env("NOTIFY_SOCKET", self.folder.join("notify"));
        command
    }

    fn matrix(&self, model: &str) -> std::io::Result<Example> {
        let mut command = self.command("matrix", &["tcp", model, "127.0.0.1:0"]);
        Example::spawn(&mut command, 1)
    }

    /// What it is told next.
    fn told(&self) -> std::io::Result<String> {
        told(&self.socket)
    }

    /// Waits until it is told this.
    fn await_word(&self, word: &str) -> std::io::Result<String> {
        loop {
            let told = self.told()?;
            if told.lines().any(|line| line == word) {
                return Ok(told);
            }
        }
    }
}

fn told(socket: &UnixDatagram) -> std::io::Result<String> {
    let mut packet = [0; 4096];
    let count = socket.recv(&mut packet)?;
    Ok(String::from_utf8_lossy(&packet[..count]).into_owned())
}

/// The value of a variable in what was said.
fn value<'a>(told: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = told.lines().filter_map(|line| line.split_once('='));
    lines
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

fn ready_and_stopping(model: &str) -> Outcome {
    let manager = Manager::new()?;
    let mut server = manager.matrix(model)?;
    let told = manager.told()?;
    assert_eq!(told.lines().next(), Some("READY=1"), "{told}");
    let status = format!("listening on {}", server.endpoints()[0]);
    let said = value(&told, "STATUS").expect("a status");
    assert!(said.starts_with(&status), "{said}");
    let mut peer = Peer::connect(server.addr())?;
    peer.send("busy\n")?;
    assert_eq!(peer.line()?, "busy\n");
    server.terminate()?;
    manager.await_word("STOPPING=1")?;
    drop(peer);
    assert!(server.wait()?.success());
    Ok(())
}

fn abstract_name() -> Outcome {
    let name = format!("sockserv-notify-{}", std::process::id());
    let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
    manager.set_read_timeout(Some(DEADLINE))?;
    let mut command = Command::new(program("echo"));
    let command = command.arg("127.0.0.1:0");
    let server = Example::spawn(command.env("NOTIFY_SOCKET", format!("@{name}")), 1)?;
    assert!(told(&manager)?.starts_with("READY=1\n"));
    Ok(server.stop()?)
}

fn watchdog(model: &str) -> Outcome {
    let manager = Manager::new()?;
    let mut command = manager.command("matrix", &["tcp", model, "127.0.0.1:0"]);
    let server = Example::spawn(command.env("WATCHDOG_USEC", "200000"), 1)?;
    manager.await_word("READY=1")?;
    let began = Instant::now();
    for _ in 0..4 {
        manager.await_word("WATCHDOG=1")?;
    }
    assert!(
        began.elapsed() >= Duration::from_millis(290),
        "it does not spin"
    );
    Ok(server.stop()?)
}

fn reload(model: &str) -> Outcome {
    let manager = Manager::new()?;
    let server = manager.matrix(model)?;
    manager.await_word("READY=1")?;
    for _ in 0..2 {
        let before = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        server.signal(Signal::HUP)?;
        let told = manager.await_word("RELOADING=1")?;
        let micros: i64 = value(&told, "MONOTONIC_USEC").expect("the time").parse()?;
        assert!(
            micros >= before.tv_sec * 1_000_000 + before.tv_nsec / 1000,
            "{told}"
        );
        manager.await_word("READY=1")?;
        let mut peer = Peer::connect(server.addr())?;
        peer.send("again\n")?;
    }
    Ok(server.stop()?)
}

fn report(model: &str) -> Outcome {
    let mut command = Command::new(program("matrix"));
    command
        .args(["tcp", model, "127.0.0.1:0"])
        .stderr(Stdio::piped());
    let mut server = Example::spawn(&mut command, 1)?;
    let mut said = BufReader::new(server.stderr().expect("it was asked for")).lines();
    let stream = TcpStream::connect(server.addr())?;
    let from = stream.local_addr()?;
    let mut peer = Peer::over(stream)?;
    peer.send("busy\n")?;
    assert_eq!(peer.line()?, "busy\n");
    wait_until(|| Process(server.pid()).sleeps()); // Under `sync` that is the request.
    server.signal(Signal::USR1)?;
    let head = said.next().expect("a report")?;
    let at = format!("listening on {}", server.endpoints()[0]);
    assert!(
        head.starts_with("sockserv: process ") && head.ends_with(&at),
        "{head}"
    );
    assert!(!head.contains("ns,"), "{head}"); // Its age is in seconds, even if that is none.
    let numbers = said.next().expect("a report")?;
    assert!(numbers.contains("1 taken, 1 alive"), "{numbers}");
    assert!(said.next().expect("a report")?.contains("max_connections "));
    let request = said.next().expect("a report")?;
    let begin = format!("{from} in handle after ");
    assert!(
        request.contains(&begin) && request.contains(": 5 bytes in, "),
        "{request}"
    );
    drop(peer);
    Ok(server.stop()?)
}

/// Without workers, observers and a manager a hang-up means that the terminal has gone.
fn hang_up() -> Outcome {
    let mut server = Example::on_a_port("echo")?;
    server.signal(Signal::HUP)?;
    assert_eq!(server.wait()?.signal(), Some(1));
    Ok(())
}
