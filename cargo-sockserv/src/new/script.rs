//! What a client says to the new server, and what it hears.

use std::borrow::Cow;

use minijinja::{Value, context};

use super::Blueprint;
use super::choice::{Kind, Protocol};
use super::interface::InterfaceFile;

/// A conversation with the first listener, or the second: a test of the new crate.
pub(super) struct Script {
    name: &'static str,
    kind: Kind,
    listener: usize,
    steps: Vec<Step>,
}

/// What is sent, and exactly what is the answer.
struct Step {
    sent: Said,
    reply: Said,
}

enum Said {
    Bytes(Cow<'static, [u8]>),
    /// As Sun RPC has them.
    Words(Vec<u32>),
}

impl Step {
    const fn new(sent: &'static [u8], reply: &'static [u8]) -> Self {
        Self {
            sent: Said::Bytes(Cow::Borrowed(sent)),
            reply: Said::Bytes(Cow::Borrowed(reply)),
        }
    }
}

impl Script {
    fn new(name: &'static str, kind: Kind, listener: usize, steps: Vec<Step>) -> Self {
        Self {
            name,
            kind,
            listener,
            steps,
        }
    }

    /// As the templates of the tests want it.
    pub(super) fn value(&self) -> Value {
        let steps = self.steps.iter().map(Step::value);
        context! {
            name => self.name,
            kind => self.kind.name(),
            listener => self.listener,
            steps => steps.collect::<Vec<_>>(),
        }
    }
}

impl Step {
    fn value(&self) -> Value {
        let (sent, reply) = (self.sent.expression(), self.reply.expression());
        let (first_line, body) = self.reply.around_the_head();
        context! {
            lines => [in_lines(&sent), in_lines(&reply)],
            sent,
            reply,
            expect => self.reply.expectation(),
            first_line => literal(first_line),
            body => format!("b{}", literal(body)),
        }
    }
}

impl Said {
    fn expression(&self) -> String {
        match self {
            Self::Bytes(bytes) => literal(bytes),
            Self::Words(words) => {
                let words: Vec<String> = words.iter().copied().map(number).collect();
                format!("words([{}])", words.join(", "))
            }
        }
    }

    /// How a client waits for it.
    fn expectation(&self) -> String {
        match self.line() {
            Some(line) => format!("expect_line({})", literal(line)),
            None => format!("expect({})", self.expression()),
        }
    }

    fn line(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => {
                let line = bytes.strip_suffix(b"\n")?;
                (is_text(line) && !line.contains(&b'\n')).then_some(line)
            }
            Self::Words(_) => None,
        }
    }

    /// What of a reply of HTTP does not tell the time.
    fn around_the_head(&self) -> (&[u8], &[u8]) {
        match self {
            Self::Bytes(bytes) => {
                let end = |ending: &[u8]| bytes.windows(ending.len()).position(|at| at == ending);
                let (line, head) = (end(b"\r\n"), end(b"\r\n\r\n"));
                let body = head.map_or(0, |head| head + 4);
                (&bytes[..line.unwrap_or(0)], &bytes[body..])
            }
            Self::Words(_) => (b"", b""),
        }
    }
}

/// A string if it is text, or bytes.
fn literal(bytes: &[u8]) -> String {
    let text = bytes.escape_ascii().to_string().replace("\\'", "'");
    match is_text(bytes) {
        true => format!("\"{text}\""),
        false => format!("b\"{text}\""),
    }
}

/// The large ones are known by their digits.
fn number(word: u32) -> String {
    match word {
        0..=0xffff => word.to_string(),
        _ => format!("{:#06x}_{:04x}", word >> 16, word & 0xffff),
    }
}

/// A line for each line.
fn in_lines(literal: &str) -> String {
    let lines: Vec<&str> = literal.split_inclusive("\\r\\n").collect();
    lines.join("\\\n    ").replace("\\\n    \"", "\"")
}

fn is_text(bytes: &[u8]) -> bool {
    let is_text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\r' | b'\n');
    bytes.iter().all(is_text)
}

