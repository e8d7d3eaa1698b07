//! A cache that speaks memcached's text protocol (its `doc/protocol.txt`).
//! Run:  `cargo run --release --example memcached`
//! Talk: `printf 'set a 0 60 5\r\nhello\r\nget a\r\n' | nc -N 127.0.0.1 11211`, or any memcached client
//! See:  `STORED`, `VALUE a 0 5`, `hello` and `END`

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{iter, process, str};

use sockserv::bytes::{Buf, BufMut, BytesMut};
use sockserv::codec::{Decoder, Encoder, Ending, FrameError, Lines};
use sockserv::prelude::*;

const LONGEST_LINE: usize = 1 << 20;
const LONGEST_KEY: usize = 250;
const LARGEST_VALUE: usize = 1 << 20;
const MOST_MEMORY: usize = 64 << 20;
/// One line can ask for the same item half a million times.
const LONGEST_REPLY: usize = 16 << 20;
/// Roughly what an item costs besides its bytes.
const ITEM_OVERHEAD: usize = 256;

#[derive(Clone)]
struct Memcached {
    cache: Arc<Mutex<Cache>>,
    began: Instant,
}

#[server(
    tcp,
    pool(workers = 4),
    addr = "127.0.0.1:11211",
    codec = Memcache,
    timeout = none,
    first_byte_timeout = none,
    keepalive
)]
impl Memcached {
    /// Sends those of the items that are there.
    #[command("get")]
    fn get(&mut self, key: &[u8], keys: Vec<&[u8]>) -> Reply {
        let items = self.cache().look_up(key, keys);
        items.map_or(TOO_MUCH, Reply::Items)
    }

    /// The same, each with a number that changes when the item does.
    #[command("gets")]
    fn gets(&mut self, key: &[u8], keys: Vec<&[u8]>) -> Reply {
        let items = self.cache().look_up(key, keys);
        items.map_or(TOO_MUCH, Reply::UniqueItems)
    }

    #[command("set")]
    fn set(&mut self, key: &[u8], flags: u32, expiry: Expiry, value: &[u8]) -> Reply {
        self.cache().set(key, flags, expiry, value)
    }

    #[command("add")]
    fn add(&mut self, key: &[u8], flags: u32, expiry: Expiry, value: &[u8]) -> Reply {
        let mut cache = self.cache();
        match cache.get(key) {
            Some(_) => Reply::Line("NOT_STORED"),
            None => cache.set(key, flags, expiry, value),
        }
    }

    #[command("replace")]
    fn replace(&mut self, key: &[u8], flags: u32, expiry: Expiry, value: &[u8]) -> Reply {
        let mut cache = self.cache();
        match cache.get(key) {
            Some(_) => cache.set(key, flags, expiry, value),
            None => Reply::Line("NOT_STORED"),
        }
    }

    #[command("append")]
    fn append(&mut self, key: &[u8], _flags: u32, _expiry: Expiry, value: &[u8]) -> Reply {
        self.cache().grow(key, |old| [old, value].concat())
    }

    #[command("prepend")]
    fn prepend(&mut self, key: &[u8], _flags: u32, _expiry: Expiry, value: &[u8]) -> Reply {
        self.cache().grow(key, |old| [value, old].concat())
    }

    /// Sets an item that nobody has changed since `gets`.
    #[command("cas")]
    fn cas(&mut self, key: &[u8], flags: u32, expiry: Expiry, value: &[u8], unique: u64) -> Reply {
        let mut cache = self.cache();
        match cache.get(key).map(|item| item.unique == unique) {
            Some(true) => cache.set(key, flags, expiry, value),
            Some(false) => Reply::Line("EXISTS"),
            None => Reply::Line("NOT_FOUND"),
        }
    }

    #[command("incr")]
    fn incr(&mut self, key: &[u8], delta: u64) -> Reply {
        self.cache().count(key, |number| number.wrapping_add(delta))
    }

    #[command("decr")]
    fn decr(&mut self, key: &[u8], delta: u64) -> Reply {
        self.cache()
            .count(key, |number| number.saturating_sub(delta))
    }

    #[command("touch")]
    fn touch(&mut self, key: &[u8], expiry: Expiry) -> Reply {
        let mut cache = self.cache();
        match cache.get(key) {
            Some(item) => {
                item.expiry = expiry;
                Reply::Line("TOUCHED")
            }
            None => Reply::Line("NOT_FOUND"),
        }
    }

