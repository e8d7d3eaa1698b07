//! A log sink on a Unix socket: each packet becomes one line on the server's stdout (RFC 3164, RFC 5424).
//! Run:  `cargo run --example syslog`
//! Talk: `logger -d -u /tmp/sockserv-log.sock -p mail.warning -t me "it works"`
//! See:  the server prints `mail.warning Nov 21 15:30:00 me: it works`

use std::fmt;

use sockserv::prelude::*;

#[derive(Clone)]
struct Syslog;

// Anybody on this machine may write to the log, and a single thread keeps its lines in order.
#[server(
    unix_datagram,
    sync,
    addr = "unix:/tmp/sockserv-log.sock",
    mode = 0o666
)]
impl Syslog {
    fn handle(&mut self, datagram: &mut Datagram) -> io::Result<()> {
        let text = String::from_utf8_lossy(datagram.packet());
        writeln!(io::stdout(), "{}", Record::parse(&text))
    }
}

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];
const SEVERITIES: [&str; 8] = [
    "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
];
/// The priority of a message that states none, user.notice (RFC 3164, 4.3.3).
const DEFAULT_PRIORITY: usize = 13;

/// A time in RFC 3164.
const TIME: &str = "Mmm dd hh:mm:ss ";

struct Record<'a> {
    priority: usize,
    time: &'a str,
    source: String,
    message: &'a str,
}

impl<'a> Record<'a> {
    /// Never fails: what fits neither RFC is a message as a whole.
    fn parse(text: &'a str) -> Self {
        let text = text.trim_end_matches(['\n', '\0']);
        let (priority, rest) = priority(text).unwrap_or((DEFAULT_PRIORITY, text));
        Self::modern(priority, rest).unwrap_or_else(|| Self::classic(priority, rest))
    }

    /// RFC 5424: `1 TIME HOST APP PROCESS ID DATA MESSAGE`, with `-` for anything unknown.
    fn modern(priority: usize, rest: &'a str) -> Option<Self> {
        let mut fields = rest.strip_prefix("1 ")?.splitn(6, ' ');
        let time = fields.next()?;
        let (host, app, process) = (fields.next()?, fields.next()?, fields.next()?);
        let (_id, data) = (fields.next()?, fields.next()?);
        let message = after_structured_data(data)?;
        Some(Record {
            priority,
            time,
            source: format!("{host} {app}[{process}]"),
            message: message.trim_start_matches('\u{feff}'),
        })
    }

    /// RFC 3164: `Mmm dd hh:mm:ss SOURCE: MESSAGE`, where a local client leaves out the host.
    fn classic(priority: usize, rest: &'a str) -> Self {
        let (time, rest) = match rest.split_at_checked(TIME.len()) {
            Some((time, rest)) if is_time(time) => (time.trim_end(), rest),
            _ => ("-", rest),
        };
        let (source, message) = rest.split_once(": ").unwrap_or(("-", rest));
        Record {
            priority,
            time,
            source: source.to_owned(),
            message,
        }
    }
}

impl fmt::Display for Record<'_> {
    /// Escapes control characters: one packet is one line, whoever sent it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facility = FACILITIES[self.priority / 8];
        let severity = SEVERITIES[self.priority % 8];
        let line = format!(
            "{facility}.{severity} {} {}: {}",
            self.time, self.source, self.message
        );
        for c in line.chars() {
            match c.is_control() {
                true => write!(f, "{}", c.escape_default())?,
                false => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

/// `<PRI>`: eight times the facility, plus the severity.
fn priority(text: &str) -> Option<(usize, &str)> {
    let (number, rest) = text.strip_prefix('<')?.split_once('>')?;
    let number: usize = number.parse().ok()?;
    (number < 8 * FACILITIES.len()).then_some((number, rest))
}

fn is_time(text: &str) -> bool {
    text.ends_with(' ') && text.matches(':').count() == 2
}

/// Skips `-`, or `[id name="value"]...`, in whose quotes there may be `]` and `\"`.
fn after_structured_data(data: &str) -> Option<&str> {
    if let Some(rest) = data.strip_prefix('-') {
        return Some(rest.strip_prefix(' ').unwrap_or(rest));
    }
    let (mut quoted, mut escaped) = (false, false);
    let mut bytes = data.bytes().enumerate().peekable();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b']' if !quoted && bytes.peek().is_none_or(|&(_, next)| next == b' ') => {
                return data.get(at + 2..).or(Some(""));
            }
            _ => {}
        }
    }
    None
}

fn main() -> io::Result<()> {
    SyslogServer::builder(Syslog)
        .addrs(std::env::args().skip(1))
        .bind()?
        .run()
}