/// A script for each listener.
pub(super) fn scripts(blueprint: &Blueprint, interface: Option<&InterfaceFile>) -> Vec<Script> {
    let protocol = &blueprint.protocol;
    let on_stream = |listener| match interface {
        Some(file) => null_call(file, listener, true),
        None => stream(protocol, blueprint.name.as_str(), listener),
    };
    let on_packets = |listener| match interface {
        Some(file) => null_call(file, listener, false),
        None => packets(protocol, listener),
    };
    match blueprint.transport.kind() {
        Kind::Stream => vec![on_stream(0)],
        Kind::Datagram => vec![on_packets(0)],
        Kind::Either => vec![on_stream(0), on_packets(1)],
    }
}

/// Every program answers its procedure 0 (RFC 5531, section 12.1).
fn null_call(file: &InterfaceFile, listener: usize, is_stream: bool) -> Script {
    let (program, version) = file.means.programs[0];
    let call = [1, 0, 2, program, version, 0, 0, 0, 0, 0]; // Number, call, RPC 2, ..., procedure, no credentials.
    let reply = [1, 1, 0, 0, 0, 0]; // Number, reply, accepted, no verifier, success.
    let step = Step {
        sent: record(&call, is_stream),
        reply: record(&reply, is_stream),
    };
    let (name, kind) = match is_stream {
        true => ("answers_a_call", Kind::Stream),
        false => ("answers_a_call_in_a_packet", Kind::Datagram),
    };
    Script::new(name, kind, listener, vec![step])
}

/// On a stream its length stands before it, and that it is the last fragment (RFC 5531, section 11).
fn record(words: &[u32], is_stream: bool) -> Said {
    let length = u32::try_from(4 * words.len()).expect("it is short");
    let mark = is_stream.then_some(0x8000_0000 | length);
    Said::Words(mark.iter().chain(words).copied().collect())
}

const COMMANDS: [Step; 3] = [
    Step::new(b"ADD 20 22\n", b"42\n"),
    Step::new(b"echo two words\r\n", b"two words\n"),
    Step::new(
        b"ADD one\n",
        b"ERR malformed \"numbers\" (invalid digit found in string): ADD [numbers...]\n",
    ),
];

fn stream(protocol: &Protocol, name: &str, listener: usize) -> Script {
    let script = |name, steps| Script::new(name, Kind::Stream, listener, steps);
    match protocol {
        Protocol::Raw | Protocol::Rpc(_) => script(
            "sends_back_what_it_receives",
            vec![Step::new(b"hello\n", b"hello\n")],
        ),
        Protocol::Lines => script(
            "answers_each_line",
            vec![Step::new(b"one\ntwo\r\n", b"ONE\nTWO\n")],
        ),
        Protocol::Commands => script("obeys_commands", COMMANDS.into()),
        Protocol::LengthPrefixed => {
            let step = Step::new(b"\0\x03one\0\x03two", b"\0\x03eno\0\x03owt");
            script("answers_each_message", vec![step])
        }
        Protocol::Http => script("answers_a_request", vec![http(name)]),
    }
}

/// As it is said when time began.
fn http(name: &str) -> Step {
    let body = format!("Hello from {name}!\n");
    let reply = format!(
        "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    Step {
        sent: Said::Bytes(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".into()),
        reply: Said::Bytes(reply.into_bytes().into()),
    }
}

fn packets(protocol: &Protocol, listener: usize) -> Script {
    let script = |name, steps| Script::new(name, Kind::Datagram, listener, steps);
    match protocol {
        Protocol::Lines => script("answers_each_packet", vec![Step::new(b"one", b"ONE\n")]),
        Protocol::Commands => script("obeys_commands_in_packets", COMMANDS.into()),
        Protocol::LengthPrefixed => script("answers_each_packet", vec![Step::new(b"one", b"eno")]),
        Protocol::Raw | Protocol::Http | Protocol::Rpc(_) => script(
            "sends_back_each_packet",
            vec![Step::new(b"hello", b"hello")],
        ),
    }
}
