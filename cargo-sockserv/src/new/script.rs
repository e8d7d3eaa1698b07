//! What a client says to the new server, and what it hears.

use minijinja::{Value, context};

use super::choice::{Kind, Protocol, Transport};

/// One exchange with the first listener, or the second.
pub(super) struct Exchange {
    name: &'static str,
    listener: usize,
    sent: &'static [u8],
    reply: Reply,
}

enum Reply {
    Bytes(&'static [u8]),
    /// Up to the end of the connection, with something in the middle that nobody can know.
    Ends(&'static str, String),
}

impl Exchange {
    /// For a test.
    pub(super) fn value(&self) -> Value {
        let (name, listener) = (self.name, self.listener);
        let sent = literal(self.sent);
        match &self.reply {
            Reply::Bytes(bytes) => {
                let (reply, length) = (literal(bytes), bytes.len());
                context! { name, listener, sent, reply, length, until_closed => false }
            }
            Reply::Ends(starts, ends) => {
                let (starts, ends) = (format!("{starts:?}"), format!("{ends:?}"));
                context! { name, listener, sent, starts, ends, until_closed => true }
            }
        }
    }
}

fn literal(bytes: &[u8]) -> String {
    format!(
        "b\"{}\"",
        bytes.escape_ascii().to_string().replace("\\'", "'")
    )
}

/// What is tried by the new crate's own tests.
pub(super) fn exchanges(protocol: &Protocol, transport: Transport, name: &str) -> Vec<Exchange> {
    let one = |name, sent, reply| {
        vec![Exchange {
            name,
            listener: 0,
            sent,
            reply: Reply::Bytes(reply),
        }]
    };
    match protocol {
        Protocol::Raw => raw(transport),
        Protocol::Lines => one("answers_line_by_line", b"one\ntwo\r\n", b"ONE\nTWO\n"),
        Protocol::Commands => one(
            "obeys_commands",
            b"SET colour green\nGET colour\nGET size\nQUIT\n",
            b"OK\nOK green\nERROR `size` is not set\n",
        ),
        Protocol::LengthPrefixed => one(
            "answers_each_message",
            b"\0\x03one\0\x03two",
            b"\0\x03eno\0\x03owt",
        ),
        Protocol::Http => vec![Exchange {
            name: "answers_a_request",
            listener: 0,
            sent: b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            reply: Reply::Ends(
                "HTTP/1.1 200 OK\r\n",
                format!("\r\n\r\nHello from {name}!\n"),
            ),
        }],
    }
}

fn raw(transport: Transport) -> Vec<Exchange> {
    let echo = |name, listener| Exchange {
        name,
        listener,
        sent: b"hello\n",
        reply: Reply::Bytes(b"hello\n"),
    };
    let (stream, datagram) = ("sends_back_what_it_receives", "sends_back_each_packet");
    match transport.kind() {
        Kind::Stream => vec![echo(stream, 0)],
        Kind::Datagram => vec![echo(datagram, 0)],
        Kind::Either => vec![echo(stream, 0), echo(datagram, 1)],
    }
}
