//! A chat room: what one says, all others read; who reads too slowly is dropped.
//! Run:  `cargo run --example chat`
//! Talk: `nc 127.0.0.1 6667` in several terminals; `/nick NAME`, `/who`, `/quit`

use std::collections::BTreeMap;
use std::net::Shutdown;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sockserv::prelude::*;
use sockserv::{SendError, Sender, socket2::Socket};

#[derive(Clone, Default)]
struct Chat {
    room: Arc<Mutex<Room>>,
    nick: Option<String>,
}

#[server(tcp, threading, addr = "127.0.0.1:6667", timeout = none, keepalive, max_line = 1024)]
impl Chat {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        tell(stream, "* who are you?")?;
        let mut line = Vec::new();
        while stream.rfile.read_until(b'\n', &mut line)? > 0 {
            let text = printable(&line);
            match (text.as_str(), self.nick.as_deref()) {
                ("/quit", _) => break,
                ("", _) => {}
                (nick, None) => self.enter(nick, stream)?,
                ("/who", Some(_)) => tell(stream, &format!("* here: {}", self.room().nicks()))?,
                (text, Some(nick)) => match text.strip_prefix("/nick ") {
                    Some(new) => self.rename(new, stream)?,
                    None => self.room().say(nick, &format!("{nick}: {text}\n")),
                },
            }
            line.clear();
            stream.idle(); // Nobody waits for an answer: a shutdown need not wait either.
        }
        if stream.server().is_shutting_down() {
            tell(stream, "* the room closes")?;
        }
        Ok(())
    }

    /// Runs however `handle` ended, so that nobody stays in the room as a ghost.
    fn finish(&mut self, _stream: &mut Stream) {
        if let Some(nick) = self.nick.take() {
            self.room().leave(&nick);
        }
    }

    fn enter(&mut self, nick: &str, stream: &mut Stream) -> io::Result<()> {
        let mut room = self.room();
        if !room.is_free(nick) {
            return tell(stream, &format!("* {nick} cannot be taken; who are you?"));
        }
        tell(
            stream,
            &format!("* welcome, {nick}; here: {}", room.nicks()),
        )?;
        let (sender, socket) = (stream.sender(), stream.socket().try_clone()?);
        room.members
            .insert(nick.to_owned(), Member { sender, socket });
        room.say(nick, &format!("* {nick} joined\n"));
        drop(room);
        self.nick = Some(nick.to_owned());
        Ok(())
    }

    fn rename(&mut self, new: &str, stream: &mut Stream) -> io::Result<()> {
        let mut room = self.room();
        if !room.is_free(new) {
            return tell(stream, &format!("* {new} cannot be taken"));
        }
        let old = self.nick.as_deref().unwrap_or_default();
        // Gone if he was dropped in this very moment.
        if let Some(member) = room.members.remove(old) {
            room.members.insert(new.to_owned(), member);
            room.say(new, &format!("* {old} is now {new}\n"));
        }
        drop(room);
        self.nick = Some(new.to_owned());
        tell(stream, &format!("* you are {new}"))
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the handler's own peer, through the queue that the others use too: in order, and without waiting for who does
/// not read, because the room may be locked.
fn tell(stream: &Stream, message: &str) -> io::Result<()> {
    let sent = stream.sender().send(format!("{message}\n"));
    if sent == Err(SendError::Full) {
        // Nothing waits for him at the end of `handle` either. It fails if he is already gone, which is as good.
        let _ = stream.socket().shutdown(Shutdown::Both);
    }
    Ok(sent?)
}

/// Reaches one peer from any thread: `sender` never waits, `socket` ends who cannot keep up.
struct Member {
    sender: Sender,
    socket: Socket,
}

#[derive(Default)]
struct Room {
    members: BTreeMap<String, Member>,
}

impl Room {
    /// Tells everyone but `nick`. Whose queue is full is dropped, and the others are told.
    fn say(&mut self, nick: &str, message: &str) {
        let mut slow = Vec::new();
        for (name, member) in self.members.iter().filter(|(name, _)| *name != nick) {
            if member.sender.send(message) == Err(SendError::Full) {
                slow.push(name.clone());
            }
        }
        for name in slow {
            if let Some(member) = self.members.remove(&name) {
                // It fails if he is already gone, which is as good.
                let _ = member.socket.shutdown(Shutdown::Both);
                self.say(
                    &name,
                    &format!("* {name} reads too slowly and was dropped\n"),
                );
            }
        }
    }

    /// Says so, unless he was dropped before.
    fn leave(&mut self, nick: &str) {
        if self.members.remove(nick).is_some() {
            self.say(nick, &format!("* {nick} left\n"));
        }
    }

    fn nicks(&self) -> String {
        self.members
            .keys()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn is_free(&self, nick: &str) -> bool {
        (1..=16).contains(&nick.len())
            && nick.chars().all(char::is_alphanumeric)
            && !self.members.contains_key(nick)
    }
}

/// One peer's bytes end on the terminals of others: no control characters.
fn printable(line: &[u8]) -> String {
    String::from_utf8_lossy(line)
        .trim()
        .replace(char::is_control, " ")
}

fn main() -> io::Result<()> {
    ChatServer::builder(Chat::default())
        .addrs(std::env::args().skip(1))
        .bind()?
        .run()
}
