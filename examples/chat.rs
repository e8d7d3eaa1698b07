//! A chat room: what one member says, all the others read; whoever reads too slowly is dropped.
//! Run:  `cargo run --example chat`
//! Talk: `nc 127.0.0.1 6667` in two terminals; `/nick NAME`, `/who` and `/quit` are commands
//! See:  `* who are you?`; after your answer `* welcome, ann; here: `, and then what the others say

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
            match (self.nick.as_deref(), text.as_str()) {
                (_, "") => {}
                (_, "/quit") => break,
                (None, nick) => self.enter(nick, stream)?,
                (Some(_), "/who") => tell(stream, &format!("* here: {}", self.room().nicks()))?,
                (Some(nick), text) => match text.strip_prefix("/nick ") {
                    Some(new) => self.rename(new, stream)?,
                    None => self.room().tell_others(nick, &format!("{nick}: {text}")),
                },
            }
            line.clear();
            stream.idle(); // Nobody waits for an answer, so a shutdown need not wait either.
        }
        if stream.server().is_shutting_down() {
            tell(stream, "* the room closes")?;
        }
        Ok(())
    }

    /// Runs however `handle` ended, so nobody stays in the room as a ghost.
    fn finish(&mut self, _stream: &mut Stream) {
        if let Some(nick) = &self.nick {
            self.room().leave(nick);
        }
    }

    fn enter(&mut self, nick: &str, stream: &mut Stream) -> io::Result<()> {
        let mut room = self.room();
        if !room.is_free(nick) {
            return tell(stream, &format!("* {nick} cannot be taken; who are you?"));
        }
        let nicks = room.nicks();
        tell(stream, &format!("* welcome, {nick}; here: {nicks}"))?;
        let member = Member {
            sender: stream.sender(),
            socket: stream.socket().try_clone()?,
        };
        room.members.insert(nick.to_owned(), member);
        room.tell_others(nick, &format!("* {nick} joined"));
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
        // No longer a member if dropped at this very moment.
        if let Some(member) = room.members.remove(old) {
            room.members.insert(new.to_owned(), member);
            room.tell_others(new, &format!("* {old} is now {new}"));
        }
        drop(room);
        self.nick = Some(new.to_owned());
        tell(stream, &format!("* you are {new}"))
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the handler's own peer something.
///
/// Through the queue that the other members use: that keeps the order, and never waits while the room is locked.
fn tell(stream: &Stream, message: &str) -> io::Result<()> {
    let sent = stream.sender().send(format!("{message}\n"));
    if sent == Err(SendError::Full) {
        // Or the end of `handle` would wait for this peer. An error means that it has left already.
        let _ = stream.socket().shutdown(Shutdown::Both);
    }
    Ok(sent?)
}

/// Reaches one peer from any thread: `sender` never waits, and `socket` drops a peer that cannot keep up.
struct Member {
    sender: Sender,
    socket: Socket,
}

#[derive(Default)]
struct Room {
    members: BTreeMap<String, Member>,
}

impl Room {
    /// Tells everybody but `nick`. A member whose queue is full is dropped, and the rest are told so.
    fn tell_others(&mut self, nick: &str, message: &str) {
        let line = format!("{message}\n");
        let mut slow = Vec::new();
        for (name, member) in &self.members {
            if name != nick && member.sender.send(&line) == Err(SendError::Full) {
                slow.push(name.clone());
            }
        }
        for name in slow {
            if let Some(member) = self.members.remove(&name) {
                // An error means that the peer has left already.
                let _ = member.socket.shutdown(Shutdown::Both);
                let news = format!("* {name} reads too slowly and was dropped");
                self.tell_others(&name, &news);
            }
        }
    }

    /// Announces that a member left, unless it was dropped before.
    fn leave(&mut self, nick: &str) {
        if self.members.remove(nick).is_some() {
            self.tell_others(nick, &format!("* {nick} left"));
        }
    }

    fn nicks(&self) -> String {
        let nicks: Vec<&str> = self.members.keys().map(String::as_str).collect();
        nicks.join(" ")
    }

    fn is_free(&self, nick: &str) -> bool {
        (1..=16).contains(&nick.len())
            && nick.chars().all(char::is_alphanumeric)
            && !self.members.contains_key(nick)
    }
}

/// One peer's bytes end up on other people's terminals: no control characters.
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
