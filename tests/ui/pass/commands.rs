//! Commands in every right form, in a crate that allows no warning.

#![deny(missing_docs, warnings, unreachable_pub, missing_debug_implementations, unused_qualifications)]
#![forbid(unsafe_code)]

use std::fmt::{Debug, Display};
use std::net::IpAddr;
use std::num::NonZero;
use std::str::FromStr;

use sockserv::bytes::BytesMut;
use sockserv::codec::{Decoder, Encoder, FrameError};
use sockserv::command::{self, Close, CommandError, Lines, Rest};
use sockserv::prelude::*;

/// A store.
pub trait Store {
    /// Its values.
    type Value: Display + FromStr<Err: Display>;

    /// Finds one.
    fn find(&self, key: &str) -> Option<Self::Value>;
}

/// Everything that a line can call.
#[derive(Clone, Debug)]
pub struct Everything<S> {
    store: S,
    greeted: bool,
}

#[server(tcp, pool(workers = 2), addr = "127.0.0.1:0", vis = pub, lines(max = "1 KiB", ending = any), ignore_case, quoting)]
impl<S> Everything<S>
where
    S: Store + Debug,
{
    /// Greets.
    ///
    /// Once is enough.
    #[command("HELO", "EHLO")]
    fn greet(&mut self, name: &str) -> String {
        self.greeted = true;
        format!("hello, {name}")
    }

    #[command("GET", when = Self::has_greeted)]
    fn get(&self, key: &str) -> Option<S::Value> {
        self.store.find(key)
    }

    #[command("MAIL FROM:", "SEND FROM:", "SOML ALL FROM:", when = |all: &Self| all.greeted)]
    fn mail(&mut self, sender: &str, options: Vec<&str>) -> Result<String, io::Error> {
        Ok(format!("{sender} {}", options.len()))
    }

    #[command("SET")]
    fn set(&mut self, _key: &[u8], _value: S::Value, _ttl: Option<NonZero<u32>>, _flags: Option<&str>) {}

    #[command("KEEP")]
    fn keep(&mut self, key: Bytes, rest: Option<Rest<'_>>) -> Bytes {
        assert_eq!(rest, None);
        key
    }

    #[command("SAY")]
    fn say<'a>(&mut self, _to: IpAddr, text: Rest<'a>) -> &'a str {
        text.0
    }

    #[command("SUM")]
    fn sum(&mut self, numbers: Vec<i64>) -> i64 {
        numbers.iter().sum()
    }

    #[command("ALL")]
    fn all(&mut self, words: Vec<Bytes>) -> Result<Option<Close<Bytes>>, CommandError> {
        words.into_iter().next().map(Close).map(Some).ok_or(CommandError::NotFound)
    }

    #[command("LIST")]
    fn list(&mut self) -> Result<Lines, Box<dyn std::error::Error + Send + Sync>> {
        Ok(["one", "two"].into_iter().collect())
    }

    #[command("MANY")]
    fn many(&mut self, count: usize, replies: &mut Replies<'_>) -> io::Result<()> {
        (0..count).try_for_each(|one| replies.send(one.to_string()))
    }

    #[command("DATA")]
    fn data(&mut self, stream: &mut Stream, _flag: Option<bool>) -> io::Result<&'static str> {
        let mut line = String::new();
        stream.rfile.read_line(&mut line)?;
        Ok("ok")
    }

    #[command("STOP")]
    fn stop(&mut self) -> Close {
        Close(())
    }

    #[command("QUIT")]
    fn quit(&mut self) -> Close<Result<&'static [u8], String>> {
        Close(Ok(b"bye"))
    }

    #[cfg(unix)]
    #[command("WHERE")]
    fn place(&mut self) -> char {
        'u'
    }

    #[cfg(not(unix))]
    #[command("WHERE")]
    fn place(&mut self, _unknown: NoSuchType) {}

    /// Lists the commands.
    #[command("HELP")]
    #[must_use]
    fn help(&mut self) -> Lines {
        command::help::<Self>()
    }

    fn has_greeted(&self) -> bool {
        self.greeted
    }

    fn command_error(&mut self, error: &CommandError, replies: &mut Replies) -> Outcome {
        Ok(replies.send(format!("500 {error}"))?)
    }

    fn handle_error(&mut self, _error: &RequestError, _peer: &Address) {}
}

/// A word is what has come.
#[derive(Debug, Default)]
pub struct Words;

impl Decoder for Words {
    type Item = Vec<Bytes>;
    type Error = FrameError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Vec<Bytes>>, FrameError> {
        Ok((!src.is_empty()).then(|| vec![src.split().freeze()]))
    }
}

/// What the codec encodes.
#[derive(Debug)]
pub enum Reply {
    /// Nothing.
    Null,
    /// Many.
    Many(Vec<Self>),
}

impl Encoder<Reply> for Words {
    type Error = FrameError;

    fn encode(&mut self, item: Reply, dst: &mut BytesMut) -> Result<(), FrameError> {
        match item {
            Reply::Null => dst.extend_from_slice(b"null"),
            Reply::Many(all) => all.into_iter().try_for_each(|one| self.encode(one, dst))?,
        }
        Ok(())
    }
}

impl Encoder<Option<u64>> for Words {
    type Error = FrameError;

    fn encode(&mut self, _: Option<u64>, _: &mut BytesMut) -> Result<(), FrameError> {
        Ok(())
    }
}

macro_rules! commands {
    ($name:ident, $codec:ty, $verb:literal, $argument:ty, $reply:ty, $value:expr) => {
        /// Made by a macro.
        #[derive(Clone, Debug)]
        pub struct $name;

        #[server(tcp, udp, codec = $codec, vis = pub)]
        impl $name {
            #[command($verb)]
            fn get(&mut self, _argument: $argument) -> $reply {
                $value
            }

            fn command_error(&mut self, error: &CommandError, replies: &mut Replies<$codec>) -> io::Result<()> {
                drop(error.to_string());
                replies.send(Reply::Null)
            }
        }
    };
}

commands!(First, Words, "GET", &[u8], Reply, Reply::Many(vec![]));
commands!(Second, Words, "GET ALL", Bytes, Result<Option<u64>, String>, Ok(None));
commands!(Third, Words, "get", Option<&str>, Option<Reply>, None);

/// Says nothing of its errors.
#[derive(Clone, Debug)]
pub struct Quiet;

#[server(udp, sync, delimited(b";"), ignore_case = true, quoting = false)]
impl Quiet {
    #[command("PING")]
    fn ping(&mut self) -> &str {
        "pong"
    }
}

impl Store for () {
    type Value = String;

    fn find(&self, key: &str) -> Option<String> {
        Some(key.to_owned())
    }
}

fn main() {
    let all = Everything { store: (), greeted: false };
    let _bound = (EverythingServer::bind(all), QuietServer::run);
    let _names = (FirstServer::run, SecondServer::run, ThirdServer::run);
    let help = command::help::<Everything<()>>();
    assert_eq!(help.0[0], "HELO name - Greets.");
    assert_eq!(help.0.iter().filter(|line| line.starts_with("WHERE")).count(), 1);
    assert_eq!(help.0[2], "MAIL FROM: sender [options...]");
}
