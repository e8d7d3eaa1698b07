//! A key-value store that speaks a part of redis' protocol (RESP2, inline commands too).
//! Run:  `cargo run --release --example kv`
//! Talk: `redis-cli -p 6380 set key value EX 60`, or `redis-benchmark -p 6380 -P 16 -t set,get`

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sockserv::ServerHandle;
use sockserv::bytes::Bytes;
use sockserv::prelude::*;

const MAX_ARGUMENTS: usize = 1024;
const MAX_COMMAND: usize = 16 * 1024 * 1024;
const MAX_MEMORY: usize = 256 * 1024 * 1024;
/// What an entry costs besides its bytes, roughly.
const ENTRY_OVERHEAD: usize = 96;
const COMMANDS: [&[u8]; 13] = [
    b"PING", b"ECHO", b"SET", b"GET", b"DEL", b"EXISTS", b"INCR", b"EXPIRE", b"TTL", b"KEYS",
    b"COMMAND", b"INFO", b"QUIT",
];

#[derive(Clone, Default)]
struct Kv {
    store: Arc<Mutex<Store>>,
    line: Vec<u8>,
    words: Vec<Bytes>,
}

#[server(
    tcp,
    threading,
    addr = "127.0.0.1:6380",
    timeout = none,
    first_byte_timeout = none,
    keepalive,
    max_line = "64 KiB",
    service_interval = "1s"
)]
impl Kv {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        loop {
            match self.read_command(stream) {
                Ok(Input::Command) => {}
                Ok(Input::End) => return Ok(()),
                Err(Broken::Protocol(text)) => {
                    return write!(stream.wfile, "-ERR Protocol error: {text}\r\n");
                }
                Err(Broken::Stream(error)) => return Err(error),
            }
            let Some((name, arguments)) = self.words.split_first() else {
                continue;
            };
            let name = name.to_ascii_uppercase();
            self.execute(&name, arguments, stream.server())
                .unwrap_or_else(Reply::Error)
                .write(&mut stream.wfile)?;
            if name == b"QUIT" {
                return Ok(());
            }
        }
    }

    /// What has expired and is never asked for again must go too.
    fn service_actions(&self) {
        self.store().sweep();
    }

    /// An array of bulk strings, or words on one line.
    fn read_command(&mut self, stream: &mut Stream) -> Result<Input, Broken> {
        self.words.clear();
        if !self.read_line(stream)? {
            return Ok(Input::End);
        }
        let Some(count) = self.line.strip_prefix(b"*") else {
            let words = self
                .line
                .split(u8::is_ascii_whitespace)
                .filter(|word| !word.is_empty());
            self.words.extend(words.map(Bytes::copy_from_slice));
            return Ok(Input::Command);
        };
        let count =
            size(count, MAX_ARGUMENTS).ok_or(Broken::Protocol("invalid multibulk length"))?;
        let mut room = MAX_COMMAND;
        for _ in 0..count {
            if !self.read_line(stream)? {
                return Ok(Input::End);
            }
            let length = self
                .line
                .strip_prefix(b"$")
                .ok_or(Broken::Protocol("expected '$'"))?;
            let length = size(length, room).ok_or(Broken::Protocol("invalid bulk length"))?;
            let mut word = stream.rfile.read_bytes(length + 2)?;
            if !word.ends_with(b"\r\n") {
                return Err(Broken::Protocol("a bulk string ends with CRLF"));
            }
            word.truncate(length);
            self.words.push(word);
            room -= length;
        }
        Ok(Input::Command)
    }

    /// Leaves the line in `self.line`, without its end; `false` if there is none.
    fn read_line(&mut self, stream: &mut Stream) -> Result<bool, Broken> {
        self.line.clear();
        match stream.rfile.read_until(b'\n', &mut self.line) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(Broken::Protocol("too big inline request"));
            }
            Err(error) => return Err(Broken::Stream(error)),
            Ok(_) if !self.line.ends_with(b"\n") => return Ok(false),
            Ok(_) => self.line.truncate(self.line.trim_ascii_end().len()),
        }
        Ok(true)
    }

    fn execute(
        &self,
        name: &[u8],
        arguments: &[Bytes],
        server: &ServerHandle,
    ) -> Result<Reply, String> {
        let mut store = self.store(); // One command at a time, as in redis.
        Ok(match (name, arguments) {
            (b"PING", []) => Reply::Simple("PONG"),
            (b"PING" | b"ECHO", [text]) => Reply::Bulk(text.clone()),
            (b"QUIT", _) => Reply::Simple("OK"),
            (b"SET", [key, value, options @ ..]) => {
                store.set(key, value, &SetOptions::parse(options)?)?
            }
            (b"GET", [key]) => store.value(key).map_or(Reply::Nil, Reply::Bulk),
            (b"DEL", [_, ..]) => store.count(arguments, Store::remove),
            (b"EXISTS", [_, ..]) => store.count(arguments, |store, key| store.get(key).is_some()),
            (b"INCR", [key]) => store.increment(key)?,
            (b"EXPIRE", [key, seconds]) => store.expire(key, integer(seconds)?)?,
            (b"TTL", [key]) => store.time_to_live(key),
            (b"KEYS", [pattern]) => store.keys(pattern),
            (b"COMMAND", []) => Reply::Array(COMMANDS.map(Bytes::from_static).to_vec()),
            (b"COMMAND", [what]) if what.eq_ignore_ascii_case(b"COUNT") => {
                Reply::Integer(COMMANDS.len() as i64)
            }
            (b"COMMAND", _) => Reply::Array(Vec::new()),
            (b"INFO", _) => Reply::Bulk(store.info(server)),
            _ => return Err(unknown(name)),
        })
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Input {
    Command,
    End,
}

/// Why no further command can be read.
enum Broken {
    Protocol(&'static str),
    Stream(io::Error),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Broken::Stream(error)
    }
}

enum Reply {
    Simple(&'static str),
    Error(String),
    Integer(i64),
    Nil,
    Bulk(Bytes),
    Array(Vec<Bytes>),
}

impl Reply {
    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Reply::Simple(text) => write!(out, "+{text}\r\n"),
            Reply::Error(text) => write!(out, "-ERR {text}\r\n"),
            Reply::Integer(number) => write!(out, ":{number}\r\n"),
            Reply::Nil => out.write_all(b"$-1\r\n"),
            Reply::Bulk(bytes) => write_bulk(out, bytes),
            Reply::Array(items) => {
                write!(out, "*{}\r\n", items.len())?;
                items.iter().try_for_each(|item| write_bulk(out, item))
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

    fn cost(&self, key: &Bytes) -> usize {
        key.len() + self.value.len() + ENTRY_OVERHEAD
    }
}

#[derive(Default)]
struct Store {
    entries: HashMap<Bytes, Entry>,
    memory: usize,
    swept: Option<Instant>,
}

impl Store {
    fn get(&mut self, key: &Bytes) -> Option<&mut Entry> {
        let expires = self.entries.get(key)?.expires;
        if expires.is_some_and(|at| at <= Instant::now()) {
            self.remove(key);
        }
        self.entries.get_mut(key)
    }

    fn value(&mut self, key: &Bytes) -> Option<Bytes> {
        self.get(key).map(|entry| entry.value.clone())
    }

    fn put(&mut self, key: &Bytes, entry: Entry) -> Result<(), String> {
        let memory = self.memory + entry.cost(key);
        if memory > MAX_MEMORY {
            return Err("the store is full".to_owned());
        }
        self.memory = memory;
        if let Some(old) = self.entries.insert(key.clone(), entry) {
            self.memory -= old.cost(key);
        }
        Ok(())
    }

    /// Returns whether there was something to remove.
    fn remove(&mut self, key: &Bytes) -> bool {
        let Some(entry) = self.entries.remove(key) else {
            return false;
        };
        self.memory -= entry.cost(key);
        entry.is_live(Instant::now())
    }

    fn sweep(&mut self) {
        let now = Instant::now();
        if self
            .swept
            .is_none_or(|at| now - at >= Duration::from_secs(1))
        {
            self.swept = Some(now);
            self.entries.retain(|_, entry| entry.is_live(now));
            self.memory = self
                .entries
                .iter()
                .map(|(key, entry)| entry.cost(key))
                .sum();
        }
    }

    fn set(&mut self, key: &Bytes, value: &Bytes, options: &SetOptions) -> Result<Reply, String> {
        let allowed = match options.only {
            None => true,
            Some(Only::New) => self.get(key).is_none(),
            Some(Only::Known) => self.get(key).is_some(),
        };
        if !allowed {
            return Ok(Reply::Nil);
        }
        self.put(
            key,
            Entry {
                value: value.clone(),
                expires: options.expires,
            },
        )?;
        Ok(Reply::Simple("OK"))
    }

    fn increment(&mut self, key: &Bytes) -> Result<Reply, String> {
        let (old, expires) = match self.get(key) {
            Some(entry) => (integer(&entry.value)?, entry.expires),
            None => (0, None),
        };
        let new = old
            .checked_add(1)
            .ok_or("increment or decrement would overflow")?;
        self.put(
            key,
            Entry {
                value: new.to_string().into(),
                expires,
            },
        )?;
        Ok(Reply::Integer(new))
    }

    fn expire(&mut self, key: &Bytes, seconds: i64) -> Result<Reply, String> {
        let Some(entry) = self.get(key) else {
            return Ok(Reply::Integer(0));
        };
        if seconds <= 0 {
            self.remove(key);
        } else {
            entry.expires = Some(after(
                Duration::from_secs(seconds.unsigned_abs()),
                "expire",
            )?);
        }
        Ok(Reply::Integer(1))
    }

    fn time_to_live(&mut self, key: &Bytes) -> Reply {
        Reply::Integer(match self.get(key).map(|entry| entry.expires) {
            None => -2,
            Some(None) => -1,
            Some(Some(at)) => (at - Instant::now()).as_secs_f64().round() as i64,
        })
    }

    fn count(
        &mut self,
        keys: &[Bytes],
        mut counts: impl FnMut(&mut Self, &Bytes) -> bool,
    ) -> Reply {
        Reply::Integer(keys.iter().filter(|key| counts(self, key)).count() as i64)
    }

    fn keys(&self, pattern: &[u8]) -> Reply {
        let now = Instant::now();
        let live = self.entries.iter().filter(|(_, entry)| entry.is_live(now));
        Reply::Array(
            live.map(|(key, _)| key)
                .filter(|key| glob(pattern, key))
                .cloned()
                .collect(),
        )
    }

    fn info(&self, server: &ServerHandle) -> Bytes {
        let stats = server.stats();
        let expires = self
            .entries
            .values()
            .filter(|entry| entry.expires.is_some())
            .count();
        Bytes::from(format!(
            "# Server\r\nprocess_id:{}\r\n\r\n# Clients\r\nconnected_clients:{}\r\n\r\n# Memory\r\n\
             used_memory:{}\r\n\r\n# Stats\r\ntotal_connections_received:{}\r\n\r\n# Keyspace\r\n\
             db0:keys={},expires={expires}\r\n",
            std::process::id(),
            stats.active,
            self.memory,
            stats.accepted,
            self.entries.len(),
        ))
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
    fn parse(words: &[Bytes]) -> Result<Self, String> {
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
    number.ok_or_else(|| "value is not an integer or out of range".to_owned())
}

/// A length on the wire: digits, and not above `max`.
fn size(text: &[u8], max: usize) -> Option<usize> {
    str::from_utf8(text)
        .ok()?
        .parse()
        .ok()
        .filter(|&size| size <= max)
}

fn unknown(name: &[u8]) -> String {
    let shown = name[..name.len().min(64)].escape_ascii().to_string();
    if COMMANDS.contains(&name) {
        format!(
            "wrong number of arguments for '{}' command",
            shown.to_ascii_lowercase()
        )
    } else {
        format!("unknown command '{shown}'")
    }
}

/// Matches as redis' KEYS does: `*`, `?`, `[a-z]`, `[^a-z]`, and `\` before a plain character.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry = None; // After the last `*`: there, with one byte more taken by it.
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

/// Returns how much of the pattern stands for `byte`, if its beginning does.
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
