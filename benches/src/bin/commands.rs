//! What a command costs beside the same protocol by hand: in memory, so that nothing else is measured.
//!
//! `cargo run --release -p sockserv-benches --bin commands` prints nanoseconds a command, the best of several turns:
//! a loop over the stream with a `match`, the same `match` in `fn message`, and `#[command]`.

use std::hint::black_box;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use sockserv::command::CommandError;
use sockserv::prelude::*;
use sockserv::testing;

/// How many commands a client sends.
const COMMANDS: u32 = 200_000;
const TURNS: usize = 15;

/// What the three have in common: the work behind the verbs.
#[derive(Clone, Default)]
struct Counter {
    total: i64,
}

impl Counter {
    fn add(&mut self, number: i64) -> i64 {
        self.total = self.total.wrapping_add(number);
        self.total
    }
}

#[derive(Clone, Default)]
struct ByHand(Counter);

#[server(tcp)]
impl ByHand {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        let mut line = Vec::new();
        while stream.rfile.read_until(b'\n', &mut line)? > 0 {
            if line.last() == Some(&b'\n') {
                line.pop();
            }
            obey(&mut self.0, &line, &mut stream.wfile)?;
            line.clear();
        }
        Ok(())
    }
}

#[derive(Clone, Default)]
struct ByMessage(Counter);

#[server(tcp, lines)]
impl ByMessage {
    #[allow(clippy::needless_pass_by_value, reason = "as every message is passed")]
    fn message(&mut self, line: Bytes, replies: &mut Replies) -> io::Result<()> {
        obey(&mut self.0, &line, replies)
    }
}

/// The `match` that a user would write.
fn obey(counter: &mut Counter, line: &[u8], out: &mut impl Write) -> io::Result<()> {
    let malformed = || io::Error::from(io::ErrorKind::InvalidData);
    let line = std::str::from_utf8(line).map_err(|_| malformed())?;
    let mut words = line.split_ascii_whitespace();
    let mut word = || words.next();
    match word() {
        Some("ADD") => {
            let number = word().and_then(|word| word.parse().ok());
            writeln!(out, "{}", counter.add(number.ok_or_else(malformed)?))
        }
        Some("ECHO") => {
            let text = word().ok_or_else(malformed)?;
            out.write_all(text.as_bytes())?;
            out.write_all(b"\n")
        }
        Some("GET") => writeln!(out, "{}", counter.total),
        Some("RESET") => {
            counter.total = 0;
            Ok(())
        }
        Some("QUIT") | None => Ok(()),
        Some(_) => out.write_all(b"ERR\n"),
    }
}

#[derive(Clone, Default)]
struct ByCommand(Counter);

#[server(tcp, lines)]
impl ByCommand {
    #[command("ADD")]
    fn add(&mut self, number: i64) -> i64 {
        self.0.add(number)
    }

    #[command("ECHO")]
    fn echo<'a>(&mut self, text: &'a str) -> &'a str {
        text
    }

    #[command("GET")]
    fn get(&mut self) -> i64 {
        self.0.total
    }

    #[command("RESET")]
    fn reset(&mut self) {
        self.0.total = 0;
    }

    #[command("QUIT")]
    fn quit(&mut self) {}

    fn command_error(&mut self, _: &CommandError, replies: &mut Replies) -> io::Result<()> {
        replies.send("ERR")
    }
}

/// Serves a client that sends the line again and again.
macro_rules! turn {
    ($handler:ident, $lines:expr) => {{
        let script = testing::stream($handler::default()).sends($lines).eof();
        let began = Instant::now();
        let record = black_box(script.run());
        (began.elapsed(), record.written().len())
    }};
}

fn main() -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(
        out,
        "ns a command       by hand  message  command  command - message  command - by hand"
    )?;
    for line in ["GET", "ADD 12345", "ECHO hello", "RESET", "NONSENSE"] {
        let lines = format!("{line}\n").repeat(COMMANDS as usize);
        let mut best = [Duration::MAX; 3];
        for _ in 0..TURNS {
            let turns = [
                turn!(ByHand, &lines),
                turn!(ByMessage, &lines),
                turn!(ByCommand, &lines),
            ];
            assert!(turns.iter().all(|turn| turn.1 == turns[0].1), "{turns:?}");
            for (best, (took, _)) in best.iter_mut().zip(turns) {
                *best = took.min(*best);
            }
        }
        let [hand, message, command] =
            best.map(|time| time.as_secs_f64() * 1e9 / f64::from(COMMANDS));
        writeln!(
            out,
            "{line:<18} {hand:>7.1}  {message:>7.1}  {command:>7.1}  {:>17.1}  {:>17.1}",
            command - message,
            command - hand
        )?;
    }
    Ok(())
}