    #[command("delete")]
    fn delete(&mut self, key: &[u8]) -> Reply {
        let mut cache = self.cache();
        match cache.get(key).is_some() && cache.remove(key) {
            true => Reply::Line("DELETED"),
            false => Reply::Line("NOT_FOUND"),
        }
    }

    /// Forgets everything, now or in some seconds.
    #[command("flush_all")]
    fn flush_all(&mut self, delay: Option<u32>) -> Reply {
        let delay = Duration::from_secs(delay.unwrap_or(0).into());
        self.cache().flush_at = Some(Instant::now() + delay);
        Reply::Line("OK")
    }

    #[command("stats")]
    fn stats(&mut self, replies: &mut Replies<Memcache>) -> Reply {
        let (server, cache) = (replies.server().stats(), self.cache());
        let time = SystemTime::now().duration_since(UNIX_EPOCH);
        let stats = [
            ("pid", process::id().into()),
            ("uptime", self.began.elapsed().as_secs()),
            ("time", time.unwrap_or_default().as_secs()),
            ("curr_connections", server.active),
            ("total_connections", server.accepted),
            ("cmd_get", cache.hits + cache.misses),
            ("cmd_set", cache.sets),
            ("get_hits", cache.hits),
            ("get_misses", cache.misses),
            ("evictions", cache.evictions),
            ("curr_items", cache.items.len() as u64),
            ("bytes", cache.memory as u64),
            ("limit_maxbytes", MOST_MEMORY as u64),
        ];
        Reply::Stats(stats.to_vec())
    }

    #[command("version")]
    fn version(&mut self) -> Reply {
        Reply::Line(concat!("VERSION ", env!("CARGO_PKG_VERSION"), "-sockserv"))
    }

    /// Does nothing, as there is nothing to be verbose about.
    #[command("verbosity")]
    fn verbosity(&mut self, _level: i32) -> Reply {
        Reply::Line("OK")
    }

    #[command("quit")]
    fn quit(&mut self) -> Close {
        Close(())
    }

    fn command_error(
        &mut self,
        error: &CommandError,
        replies: &mut Replies<Memcache>,
    ) -> io::Result<()> {
        replies.send(Reply::Line(match error {
            CommandError::Malformed {
                argument: "delta", ..
            } => "CLIENT_ERROR invalid numeric delta argument",
            CommandError::Malformed { .. } => BAD_LINE,
            _ => "ERROR",
        }))
    }

