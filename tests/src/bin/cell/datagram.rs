//! What a datagram's sender may ask for, one command a packet.

use std::fs::File;
use std::process;

use sockserv::prelude::*;

use crate::flags::number;
use crate::state::{Failure, Scenario, State, counts, say, step, stick, work};

impl Scenario for Datagram {
    fn setup(&mut self, state: &mut State) -> Outcome {
        state.used = true;
        step("setup", self.peer_addr());
        match word(self).strip_prefix("setup-") {
            Some(failure) => {
                self.wfile.write_all(b"in setup")?;
                Failure::named(failure)
                    .ok_or("no such failure")?
                    .happen("setup")
            }
            None => Ok(()),
        }
    }

    fn handle(&mut self, state: &mut State) -> Outcome {
        step("handle", self.peer_addr());
        let text = String::from_utf8_lossy(self.packet()).into_owned();
        let (name, rest) = text.split_once(' ').unwrap_or((&text, ""));
        obey(self, state, name, rest)
    }

    fn finish(&mut self, state: &mut State) -> Outcome {
        step("finish", self.peer_addr());
        match state.finish {
            None => Ok(()),
            Some(failure) => {
                self.wfile.write_all(b" in finish")?;
                failure.happen("finish")
            }
        }
    }
}

fn word(datagram: &Datagram) -> String {
    String::from_utf8_lossy(datagram.packet())
        .split(' ')
        .next()
        .unwrap_or("")
        .to_owned()
}

fn obey(datagram: &mut Datagram, state: &mut State, name: &str, rest: &str) -> Outcome {
    match name {
        "echo" => datagram.wfile.write_all(rest.as_bytes())?,
        "in-parts" => {
            for part in rest.split(' ') {
                datagram.wfile.write_all(part.as_bytes())?;
                datagram.wfile.flush()?;
            }
        }
        "silent" => {}
        "empty" => datagram.wfile.write(b"").map(drop)?,
        "who" => {
            let who = format!("{} {}", datagram.peer_addr(), datagram.local_addr());
            datagram.wfile.write_all(who.as_bytes())?;
        }
        "length" => {
            let (length, truncated) = (datagram.packet().len(), datagram.is_truncated());
            write!(datagram.wfile, "{length} {truncated}")?;
        }
        "stick" => {
            stick();
            datagram.wfile.write_all(b"soon")?;
        }
        "send" => datagram.wfile.write_all(&vec![b'x'; number(rest)?])?,
        "error" | "panic" => {
            datagram.wfile.write_all(b"half")?;
            return Failure::named(name).expect("it is one").happen("handle");
        }
        _ => return obey_more(datagram, state, name, rest),
    }
    Ok(())
}

fn obey_more(datagram: &mut Datagram, state: &mut State, name: &str, rest: &str) -> Outcome {
    match name {
        "finish-fails" => {
            state.finish = Failure::named(rest);
            datagram.wfile.write_all(b"half")?;
        }
        "both-fail" => {
            state.finish = Failure::named(rest);
            return Err("handle fails".into());
        }
        "drop-panics" => {
            state.drop_panics = true;
            datagram.wfile.write_all(b"drop panics")?;
        }
        "exit" => process::exit(number(rest)?),
        "abort" => process::abort(),
        "pid" => write!(datagram.wfile, "{}", process::id())?,
        "stats" => write!(datagram.wfile, "{}", counts(datagram.server()))?,
        "upgrade" => {
            datagram.server().upgrade();
            datagram.wfile.write_all(b"asked")?;
        }
        "shutdown" => {
            datagram.server().shutdown();
            datagram.server().shutdown();
            datagram.wfile.write_all(b"asked")?;
        }
        "is-shutting-down" => {
            let is_shutting_down = datagram.server().is_shutting_down();
            write!(datagram.wfile, "{is_shutting_down}")?;
        }
        "suspend-gate" => {
            datagram.server().suspend();
            say("waiting", &[("peer", datagram.peer_addr())]);
            drop(File::open(rest)?);
            write!(datagram.wfile, "{}", datagram.server().is_suspended())?;
            datagram.server().resume();
        }
        "gate" => {
            say("waiting", &[("peer", datagram.peer_addr())]);
            drop(File::open(rest)?);
            datagram.wfile.write_all(b"open")?;
        }
        "work" => work(rest)?,
        "send-to" => send_to(datagram, rest)?,
        "conversation" => converse(datagram)?,
        _ => return Err(format!("unknown command `{name}`").into()),
    }
    Ok(())
}

fn send_to(datagram: &Datagram, rest: &str) -> Outcome {
    let (to, text) = rest.split_once(' ').ok_or("write: send-to ADDR TEXT")?;
    let to: std::net::SocketAddr = to.parse()?;
    Ok(datagram.send_to(to, text.as_bytes())?)
}

/// Echoes packets on a socket of its own until one says `bye`.
fn converse(datagram: &Datagram) -> io::Result<()> {
    let conversation = datagram.conversation()?;
    conversation.send(b"begin")?;
    let mut packet = [0; 512];
    loop {
        let count = conversation.recv(&mut packet)?;
        conversation.send(&packet[..count])?;
        if &packet[..count] == b"bye" {
            return Ok(());
        }
    }
}
