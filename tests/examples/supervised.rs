//! Servers under a service manager, which this test is itself: what it is told, and when.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;

use libtest_mimic::Trial;
use sockserv_tests::Folder;

use crate::client::{DEADLINE, Peer};
use crate::server::{Example, program};
use crate::{Outcome, plain};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![plain(
        "supervised::an_abstract_socket_hears_as_well",
        abstract_name,
    )];
    for model in ["sync", "threading", "pool", "forking", "prefork"] {
        trials.push(Trial::test(
            format!("supervised::ready_and_stopping_by_{model}"),
            move || ready_and_stopping(model),
        ));
    }
    trials
}

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
    assert_eq!(value(&told, "STATUS"), Some(&*status));
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
