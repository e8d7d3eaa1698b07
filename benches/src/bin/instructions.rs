//! How many instructions in user mode, and how many system calls, a line and a connection cost a server.
//!
//! `cargo run --release -p sockserv-benches --bin instructions -- COMMAND...` starts a server of lines, with an address as
//! its last word, and runs it one instruction at a time, by ptrace(2). So it counts where a machine has no counters, and
//! counts the same however busy the machine is. On x86-64 only.

use std::collections::HashMap;
use std::env;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

const LINE: &[u8] = b"a line, neither short nor long\n";

/// How often each is done, after as much to warm up.
const TIMES: u64 = 20;

/// A server that makes no step for so long waits for its clients.
const QUIET: Duration = Duration::from_millis(20);

/// How long a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// `syscall`.
const CALL: [u8; 2] = [0x0f, 0x05];

#[derive(Default)]
struct Counts {
    instructions: AtomicU64,
    calls: AtomicU64,
}

fn main() -> io::Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let usage = || io::Error::other("write the command of a server that takes an address last");
    let (program, words) = words.split_first().ok_or_else(usage)?;
    let addr = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut command = Command::new(program);
    command.args(words).arg(addr.to_string());
    let mut server = command.stdout(Stdio::null()).spawn()?;
    let pid = Pid::from_raw(server.id().cast_signed());
    let counts = Counts::default();
    let result = wait_until_it_listens(addr)
        .and_then(|()| seize(pid))
        .and_then(|()| {
            thread::scope(|scope| {
                let client = scope.spawn(|| {
                    let result = measure(&counts, addr);
                    kill(pid, Signal::SIGKILL)?;
                    result
                });
                follow(&counts); // Only the thread that has seized them may: until the last has ended.
                client.join().map_err(|_| io::ErrorKind::Other)?
            })
        });
    let _ = server.kill(); // It has ended, unless something failed.
    result
}

fn wait_until_it_listens(addr: SocketAddr) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = TcpStream::connect(addr) {
        if Instant::now() > deadline {
            return Err(error);
        }
        thread::sleep(QUIET);
    }
    thread::sleep(QUIET); // Whoever served that has ended.
    Ok(())
}

/// Stops all threads of the server; those that they start will be stopped, too.
fn seize(server: Pid) -> io::Result<()> {
    for thread in std::fs::read_dir(format!("/proc/{server}/task"))? {
        let thread = thread?.file_name().to_string_lossy().parse();
        let thread = Pid::from_raw(thread.map_err(io::Error::other)?);
        ptrace::seize(thread, Options::PTRACE_O_TRACECLONE)?;
        ptrace::interrupt(thread)?;
    }
    Ok(())
}

/// Lets each thread that has stopped make its next step, until all have ended.
fn follow(counts: &Counts) {
    let mut is_call = HashMap::new();
    let mut last = HashMap::new();
    while let Ok(status) = waitpid(None, Some(WaitPidFlag::__WALL)) {
        let (thread, signal) = match status {
            WaitStatus::Stopped(thread, Signal::SIGTRAP) => (thread, None),
            WaitStatus::Stopped(thread, signal) => (thread, Some(signal)),
            WaitStatus::PtraceEvent(thread, ..) => (thread, None),
            _ => continue,
        };
        let Ok(registers) = ptrace::getregs(thread) else {
            continue; // It was killed meanwhile.
        };
        let at = registers.rip;
        // `rep movsb` stops after each byte, and is one instruction.
        if last.insert(thread, at) != Some(at) {
            counts.instructions.fetch_add(1, Ordering::Relaxed);
            let is_call = is_call.entry(at).or_insert_with(|| {
                let code = ptrace::read(thread, at as ptrace::AddressType);
                code.is_ok_and(|code| code.to_ne_bytes().starts_with(&CALL))
            });
            counts
                .calls
                .fetch_add(u64::from(*is_call), Ordering::Relaxed);
        }
        let _ = ptrace::step(thread, signal); // Likewise.
    }
}

fn measure(counts: &Counts, addr: SocketAddr) -> io::Result<()> {
    for (name, pipelined) in [("a line", 1), ("a line, 16 pipelined", 16)] {
        let mut stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        counts.of(name, pipelined, || echo(&mut stream, pipelined))?;
    }
    counts.of("a connection", 1, || {
        echo(&mut TcpStream::connect(addr)?, 1)?;
        counts.settle(); // Its thread is free before the next one comes.
        Ok(())
    })
}

fn echo(stream: &mut TcpStream, lines: u64) -> io::Result<()> {
    let lines = LINE.repeat(lines as usize);
    let mut back = vec![0; lines.len()];
    stream.write_all(&lines)?;
    stream.read_exact(&mut back)
}

impl Counts {
    /// Prints what one of `each` that are done at once costs.
    fn of(&self, name: &str, each: u64, mut run: impl FnMut() -> io::Result<()>) -> io::Result<()> {
        (0..TIMES).try_for_each(|_| run())?;
        let before = self.settle();
        (0..TIMES).try_for_each(|_| run())?;
        let after = self.settle();
        let per = |after, before| (after - before) as f64 / (TIMES * each) as f64;
        let (instructions, calls) = (per(after.0, before.0), per(after.1, before.1));
        writeln!(
            io::stdout(),
            "{name:20} {instructions:8.1} instructions {calls:6.2} system calls"
        )
    }

    /// Waits until the server waits.
    fn settle(&self) -> (u64, u64) {
        let now = || self.instructions.load(Ordering::Relaxed);
        let mut before = u64::MAX;
        while before != now() {
            before = now();
            thread::sleep(QUIET);
        }
        (before, self.calls.load(Ordering::Relaxed))
    }
}
