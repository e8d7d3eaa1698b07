//! What a client says to the new server, and what it hears.

use minijinja::{Value, context};

use super::choice::{Kind, Protocol, Transport};

/// A conversation with the first listener, or the second: a test of the new crate.
pub(super) struct Script {
    name: &'static str,
    listener: usize,
    steps: Vec<Step>,
    rest: Option<Rest>,
}

/// What is sent, and exactly what is the answer.
struct Step {
    sent: &'static [u8],
    reply: &'static [u8],
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
            context! { sent => literal(step.sent), reply => literal(step.reply), length => step.reply.len() }
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
pub(super) fn scripts(protocol: &Protocol, transport: Transport, name: &str) -> Vec<Script> {
    let on_stream = |listener| stream(protocol, name, listener);
    let on_packets = |listener| packets(protocol, listener);
    match transport.kind() {
        Kind::Stream => vec![on_stream(0)],
        Kind::Datagram => vec![on_packets(0)],
        Kind::Either => vec![on_stream(0), on_packets(1)],
    }
}

const COMMANDS: [Step; 3] = [
    Step {
        sent: b"ADD 20 22\n",
        reply: b"42\n",
    },
    Step {
        sent: b"echo two words\r\n",
        reply: b"two words\n",
    },
    Step {
        sent: b"ADD one\n",
        reply: b"ERR malformed \"numbers\" (invalid digit found in string): ADD [numbers...]\n",
    },
];

fn stream(protocol: &Protocol, name: &str, listener: usize) -> Script {
    let script = |name, steps| Script {
        name,
        listener,
        steps,
        rest: None,
    };
    match protocol {
        Protocol::Raw => script(
            "sends_back_what_it_receives",
            vec![Step {
                sent: b"hello\n",
                reply: b"hello\n",
            }],
        ),
        Protocol::Lines => script(
            "answers_each_line",
            vec![Step {
                sent: b"one\ntwo\r\n",
                reply: b"ONE\nTWO\n",
            }],
        ),
        Protocol::Commands => script("obeys_commands", COMMANDS.into()),
        Protocol::LengthPrefixed => {
            let step = Step {
                sent: b"\0\x03one\0\x03two",
                reply: b"\0\x03eno\0\x03owt",
            };
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
        Protocol::Lines => script(
            "answers_each_packet",
            vec![Step {
                sent: b"one",
                reply: b"ONE\n",
            }],
        ),
        Protocol::Commands => script("obeys_commands_in_packets", COMMANDS.into()),
        Protocol::LengthPrefixed => script(
            "answers_each_packet",
            vec![Step {
                sent: b"one",
                reply: b"eno",
            }],
        ),
        Protocol::Raw | Protocol::Http => script(
            "sends_back_each_packet",
            vec![Step {
                sent: b"hello",
                reply: b"hello",
            }],
        ),
    }
}
