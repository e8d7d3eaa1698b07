//! A key-value store that speaks part of the Redis protocol (RESP2, inline commands included).
//! Run:  `cargo run --release --example kv`
//! Talk: `redis-cli -p 6380 set key value EX 60`, or `redis-benchmark -p 6380 -P 16 -t set,get`
//! See:  `OK`, and with `redis-cli -p 6380 get key` the value

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sockserv::bytes::{BufMut, BytesMut};
use sockserv::codec::{Decoder, Encoder, FrameError};
use sockserv::command::CommandHandler;
use sockserv::prelude::*;

const MAX_ARGUMENTS: usize = 1024;
const MAX_COMMAND: usize = 16 * 1024 * 1024;
const MAX_INLINE: usize = 64 * 1024;
const MAX_MEMORY: usize = 256 * 1024 * 1024;
const NO_INTEGER: &str = "value is not an integer or out of range";
/// Roughly what an entry costs besides its bytes.
const ENTRY_OVERHEAD: usize = 96;

#[derive(Clone, Default)]
struct Kv {
    store: Arc<Mutex<Store>>,
}

#[server(
    tcp,
    pool(workers = 2),
    addr = "127.0.0.1:6380",
    codec = Resp,
    ignore_case,
    timeout = none,
    first_byte_timeout = none,
    keepalive,
    service_interval = "1s"
)]
impl Kv {
    #[command("PING")]
    fn ping(&mut self, text: Option<Bytes>) -> Reply {
        match text {
            Some(text) => Reply::Bulk(text),
            None => Reply::Simple("PONG"),
        }
    }

    #[command("ECHO")]
    fn echo(&mut self, text: Bytes) -> Reply {
        Reply::Bulk(text)
    }

    #[command("SET")]
    fn set(&mut self, key: &[u8], value: &[u8], options: &[&[u8]]) -> Result<Reply, String> {
        let options = SetOptions::parse(options)?;
        self.store().set(key, value, &options)
    }

    #[command("GET")]
    fn get(&mut self, key: &[u8]) -> Reply {
        match self.store().get(key) {
            Some(entry) => Reply::Bulk(entry.value.clone()),
            None => Reply::Nil,
        }
    }

    #[command("DEL")]
    fn del(&mut self, key: &[u8], keys: &[&[u8]]) -> Reply {
        let mut store = self.store();
        count(key, keys, |key| store.remove(key))
    }

    #[command("EXISTS")]
    fn exists(&mut self, key: &[u8], keys: &[&[u8]]) -> Reply {
        let mut store = self.store();
        count(key, keys, |key| store.get(key).is_some())
    }

    #[command("INCR")]
    fn incr(&mut self, key: &[u8]) -> Result<Reply, String> {
        self.store().increment(key)
    }

    #[command("EXPIRE")]
    fn expire(&mut self, key: &[u8], seconds: i64) -> Result<Reply, String> {
        self.store().expire(key, seconds)
    }

    #[command("TTL")]
    fn ttl(&mut self, key: &[u8]) -> Reply {
        self.store().time_to_live(key)
    }

    #[command("KEYS")]
    fn keys(&mut self, pattern: &[u8]) -> Reply {
        self.store().keys(pattern)
    }

    #[command("COMMAND")]
    fn command(&mut self, about: Option<&str>, _names: &[&[u8]]) -> Reply {
        let names = Self::COMMANDS.iter().map(|command| command.verb);
        match about {
            Some(word) if word.eq_ignore_ascii_case("COUNT") => Reply::Integer(names.len() as i64),
            Some(_) => Reply::Array(Vec::new()),
            None => Reply::Array(names.map(Bytes::from).collect()),
        }
    }

    #[command("INFO")]
    fn info(&mut self, _sections: &[&[u8]], replies: &mut Replies<Resp>) -> Reply {
        let stats = replies.server().stats();
        let store = self.store();
        let entries = store.entries.values();
        let expires = entries.filter(|entry| entry.expires.is_some());
        Reply::Bulk(Bytes::from(format!(
            "# Server\r\nprocess_id:{}\r\n\r\n# Clients\r\nconnected_clients:{}\r\n\r\n# Memory\r\n\
             used_memory:{}\r\n\r\n# Stats\r\ntotal_connections_received:{}\r\n\r\n# Keyspace\r\n\
             db0:keys={},expires={}\r\n",
            std::process::id(),
            stats.active,
            store.memory,
            stats.accepted,
            store.entries.len(),
            expires.count(),
        )))
    }

