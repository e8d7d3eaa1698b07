//! A server that has nothing to do does nothing, whatever its options: not one system call in ten seconds.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use sockserv_tests::{Folder, Process, pace, until};

use crate::client::{DEADLINE, STRACE};
use crate::server::Example;
use crate::{Outcome, with_program};

pub(crate) fn trials() -> Vec<Trial> {
    let name = "no_system_call_in_ten_idle_seconds_with_every_option";
    vec![with_program(STRACE, name, idle)]
}

const MODELS: [&str; 5] = ["sync", "threading", "pool", "forking", "prefork"];

/// How long nothing may happen.
const REST: Duration = Duration::from_secs(10);

/// All that bounds, watches or ends something, and nothing that says when to wake.
const OPTIONS: [&str; 50] = [
    "--accept-rate",
    "1000",
    "--allow",
    "127.0.0.0/8,::1",
    "--backlog",
    "64",
    "--banner",
    "busy",
    "--deny",
    "127.9.0.0/16",
    "--first-byte-timeout",
    "60s",
    "--keepalive",
    "true",
    "--lame-duck",
    "100ms",
    "--max",
    "50",
    "--max-children",
    "50",
    "--max-connections",
    "50",
    "--max-connections-per-peer",
    "40",
    "--max-line",
    "1000",
    "--max-packet-size",
    "1000",
    "--max-requests",
    "1000",
    "--min-rate",
    "1",
    "--nodelay",
    "true",
    "--observe",
    "true",
    "--on-full",
    "refuse",
    "--queue",
    "8",
    "--rbufsize",
    "1000",
    "--request-timeout",
    "90s",
    "--shutdown-grace",
    "2s",
    "--stack-size",
    "262144",
    "--timeout",
    "60s",
];

fn idle() -> Outcome {
    let mut servers = Vec::new();
    let mut clients: Vec<Box<dyn Send>> = Vec::new();
    for model in MODELS {
        for transport in ["tcp", "udp"] {
            let cell = [transport, model, "127.0.0.1:0", "--workers", "3"];
            let server = Example::start("matrix", 1, &[&cell[..], &OPTIONS].concat())?;
            match transport {
                "tcp" => clients.extend(streams(server.addr(), model)?),
                _ => clients.extend(packets(server.addr(), model)?),
            }
            servers.push(server);
        }
    }
    let folder = Folder::new();
    let path = folder.join("calls");
    let trace = Trace::start(&servers, &path)?;
    // To be traced interrupts each wait, and what the clients left behind is done first.
    let mut before = 0;
    let mut calm = Instant::now();
    until(
        || {
            let now = length(&path);
            if std::mem::replace(&mut before, now) != now || now == 0 {
                calm = Instant::now();
            }
            calm.elapsed() > Duration::from_millis(500)
        },
        || "it does not come to rest".to_owned(),
    );
    pace(Instant::now() + REST);
    let calls = fs::read_to_string(&path)?;
    let calls = &calls[usize::try_from(before)?..];
    assert!(calls.is_empty(), "{calls}");
    drop(clients);
    until(
        || length(&path) > before,
        || "it was not looked at".to_owned(),
    );
    drop(trace);
    for server in servers {
        server.stop()?;
    }
    Ok(())
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}

/// Two connections that have asked once; where the second waits for the first, it is only there.
fn streams(at: &str, model: &str) -> io::Result<Vec<Box<dyn Send>>> {
    let mut clients: Vec<Box<dyn Send>> = Vec::new();
    for nth in 0..2 {
        let mut client = TcpStream::connect(at)?;
        client.set_read_timeout(Some(DEADLINE))?;
        if nth == 0 || model != "sync" {
            client.write_all(b"a word\n")?;
            client.read_exact(&mut [0; 7])?;
        }
        clients.push(Box::new(client));
    }
    Ok(clients)
}

/// Two peers that have asked once, but for `threading`: it keeps their threads a while.
fn packets(at: &str, model: &str) -> io::Result<Vec<Box<dyn Send>>> {
    let mut clients: Vec<Box<dyn Send>> = Vec::new();
    for _ in 0..2 {
        let client = UdpSocket::bind("127.0.0.1:0")?;
        client.set_read_timeout(Some(DEADLINE))?;
        client.connect(at)?;
        if model != "threading" {
            client.send(b"a word\n")?;
            assert_eq!(client.recv(&mut [0; 16])?, 7);
        }
        clients.push(Box::new(client));
    }
    Ok(clients)
}

/// A look at every system call of these servers and their children.
struct Trace(Child);

impl Trace {
    fn start(servers: &[Example], to: &Path) -> io::Result<Self> {
        let mut strace = Command::new(STRACE.name);
        strace.arg("-f").arg("-o").arg(to);
        for server in servers {
            let process = Process(server.pid());
            let children = process.children().into_iter().map(|(child, _)| child);
            for process in children.chain([process]) {
                strace.args(["-p", &process.0.to_string()]);
            }
        }
        let child = strace
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self(child))
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // Those it traces go on. Both fail for a process that has been waited for.
        Process(self.0.id()).signal(rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}
