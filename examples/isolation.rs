//! Each request in a process of its own: it may abort, leak or panic, and the server lives on.
//! Run:  `cargo run --example isolation`
//! Talk: `nc 127.0.0.1 7008`, then `echo TEXT`, `leak`, `panic`, `exit 3`, `overflow` or `abort`
//! See:  `echo` answers with its process id; `abort` ends your connection, and the server says how

use std::hint::black_box;
use std::process;

use sockserv::prelude::*;

#[derive(Clone)]
struct Isolation;

#[server(tcp, forking, addr = "127.0.0.1:7008")]
impl Isolation {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        let mut line = String::new();
        while stream.rfile.read_line(&mut line)? > 0 {
            let words = line.trim_end();
            match words.split_once(' ').unwrap_or((words, "")) {
                ("echo", text) => writeln!(stream.wfile, "{}: {text}", process::id())?,
                ("leak", _) => {
                    writeln!(stream.wfile, "{}: leaked {} bytes", process::id(), leak())?
                }
                ("panic", _) => panic!("on demand"),
                ("exit", status) => process::exit(status.parse().unwrap_or(1)),
                ("overflow", _) => writeln!(stream.wfile, "{}", overflow(0))?,
                ("abort", _) => process::abort(),
                (word, _) => writeln!(stream.wfile, "what is `{}`?", word.escape_debug())?,
            }
            line.clear();
        }
        Ok(())
    }

    /// Runs in the child after an error or a panic, and in the parent if the child died.
    fn handle_error(&mut self, error: &RequestError, peer: &Address) {
        let line = match error.exit_status() {
            Some(status) => format!("{peer}: its process ended with {status}"),
            None => format!("{peer}: {error}"),
        };
        // If stdout is closed, nobody is left to tell.
        let _ = writeln!(io::stdout(), "{line}");
    }
}

/// Lost to the child for good; the kernel takes it back when the child ends.
fn leak() -> usize {
    const SIZE: usize = 64 * 1024 * 1024;
    vec![1_u8; SIZE].leak().len()
}

#[allow(unconditional_recursion, reason = "it is meant to run out of stack")]
fn overflow(depth: u64) -> u64 {
    let frame = black_box([depth; 512]);
    overflow(depth + 1) + frame[0]
}

fn main() -> io::Result<()> {
    IsolationServer::builder(Isolation)
        .addrs(std::env::args().skip(1))
        .bind()?
        .run()
}