    #[command("QUIT")]
    fn quit(&mut self) -> Close<Reply> {
        Close(Reply::Simple("OK"))
    }

    fn command_error(
        &mut self,
        error: &CommandError,
        replies: &mut Replies<Resp>,
    ) -> io::Result<()> {
        let text = match error {
            CommandError::Unknown { verb } => {
                let verb = &verb[..verb.len().min(64)];
                format!("unknown command '{}'", verb.escape_ascii())
            }
            CommandError::Missing { command, .. } | CommandError::TooMany { command } => {
                let verb = command.verb.to_ascii_lowercase();
                format!("wrong number of arguments for '{verb}' command")
            }
            CommandError::Malformed {
                argument: "seconds",
                ..
            } => NO_INTEGER.to_owned(),
            error => error.to_string(),
        };
        replies.send(Reply::Error(text))
    }

    /// A client that breaks the protocol is told so, then disconnected.
    fn frame_error(&mut self, error: FrameError, replies: &mut Replies<Resp>) -> io::Result<()> {
        let FrameError::Malformed(what) = error else {
            return Err(error.into());
        };
        replies.close();
        replies.send(Reply::Error(format!("Protocol error: {what}")))
    }

    /// Removes what has expired and is never asked for again.
    fn service_actions(&self) {
        self.store().sweep();
    }

    /// One command at a time, as in Redis.
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// RESP2: a command is an array of bulk strings, or words on one line.
#[derive(Default)]
struct Resp;

impl Decoder for Resp {
    type Item = Vec<Bytes>;
    type Error = FrameError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Vec<Bytes>>, FrameError> {
        let words = match src.first() {
            None => return Ok(None),
            Some(b'*') => array(src),
            Some(_) => inline(src),
        };
        match words {
            Ok(words) => Ok(Some(words)),
            Err(Stop::Incomplete) => Ok(None),
            Err(Stop::Malformed(what)) => Err(FrameError::Malformed(what)),
        }
    }

    /// Half a command is neither obeyed nor worth an error.
    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Vec<Bytes>>, FrameError> {
        let command = self.decode(src)?;
        if command.is_none() {
            src.clear();
        }
        Ok(command)
    }
}

/// Why a command cannot be read.
enum Stop {
    /// More of it has to come.
    Incomplete,
    Malformed(&'static str),
}

/// Takes `*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n`: the number of words, then each after its length.
fn array(src: &mut BytesMut) -> Result<Vec<Bytes>, Stop> {
    let (count, mut end) = number(src, 0, MAX_ARGUMENTS, "invalid multibulk length")?;
    let mut room = MAX_COMMAND;
    let mut places = Vec::new();
    while places.len() < count {
        if *src.get(end).ok_or(Stop::Incomplete)? != b'$' {
            return Err(Stop::Malformed("expected '$'"));
        }
        let (length, start) = number(src, end, room, "invalid bulk length")?;
        let place = start..start + length;
        end = place.end + 2;
        if src.get(place.end..end).ok_or(Stop::Incomplete)? != b"\r\n" {
            return Err(Stop::Malformed("a bulk string ends with CRLF"));
        }
        places.push(place);
        room -= length;
    }
    let command = src.split_to(end).freeze();
    Ok(places
        .into_iter()
        .map(|place| command.slice(place))
        .collect())
}

/// Takes `GET key`, as typed into telnet or nc.
fn inline(src: &mut BytesMut) -> Result<Vec<Bytes>, Stop> {
    let Some(end) = src.iter().position(|&byte| byte == b'\n') else {
        return Err(match src.len() > MAX_INLINE {
            true => Stop::Malformed("too big inline request"),
            false => Stop::Incomplete,
        });
    };
    let line = src.split_to(end + 1).freeze();
    let words = line.split(u8::is_ascii_whitespace);
    let words = words.filter(|word| !word.is_empty());
    Ok(words.map(|word| line.slice_ref(word)).collect())
}

/// Reads the number after the mark at `from`; returns it, and where the next line begins.
fn number(src: &[u8], from: usize, max: usize, what: &'static str) -> Result<(usize, usize), Stop> {
    let line = &src[from + 1..src.len().min(from + 32)];
    let Some(end) = line.iter().position(|&byte| byte == b'\n') else {
        return Err(match line.len() {
            31 => Stop::Malformed(what),
            _ => Stop::Incomplete,
        });
    };
    let digits = line[..end].strip_suffix(b"\r").unwrap_or(&line[..end]);
    let mut number = None;
    for digit in digits {
        let sum = number.unwrap_or(0) * 10 + usize::from(digit.wrapping_sub(b'0'));
        if !digit.is_ascii_digit() || sum > max {
            return Err(Stop::Malformed(what));
        }
        number = Some(sum);
    }
    Ok((number.ok_or(Stop::Malformed(what))?, from + end + 2))
}

enum Reply {
    Simple(&'static str),
    Error(String),
    Integer(i64),
    Nil,
    Bulk(Bytes),
    Array(Vec<Bytes>),
}

impl Encoder<Reply> for Resp {
    type Error = io::Error;

