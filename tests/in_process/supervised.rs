//! Several servers under one service manager, which is this test: it hears of them as of one.

use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use libtest_mimic::{Failed, Trial};
use rustix::process::Signal;
use sockserv::observer::{Event, Observer};
use sockserv_tests::{DEADLINE, Folder, Process, wait_until};

use crate::Test;
use crate::echo::{tcp_threading, udp_sync};
use crate::served::Served;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test(
            "f71_several_servers_have_one_manager",
            several_under_a_manager,
        ),
        Trial::test(
            "f71_a_signal_keeps_no_word_from_a_manager",
            told_although_interrupted,
        ),
        Trial::test(
            "a19_a_manager_is_told_who_has_taken_over",
            upgraded_under_a_manager,
        ),
    ]
}

/// Started by the trial, with a manager.
pub(crate) fn handed() -> Vec<Test> {
    vec![("several", several)]
}

fn several_under_a_manager() -> Result<(), Failed> {
    let folder = Folder::new();
    let manager = UnixDatagram::bind(folder.join("notify"))?;
    manager.set_read_timeout(Some(DEADLINE))?;
    let await_word = |word: &str| -> std::io::Result<String> {
        loop {
            let mut packet = [0; 4096];
            let count = manager.recv(&mut packet)?;
            let told = String::from_utf8_lossy(&packet[..count]).into_owned();
            if told.lines().any(|line| line == word) {
                return Ok(told);
            }
        }
    };
    let mut command = Command::new(crate::this());
    let mut child = command
        .args(["--alone", "several"])
        .env("NOTIFY_SOCKET", folder.join("notify"))
        .env("WATCHDOG_USEC", "200000")
        .stdout(Stdio::null())
        .spawn()?;
    let told = await_word("READY=1")?;
    assert!(
        told.contains("tcp://127.0.0.1:") && told.contains(", udp://127.0.0.1:"),
        "{told}"
    );
    await_word("WATCHDOG=1")?;
    let process = Process(child.id());
    process.signal(Signal::HUP);
    await_word("RELOADING=1")?;
    await_word("READY=1")?;
    process.signal(Signal::TERM);
    await_word("STOPPING=1")?;
    assert!(child.wait()?.success());
    Ok(())
}

/// The manager has no room for a word, until a signal has come.
fn told_although_interrupted() -> Result<(), Failed> {
    let folder = Folder::new();
    let manager = UnixDatagram::bind(folder.join("notify"))?;
    manager.set_read_timeout(Some(DEADLINE))?;
    let other = UnixDatagram::unbound()?;
    other.set_nonblocking(true)?;
    let mut before = 0;
    while other.send_to(b"nothing", folder.join("notify")).is_ok() {
        before += 1;
    }
    let mut command = Command::new(crate::this());
    command
        .args(["--alone", "replies"])
        .env("NOTIFY_SOCKET", folder.join("notify"));
    let mut server = Served::launch(&mut command)?;
    server.at()?;
    let process = server.process();
    wait_until(|| process.sleeps());
    process.interrupt();
    let mut packet = [0; 4096];
    for _ in 0..before {
        assert_eq!(manager.recv(&mut packet)?, b"nothing".len());
    }
    let count = manager.recv(&mut packet)?;
    assert!(packet[..count].starts_with(b"READY=1"));
    server.stop()?;
    Ok(())
}

/// The old process names the new one, and says no more: a manager that hears of its end would end the new one.
fn upgraded_under_a_manager() -> Result<(), Failed> {
    let folder = Folder::new();
    let manager = UnixDatagram::bind(folder.join("notify"))?;
    manager.set_read_timeout(Some(DEADLINE))?;
    let mut command = Command::new(crate::this());
    command
        .args(["--alone", "a19_all_servers_of_a_program_are_handed_over"])
        .env("NOTIFY_SOCKET", folder.join("notify"))
        .stdin(Stdio::null());
    let upgraded = std::thread::spawn(move || crate::run(&mut command));
    let mut words = Vec::new();
    while words.last().is_none_or(|word| word != "STOPPING=1") {
        let mut packet = [0; 4096];
        let count = manager.recv(&mut packet)?;
        let told = String::from_utf8_lossy(&packet[..count]);
        let word = told.lines().next().unwrap_or_default();
        words.push(
            word.split_once("PID=")
                .map_or(word, |(name, _)| name)
                .to_owned(),
        );
    }
    upgraded.join().expect("it only waits")?;
    words[1..3].sort(); // Each is another process's word.
    assert_eq!(words, ["READY=1", "MAIN", "READY=1", "STOPPING=1"]);
    assert!(manager.set_nonblocking(true).is_ok() && manager.recv(&mut [0]).is_err());
    Ok(())
}

/// How often it was told to reload.
#[derive(Clone, Default)]
struct Reloads(Arc<AtomicU32>);

impl Observer for Reloads {
    fn observe(&self, event: &Event<'_>) {
        if let Event::Reload = event {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn several() {
    let reloads = Reloads::default();
    let first = tcp_threading::EchoServer::builder(Default::default());
    let second = udp_sync::EchoServer::builder(udp_sync::Echo);
    let (first, second) = (
        first.observer(reloads.clone()),
        second.observer(reloads.clone()),
    );
    let first = first.addr("127.0.0.1:0").bind().expect("a free port");
    let second = second.addr("127.0.0.1:0").bind().expect("a free port");
    sockserv::run((first, second)).expect("a good end");
    assert_eq!(
        reloads.0.load(Ordering::Relaxed),
        2,
        "each server was told once"
    );
}
