//! The servers, by name and by how they are started.

use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fmt};

use crate::tests::Test;

/// What a server echoes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Lines over TCP.
    Lines,
    /// The same, for few connections at a time, each to its end.
    Turns,
    /// Packets over UDP.
    Packets,
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Idle connections to measure: those that cost a process each must be fewer.
    pub(crate) idle: usize,
    program: Program,
}

#[derive(Clone, Copy, Debug)]
enum Program {
    /// This program again, as the server of that name.
    Rust(&'static str),
    /// `python/echo.py` over that class.
    Python(&'static str),
}

use Kind::{Lines, Packets, Turns};
use Program::{Python, Rust};

/// In the order of the tables.
pub(crate) const SERVERS: [Server; 16] = [
    server(
        "sockserv, threading",
        Lines,
        900,
        Rust("sockserv-threading"),
    ),
    server(
        "sockserv, pool, messages",
        Lines,
        900,
        Rust("sockserv-messages"),
    ),
    server("sockserv, forking", Lines, 200, Rust("sockserv-forking")),
    server("sockserv, prefork", Turns, 0, Rust("sockserv-prefork")),
    server("sockserv, sync", Turns, 0, Rust("sockserv-sync")),
    server("std, a thread each", Lines, 900, Rust("std-threads")),
    server(
        "std, coalescing by hand",
        Lines,
        900,
        Rust("std-coalescing"),
    ),
    server("tokio, multi-thread", Lines, 900, Rust("tokio-multi")),
    server("tokio, current thread", Lines, 900, Rust("tokio-current")),
    server(
        "Python, ThreadingTCPServer",
        Lines,
        900,
        Python("ThreadingTCPServer"),
    ),
    server(
        "Python, ForkingTCPServer",
        Lines,
        200,
        Python("ForkingTCPServer"),
    ),
    server("sockserv, sync", Packets, 0, Rust("sockserv-udp")),
    server("std, one loop", Packets, 0, Rust("std-udp")),
    server("tokio, one task", Packets, 0, Rust("tokio-udp")),
    server("Python, UDPServer", Packets, 0, Python("UDPServer")),
    server(
        "Python, ThreadingUDPServer",
        Packets,
        0,
        Python("ThreadingUDPServer"),
    ),
];

const fn server(name: &'static str, kind: Kind, idle: usize, program: Program) -> Server {
    Server {
        name,
        kind,
        idle,
        program,
    }
}

impl Server {
    pub(crate) fn takes(&self, test: &Test) -> bool {
        self.kind == test.kind || (self.kind == Turns && test.in_turns)
    }

    /// Which table it stands in.
    pub(crate) fn table(&self) -> Kind {
        match self.kind {
            Turns => Lines,
            kind => kind,
        }
    }

    pub(crate) fn is_ours(&self) -> bool {
        self.name.starts_with("sockserv")
    }

    /// The command that serves at `addr` until SIGTERM.
    pub(crate) fn command(&self, addr: &str) -> io::Result<Command> {
        let mut command = match self.program {
            Rust(name) => {
                let mut command = Command::new(env::current_exe()?);
                command.args(["serve", name]);
                command
            }
            Python(class) => {
                let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("python/echo.py");
                let mut command = Command::new("python3");
                command.arg(script).arg(class);
                command
            }
        };
        command.arg(addr);
        Ok(command)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