    fn frame_error(
        &mut self,
        error: FrameError,
        replies: &mut Replies<Memcache>,
    ) -> io::Result<()> {
        replies.send(Reply::Line(match error {
            FrameError::Malformed(what) => what,
            FrameError::TooLong { .. } => "CLIENT_ERROR line too long",
            error => return Err(error.into()),
        }))
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const BAD_LINE: &str = "CLIENT_ERROR bad command line format";

/// A command is a line of words; after some commands comes a value, of any bytes.
struct Memcache {
    lines: Lines,
    /// A command that waits for its value, and that value's length.
    waiting: Option<(Vec<Bytes>, usize)>,
    /// How much of a too large value is still to come.
    skips: usize,
    /// Whether the command said `noreply`.
    is_quiet: bool,
    has_ended: bool,
}

impl Default for Memcache {
    fn default() -> Self {
        Memcache {
            lines: Lines::new(LONGEST_LINE).ending(Ending::Any),
            waiting: None,
            skips: 0,
            is_quiet: false,
            has_ended: false,
        }
    }
}

impl Memcache {
    /// Ends the connection: nobody knows where the value ends, and it may not be taken for commands.
    fn give_up<T>(&mut self, why: &'static str) -> Result<T, FrameError> {
        self.has_ended = true;
        Err(FrameError::Malformed(why))
    }

    /// Returns the length of the value after this line, if there is one.
    fn value_length(&mut self, words: &[Bytes]) -> Result<Option<usize>, FrameError> {
        match words {
            [verb, _, _, _, length, ..] if HAVE_VALUES.contains(&&verb[..]) => {
                match str::from_utf8(length).map(str::parse::<u32>) {
                    Ok(Ok(length)) => Ok(Some(length as usize)),
                    _ => self.give_up(BAD_LINE),
                }
            }
            _ => Ok(None),
        }
    }

    /// Checks the words of a whole command, and removes `noreply` from them.
    fn checked(&mut self, mut words: Vec<Bytes>) -> Result<Vec<Bytes>, FrameError> {
        if words.iter().any(|word| word.len() > LONGEST_KEY) {
            return Err(FrameError::Malformed(BAD_LINE));
        }
        self.is_quiet = match &words[..] {
            [verb, last] if verb == "flush_all" || verb == "verbosity" => last == "noreply",
            [verb, _, .., last] => verb != "get" && verb != "gets" && last == "noreply",
            _ => false,
        };
        if self.is_quiet {
            words.pop();
        }
        Ok(words)
    }
}

const HAVE_VALUES: [&[u8]; 6] = [b"set", b"add", b"replace", b"append", b"prepend", b"cas"];

/// Which word is the length of the value. The value takes its place.
const LENGTH: usize = 4;

impl Decoder for Memcache {
    type Item = Vec<Bytes>;
    type Error = FrameError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Vec<Bytes>>, FrameError> {
        self.is_quiet = false;
        let skipped = self.skips.min(src.len());
        self.skips -= skipped;
        src.advance(skipped);
        if self.has_ended || self.skips > 0 {
            return Ok(None);
        }
        if self.waiting.is_none() {
            let Some(line) = self.lines.decode(src)? else {
                return Ok(None);
            };
            let words = line.split(|&byte| byte == b' ');
            let words = words.filter(|word| !word.is_empty());
            let words: Vec<Bytes> = words.map(|word| line.slice_ref(word)).collect();
            let Some(length) = self.value_length(&words)? else {
                return self.checked(words).map(Some);
            };
            if length > LARGEST_VALUE {
                self.skips = length + 2;
                return Err(FrameError::Malformed(TOO_LARGE));
            }
            self.waiting = Some((words, length));
        }
        let is_there = |(_, length): &mut (_, usize)| src.len() >= *length + 2;
        let Some((words, length)) = self.waiting.take_if(is_there) else {
            return Ok(None);
        };
        let value = src.split_to(length).freeze();
        if !src.starts_with(b"\r\n") {
            return self.give_up("CLIENT_ERROR bad data chunk");
        }
        src.advance(2);
        let mut words = self.checked(words)?;
        words[LENGTH] = value;
        Ok(Some(words))
    }

    fn has_ended(&self) -> bool {
        self.has_ended
    }
}

const TOO_LARGE: &str = "SERVER_ERROR object too large for cache";
const TOO_MUCH: Reply = Reply::Line("SERVER_ERROR out of memory writing get response");

enum Reply {
    Line(&'static str),
    Number(u64),
    Items(Vec<(Bytes, Item)>),
    UniqueItems(Vec<(Bytes, Item)>),
    Stats(Vec<(&'static str, u64)>),
}

impl Encoder<Reply> for Memcache {
    type Error = io::Error;

    fn encode(&mut self, reply: Reply, dst: &mut BytesMut) -> io::Result<()> {
        let is_unique = matches!(reply, Reply::UniqueItems(_));
        let mut out = dst.writer();
        match reply {
            _ if self.is_quiet => Ok(()),
            Reply::Line(line) => write!(out, "{line}\r\n"),
            Reply::Number(number) => write!(out, "{number}\r\n"),
            Reply::Items(items) | Reply::UniqueItems(items) => {
                for (key, item) in &items {
                    out.write_all(b"VALUE ")?;
                    out.write_all(key)?;
                    write!(out, " {} {}", item.flags, item.value.len())?;
                    if is_unique {
                        write!(out, " {}", item.unique)?;
                    }
                    out.write_all(b"\r\n")?;
                    out.write_all(&item.value)?;
                    out.write_all(b"\r\n")?;
                }
                out.write_all(b"END\r\n")
            }
            Reply::Stats(stats) => {
                for (name, value) in stats {
                    write!(out, "STAT {name} {value}\r\n")?;
                }
                out.write_all(b"END\r\n")
            }
        }
    }
}

/// When an item disappears by itself.
#[derive(Clone, Copy)]
struct Expiry(Option<Instant>);

impl FromStr for Expiry {
    type Err = std::num::ParseIntError;

    /// Seconds from now; a Unix time if that is more than thirty days; below zero, at once.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const LONGEST: u64 = 30 * 24 * 60 * 60;
        let now = Instant::now();
        let from_now = match text.parse::<i64>()?.try_into() {
            Ok(0) => return Ok(Expiry(None)),
            Ok(seconds @ 1..=LONGEST) => Duration::from_secs(seconds),
            Ok(time) => {
                let today = SystemTime::now().duration_since(UNIX_EPOCH);
                Duration::from_secs(time).saturating_sub(today.unwrap_or_default())
            }
            Err(_) => Duration::ZERO,
        };
        Ok(Expiry(now.checked_add(from_now)))
    }
}

#[derive(Clone)]
struct Item {
    flags: u32,
    expiry: Expiry,
    value: Bytes,
    unique: u64,
    used: u64,
}

/// The items; when room runs out, the least recently used ones go.
#[derive(Default)]
struct Cache {
    items: HashMap<Bytes, Item>,
    by_use: BTreeMap<u64, Bytes>,
    /// Ticks at each use and each change.
    clock: u64,
    memory: usize,
    flush_at: Option<Instant>,
    hits: u64,
    misses: u64,
    sets: u64,
    evictions: u64,
}

impl Cache {
    fn get(&mut self, key: &[u8]) -> Option<&mut Item> {
        self.flush();
        let Expiry(expiry) = self.items.get(key)?.expiry;
        if expiry.is_some_and(|at| at <= Instant::now()) {
            self.remove(key);
        }
        let item = self.items.get_mut(key)?;
        let name = self.by_use.remove(&item.used)?;
        self.clock += 1;
        item.used = self.clock;
        self.by_use.insert(self.clock, name);
        Some(item)
    }

    /// Returns the items that are there; `None` if they are too much for one reply.
    fn look_up(&mut self, key: &[u8], keys: Vec<&[u8]>) -> Option<Vec<(Bytes, Item)>> {
        let (mut items, mut room) = (Vec::new(), LONGEST_REPLY);
        for key in iter::once(key).chain(keys) {
            match self.get(key).cloned() {
                Some(item) => {
                    self.hits += 1;
                    room = room.checked_sub(cost(key, &item.value))?;
                    items.push((Bytes::copy_from_slice(key), item));
                }
                None => self.misses += 1,
            }
        }
        Some(items)
    }

    fn set(&mut self, key: &[u8], flags: u32, expiry: Expiry, value: &[u8]) -> Reply {
        self.flush();
        self.remove(key);
        if value.len() > LARGEST_VALUE {
            return Reply::Line(TOO_LARGE);
        }
        self.sets += 1;
        self.clock += 1;
        let (name, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
        self.memory += cost(key, &value);
        self.by_use.insert(self.clock, name.clone());
        let item = Item {
            flags,
            expiry,
            value,
            unique: self.clock,
            used: self.clock,
        };
        self.items.insert(name, item);
        while self.memory > MOST_MEMORY
            && let Some((_, name)) = self.by_use.first_key_value()
        {
            self.remove(&name.clone());
            self.evictions += 1;
        }
        Reply::Line("STORED")
    }

    fn grow(&mut self, key: &[u8], value: impl FnOnce(&[u8]) -> Vec<u8>) -> Reply {
        match self.get(key).cloned() {
            Some(old) => self.set(key, old.flags, old.expiry, &value(&old.value)),
            None => Reply::Line("NOT_STORED"),
        }
    }

    fn count(&mut self, key: &[u8], next: impl FnOnce(u64) -> u64) -> Reply {
        let Some(old) = self.get(key).cloned() else {
            return Reply::Line("NOT_FOUND");
        };
        let Ok(Ok(number)) = str::from_utf8(&old.value).map(str::parse) else {
            return Reply::Line("CLIENT_ERROR cannot increment or decrement non-numeric value");
        };
        let number = next(number);
        self.set(key, old.flags, old.expiry, number.to_string().as_bytes());
        Reply::Number(number)
    }

    fn remove(&mut self, key: &[u8]) -> bool {
        let Some(item) = self.items.remove(key) else {
            return false;
        };
        self.by_use.remove(&item.used);
        self.memory -= cost(key, &item.value);
        true
    }

    /// Does what `flush_all` asked for, once its time has come.
    fn flush(&mut self) {
        if self.flush_at.take_if(|at| *at <= Instant::now()).is_some() {
            self.items.clear();
            self.by_use.clear();
            self.memory = 0;
        }
    }
}

fn cost(key: &[u8], value: &[u8]) -> usize {
    key.len() + value.len() + ITEM_OVERHEAD
}

fn main() -> io::Result<()> {
    let memcached = Memcached {
        cache: Arc::default(),
        began: Instant::now(),
    };
    MemcachedServer::builder(memcached)
        .addrs(std::env::args().skip(1))
        .bind()?
        .run()
}
