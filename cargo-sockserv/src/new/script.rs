//! What a client says to the new server, and what it hears.

use std::borrow::Cow;

use minijinja::{Value, context};

use super::Blueprint;
use super::choice::{Kind, Protocol};
use super::interface::InterfaceFile;

/// A conversation with the first listener, or the second: a test of the new crate.
pub(super) struct Script {
    name: &'static str,
    listener: usize,
    steps: Vec<Step>,
    rest: Option<Rest>,
}

/// What is sent, and exactly what is the answer.
struct Step {
    sent: Cow<'static, [u8]>,
    reply: Cow<'static, [u8]>,
}

impl Step {
    const fn new(sent: &'static [u8], reply: &'static [u8]) -> Self {
        Self {
            sent: Cow::Borrowed(sent),
            reply: Cow::Borrowed(reply),
        }
    }
}

/// What is sent last, and how everything else begins and ends: nobody can know its middle.
struct Rest {
    sent: &'static [u8],
    starts: &'static str,
    ends: String,
}

impl Script {
    /// As the template of the tests wants it.
    pub(super) fn value(&self) -> Value {
        let Self {
            name,
            listener,
            steps,
            rest,
        } = self;
        let steps = steps.iter().map(|step| {
            context! { sent => literal(&step.sent), reply => literal(&step.reply), length => step.reply.len() }
        });
        let rest = rest.as_ref().map(|Rest { sent, starts, ends }| {
            context! { sent => literal(sent), starts => format!("{starts:?}"), ends => format!("{ends:?}") }
        });
        context! { name => *name, listener => *listener, steps => steps.collect::<Vec<_>>(), rest }
    }
}

fn literal(bytes: &[u8]) -> String {
    let text = bytes.escape_ascii().to_string().replace("\\'", "'");
    format!("b\"{text}\"")
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
    Script {
        name: if is_stream {
            "answers_a_call"
        } else {
            "answers_a_call_in_a_packet"
        },
        listener,
        steps: vec![Step {
            sent: record(&call, is_stream).into(),
            reply: record(&reply, is_stream).into(),
        }],
        rest: None,
    }
}

/// On a stream its length stands before it, and that it is the last fragment (RFC 5531, section 11).
fn record(words: &[u32], is_stream: bool) -> Vec<u8> {
    let length = u32::try_from(4 * words.len()).expect("it is short");
    let mark = is_stream.then_some(0x8000_0000 | length);
    mark.iter()
        .chain(words)
        .flat_map(|word| word.to_be_bytes())
        .collect()
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
    let script = |name, steps| Script {
        name,
        listener,
        steps,
        rest: None,
    };
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
        Protocol::Http => Script {
            name: "answers_a_request",
            listener,
            steps: Vec::new(),
            rest: Some(Rest {
                sent: b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                starts: "HTTP/1.1 200 OK\r\n",
                ends: format!("\r\n\r\nHello from {name}!\n"),
            }),
        },
    }
}

fn packets(protocol: &Protocol, listener: usize) -> Script {
    let script = |name, steps| Script {
        name,
        listener,
        steps,
        rest: None,
    };
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
