//! One cell of transport x model, whose handler does what its client says and whose hooks say what they are asked.
//!
//! The contract suite starts it: `cell TRANSPORT MODEL ADDR... [--option value]...`. Every event is one line on stderr that
//! begins with `@`; the commands are in `stream.rs` and `datagram.rs`.

use std::env;
use std::mem;
use std::process::{Child, Command, ExitCode};

use sockserv::prelude::*;
use sockserv::{Builder, Declaration, ServerHandle};

mod calls;
mod datagram;
mod flags;
mod messages;
mod state;
mod stream;
mod watch;

use flags::{Flags, invalid};
use state::{State, say};

/// Binds and serves until the end.
macro_rules! start {
    ($builder:expr, $flags:ident) => {{
        let mut server = $flags.options.apply($builder)?.bind()?;
        let handle = server.handle();
        let result = match $flags.by_request {
            None => server.run(),
            Some(most) => {
                announce(server.local_addrs());
                one_by_one(most, || server.handle_request())
            }
        };
        ended(&handle);
        result
    }};
}

/// One module for each cell, named as its words; `serve` finds the cell by them.
macro_rules! cells {
    ($($transport:ident: $kind:ident, $($model:ident)+;)+) => {
        $(mod $transport {
            $(pub(crate) mod $model {
                use sockserv::codec::FrameError;
                use sockserv::command::{Close, CommandError, Rest};
                use sockserv::prelude::*;

                use crate::state::{Failure, State};

                #[derive(Clone)]
                pub(crate) struct Cell(pub(crate) State);

                $crate::cell!($kind, $transport, $model);
                $crate::messages::talkers!($kind, $transport, $model);
                $crate::calls::callee!($kind, $transport, $model);
            })+
        })+

        fn serve(transport: &str, model: &str, flags: &Flags) -> io::Result<()> {
            match (transport, model, flags.handler.as_str()) {
                $($((stringify!($transport), stringify!($model), "handle") => {
                    use $transport::$model::{Cell, CellServer};
                    start!(CellServer::builder(Cell(State::default())), flags)
                })+)+
                $($((stringify!($transport), stringify!($model), "message") => {
                    use $transport::$model::{Framed, FramedServer};
                    start!(FramedServer::builder(Framed(State::default())), flags)
                })+)+
                $($((stringify!($transport), stringify!($model), "command") => {
                    use $transport::$model::{Commands, CommandsServer};
                    start!(CommandsServer::builder(Commands(State::default())), flags)
                })+)+
                $($((stringify!($transport), stringify!($model), "rpc") => {
                    use $transport::$model::{Procedures, ProceduresServer};
                    start!(ProceduresServer::builder(Procedures(State::default())), flags)
                })+)+
                (.., handler) => Err(invalid(format!("there is no cell `{transport} {model}` with `{handler}`"))),
            }
        }
    };
}

/// The attribute over a handler whose methods and hooks are all written once, elsewhere.
macro_rules! cell {
    ($kind:ident, $transport:ident, pool) => { $crate::cell!(@with_workers $kind, $transport, pool); };
    ($kind:ident, $transport:ident, prefork) => { $crate::cell!(@with_workers $kind, $transport, prefork); };
    ($kind:ident, $transport:ident, $model:ident) => { $crate::cell!(@ $kind, $transport, $model,); };
    (@with_workers $kind:ident, $transport:ident, $model:ident) => {
        $crate::cell!(@ $kind, $transport, $model,
            fn worker_start(&mut self, worker: usize) -> io::Result<()> {
                crate::state::worker_start(worker)
            }
        );
    };
    (@ $kind:ident, $transport:ident, $model:ident, $($worker_start:tt)*) => {
        #[server($transport, $model, vis = pub(crate))]
        impl Cell {
            fn setup(&mut self, request: &mut $kind) -> Outcome {
                crate::state::Scenario::setup(request, &mut self.0)
            }

            fn handle(&mut self, request: &mut $kind) -> Outcome {
                crate::state::Scenario::handle(request, &mut self.0)
            }

            fn finish(&mut self, request: &mut $kind) -> Outcome {
                crate::state::Scenario::finish(request, &mut self.0)
            }

            fn verify_request(&self, peer: &Address, incoming: &sockserv::Incoming) -> bool {
                crate::state::verify(peer, incoming)
            }

            fn handle_error(&mut self, error: &RequestError, peer: &Address) {
                self.0.handle_error(error, peer);
            }

            fn handle_timeout(&self) {
                crate::state::timeout();
            }

            fn service_actions(&self) {
                crate::state::service();
            }

            fn server_bind(&self, socket: &sockserv::socket2::Socket) -> io::Result<()> {
                crate::state::bind(socket)
            }

            fn server_activate(&self, socket: &sockserv::socket2::Socket) -> io::Result<()> {
                crate::state::activate(socket)
            }

            $($worker_start)*
        }
    };
}
use cell;

cells! {
    tcp: Stream, sync threading pool forking prefork;
    udp: Datagram, sync threading pool forking prefork;
    unix: Stream, sync threading pool forking prefork;
    unix_datagram: Datagram, sync threading pool forking prefork;
}

/// Python's older loop: one `handle_request` after another.
fn one_by_one(most: u64, mut handle_request: impl FnMut() -> io::Result<bool>) -> io::Result<()> {
    for _ in 0..most {
        let served = handle_request()?;
        say("turn", &[("served", &served)]);
    }
    Ok(())
}

fn announce(addrs: &[Address]) {
    let lines: String = addrs
        .iter()
        .map(|addr| format!("listening on {addr}\n"))
        .collect();
    io::stdout()
        .write_all(lines.as_bytes())
        .expect("the driver reads it");
}

fn ended(handle: &ServerHandle) {
    let stats = handle.stats();
    let report = handle.report().unwrap_or_default();
    say(
        "ended",
        &[
            ("accepted", &stats.accepted),
            ("active", &stats.active),
            ("finished", &stats.finished),
            ("failed", &stats.failed),
            ("refused", &stats.refused),
            ("bytes_in", &stats.bytes_in),
            ("bytes_out", &stats.bytes_out),
            ("drained", &report.finished()),
            ("cut", &report.cut()),
            ("report", &report),
        ],
    );
}

/// A child that is not the server's, which has ended before the server begins and whose status nobody may take.
fn foreign() -> io::Result<Child> {
    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
    let child = Command::new("sh").args(["-c", "exit 72"]).spawn()?;
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .expect("a process id");
    waitid(
        WaitId::Pid(pid),
        WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
    )?;
    Ok(child)
}

fn run() -> io::Result<()> {
    let mut words = env::args().skip(1);
    let (Some(transport), Some(model)) = (words.next(), words.next()) else {
        return Err(invalid(
            "write: cell TRANSPORT MODEL ADDR... [--option value]...",
        ));
    };
    let mut flags = Flags::parse(words)?;
    mem::take(&mut flags.hooks).install();
    let foreign = if flags.foreign {
        Some(foreign()?)
    } else {
        None
    };
    let result = serve(&transport, &model, &flags);
    if let Some(mut child) = foreign {
        let status = child.wait()?;
        say("foreign", &[("status", &status.code().unwrap_or(-1))]);
    }
    result
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say("failed", &[("error", &error)]);
            ExitCode::FAILURE
        }
    }
}

/// What every cell's builder understands, so that flags need not know its type.
trait Apply {
    fn apply<H: Declaration, S>(&self, builder: Builder<H, S>) -> io::Result<Builder<H, S>>;
}