    fn encode(&mut self, reply: Reply, dst: &mut BytesMut) -> io::Result<()> {
        let mut out = dst.writer();
        match reply {
            Reply::Simple(text) => write!(out, "+{text}\r\n"),
            Reply::Error(text) => write!(out, "-ERR {text}\r\n"),
            Reply::Integer(number) => write!(out, ":{number}\r\n"),
            Reply::Nil => out.write_all(b"$-1\r\n"),
            Reply::Bulk(bytes) => write_bulk(&mut out, &bytes),
            Reply::Array(items) => {
                write!(out, "*{}\r\n", items.len())?;
                items.iter().try_for_each(|item| write_bulk(&mut out, item))
            }
        }
    }
}

fn write_bulk(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    write!(out, "${}\r\n", bytes.len())?;
    out.write_all(bytes)?;
    out.write_all(b"\r\n")
}

struct Entry {
    value: Bytes,
    expires: Option<Instant>,
}

impl Entry {
    fn is_live(&self, now: Instant) -> bool {
        self.expires.is_none_or(|at| now < at)
    }

    fn cost(&self, key: &[u8]) -> usize {
        key.len() + self.value.len() + ENTRY_OVERHEAD
    }
}

#[derive(Default)]
struct Store {
    entries: HashMap<Bytes, Entry>,
    memory: usize,
    next_sweep: Option<Instant>,
}

impl Store {
    fn get(&mut self, key: &[u8]) -> Option<&mut Entry> {
        let expires = self.entries.get(key)?.expires;
        if expires.is_some_and(|at| at <= Instant::now()) {
            self.remove(key);
        }
        self.entries.get_mut(key)
    }

    /// Copies the key, so that the buffer it came in can be freed.
    fn put(&mut self, key: &[u8], entry: Entry) -> Result<(), String> {
        let cost = entry.cost(key);
        if self.memory + cost > MAX_MEMORY {
            return Err("the store is full".to_owned());
        }
        self.memory += cost;
        match self.entries.get_mut(key) {
            Some(old) => {
                self.memory -= old.cost(key);
                *old = entry;
            }
            None => drop(self.entries.insert(Bytes::copy_from_slice(key), entry)),
        }
        Ok(())
    }

    /// Returns whether there was something to remove.
    fn remove(&mut self, key: &[u8]) -> bool {
        let Some(entry) = self.entries.remove(key) else {
            return false;
        };
        self.memory -= entry.cost(key);
        entry.is_live(Instant::now())
    }

    /// Removes what has expired, once a second.
    fn sweep(&mut self) {
        let now = Instant::now();
        if self.next_sweep.is_some_and(|at| now < at) {
            return;
        }
        self.next_sweep = Some(now + Duration::from_secs(1));
        self.entries.retain(|_, entry| entry.is_live(now));
        let costs = self.entries.iter().map(|(key, entry)| entry.cost(key));
        self.memory = costs.sum();
    }

    fn set(&mut self, key: &[u8], value: &[u8], options: &SetOptions) -> Result<Reply, String> {
        let allowed = match options.only {
            None => true,
            Some(Only::New) => self.get(key).is_none(),
            Some(Only::Known) => self.get(key).is_some(),
        };
        if !allowed {
            return Ok(Reply::Nil);
        }
        let value = Bytes::copy_from_slice(value);
        let expires = options.expires;
        self.put(key, Entry { value, expires })?;
        Ok(Reply::Simple("OK"))
    }

    fn increment(&mut self, key: &[u8]) -> Result<Reply, String> {
        let (old, expires) = match self.get(key) {
            Some(entry) => (integer(&entry.value)?, entry.expires),
            None => (0, None),
        };
        let new = old
            .checked_add(1)
            .ok_or("increment or decrement would overflow")?;
        let value = Bytes::from(new.to_string());
        self.put(key, Entry { value, expires })?;
        Ok(Reply::Integer(new))
    }

    fn expire(&mut self, key: &[u8], seconds: i64) -> Result<Reply, String> {
        let Some(entry) = self.get(key) else {
            return Ok(Reply::Integer(0));
        };
        match u64::try_from(seconds) {
            Ok(seconds @ 1..) => {
                entry.expires = Some(after(Duration::from_secs(seconds), "expire")?);
            }
            _ => {
                self.remove(key);
            }
        }
        Ok(Reply::Integer(1))
    }

    fn time_to_live(&mut self, key: &[u8]) -> Reply {
        Reply::Integer(match self.get(key).map(|entry| entry.expires) {
            None => -2,
            Some(None) => -1,
            Some(Some(at)) => (at - Instant::now()).as_secs_f64().round() as i64,
        })
    }

    fn keys(&self, pattern: &[u8]) -> Reply {
        let now = Instant::now();
        let mut keys = Vec::new();
        for (key, entry) in &self.entries {
            if entry.is_live(now) && glob(pattern, key) {
                keys.push(key.clone());
            }
        }
        Reply::Array(keys)
    }
}

enum Only {
    New,
    Known,
}

#[derive(Default)]
struct SetOptions {
    expires: Option<Instant>,
    only: Option<Only>,
}

impl SetOptions {
    fn parse(words: &[&[u8]]) -> Result<Self, String> {
        let mut options = SetOptions::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut amount = || integer(words.next().ok_or("syntax error")?);
            match word.to_ascii_uppercase().as_slice() {
                b"EX" if options.expires.is_none() => {
                    options.expires = Some(expiry(amount()?, Duration::from_secs)?)
                }
                b"PX" if options.expires.is_none() => {
                    options.expires = Some(expiry(amount()?, Duration::from_millis)?)
                }
                b"NX" if options.only.is_none() => options.only = Some(Only::New),
                b"XX" if options.only.is_none() => options.only = Some(Only::Known),
                _ => return Err("syntax error".to_owned()),
            }
        }
        Ok(options)
    }
}

fn expiry(amount: i64, unit: fn(u64) -> Duration) -> Result<Instant, String> {
    match u64::try_from(amount) {
        Ok(amount) if amount > 0 => after(unit(amount), "set"),
        _ => Err("invalid expire time in 'set' command".to_owned()),
    }
}

fn after(wait: Duration, command: &str) -> Result<Instant, String> {
    Instant::now()
        .checked_add(wait)
        .ok_or_else(|| format!("invalid expire time in '{command}' command"))
}

fn integer(text: &[u8]) -> Result<i64, String> {
    let number = str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| NO_INTEGER.to_owned())
}

/// Answers with how many of the keys `counts` is true for.
fn count(key: &[u8], keys: &[&[u8]], mut counts: impl FnMut(&[u8]) -> bool) -> Reply {
    let keys = [key].into_iter().chain(keys.iter().copied());
    Reply::Integer(keys.filter(|key| counts(key)).count() as i64)
}

/// Matches as Redis' KEYS does: `*`, `?`, `[a-z]`, `[^a-z]`, and `\` before a plain character.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on if the rest does not match: after the last `*`, with one more byte taken by it.
    let mut retry = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            retry = Some((p, t));
        } else if let Some(width) = glob_one(&pattern[p..], text[t]) {
            p += width;
            t += 1;
        } else if let Some((after_star, taken)) = retry {
            (p, t) = (after_star, taken + 1);
            retry = Some((p, t));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

/// Returns how much of the pattern `byte` matches, if it matches its beginning.
fn glob_one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'\\', plain, ..] => (*plain == byte).then_some(2),
        [b'[', rest @ ..] if rest.contains(&b']') => {
            let class = rest.split(|&byte| byte == b']').next()?;
            let (wanted, members) = class
                .strip_prefix(b"^")
                .map_or((true, class), |members| (false, members));
            let is_range = |range: &[u8]| range[1] == b'-' && (range[0]..=range[2]).contains(&byte);
            let found = members.contains(&byte) || members.windows(3).any(is_range);
            (found == wanted).then_some(class.len() + 2)
        }
        [plain, ..] => (*plain == byte).then_some(1),
    }
}

fn main() -> io::Result<()> {
    KvServer::builder(Kv::default())
        .addrs(std::env::args().skip(1))
        .bind()?
        .run()
}
