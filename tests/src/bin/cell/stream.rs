//! What a stream's client may ask for, one command a line.

use std::fs::File;
use std::process;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use sockserv::prelude::*;
use sockserv::{SendError, Sender};

use crate::flags::{invalid, number};
use crate::state::{Failure, Scenario, State, counts, hooks, say, step, stick, work};

/// Whether the conversation goes on after a command.
enum Next {
    Command,
    End,
}

type Obeyed = Result<Next, Box<dyn std::error::Error + Send + Sync>>;

/// Those who asked to hear what others tell.
static AUDIENCE: Mutex<Vec<Sender>> = Mutex::new(Vec::new());

impl Scenario for Stream {
    fn setup(&mut self, state: &mut State) -> Outcome {
        state.used = true;
        step("setup", self.peer_addr());
        if let Some(count) = hooks().greeting {
            send(self, count)?;
        }
        if hooks().setup_reads {
            let command = command(self)?;
            if let Some(failure) = command
                .as_deref()
                .and_then(|word| word.strip_prefix("setup-"))
            {
                self.wfile.write_all(b"in setup\n")?;
                return Failure::named(failure)
                    .ok_or("no such failure")?
                    .happen("setup");
            }
            state.command = command;
        }
        Ok(())
    }

    fn handle(&mut self, state: &mut State) -> Outcome {
        step("handle", self.peer_addr());
        loop {
            let next = match state.command.take() {
                None => command(self)?,
                command => command,
            };
            let Some(line) = next else { return Ok(()) };
            let (name, rest) = line.split_once(' ').unwrap_or((&line, ""));
            if let Next::End = obey(self, state, name, rest)? {
                return Ok(());
            }
        }
    }

    fn finish(&mut self, state: &mut State) -> Outcome {
        step("finish", self.peer_addr());
        match state.finish {
            None => Ok(()),
            Some(failure) => {
                self.wfile.write_all(b"in finish\n")?;
                failure.happen("finish")
            }
        }
    }
}

fn command(stream: &mut Stream) -> io::Result<Option<String>> {
    let mut line = String::new();
    match stream.rfile.read_line(&mut line)? {
        0 => Ok(None),
        _ => Ok(Some(line.trim_end_matches('\n').to_owned())),
    }
}

fn obey(stream: &mut Stream, state: &mut State, name: &str, rest: &str) -> Obeyed {
    match name {
        // Replies.
        "echo" => writeln!(stream.wfile, "{rest}")?,
        "echo-now" => {
            writeln!(stream.wfile, "{rest}")?;
            stream.wfile.flush()?;
        }
        "who" => {
            let who = format!("{} {}\n", stream.peer_addr(), stream.local_addr());
            stream.wfile.write_all(who.as_bytes())?;
        }
        "credentials" => {
            let who = stream.credentials()?;
            writeln!(
                stream.wfile,
                "{} {} {}",
                who.uid,
                who.gid,
                who.pid.unwrap_or(0)
            )?;
        }
        "pid" => writeln!(stream.wfile, "{}", process::id())?,
        "stats" => writeln!(stream.wfile, "{}", counts(stream.server()))?,
        "send" => send(stream, number(rest)?)?,
        "bye" => return Ok(Next::End),
        _ => return obey_more(stream, state, name, rest),
    }
    Ok(Next::Command)
}

fn obey_more(stream: &mut Stream, state: &mut State, name: &str, rest: &str) -> Obeyed {
    match name {
        "stick" => {
            stick();
            writeln!(stream.wfile, "soon")?;
        }
        // Failures.
        "error" | "panic" => {
            stream.wfile.write_all(rest.as_bytes())?; // Not flushed.
            Failure::named(name).expect("it is one").happen("handle")?;
        }
        "finish-fails" => {
            state.finish = Failure::named(rest);
            writeln!(stream.wfile, "finish fails")?;
        }
        "drop-panics" => {
            state.drop_panics = true;
            writeln!(stream.wfile, "drop panics")?;
        }
        "exit" => process::exit(number(rest)?),
        "abort" => process::abort(),
        "swallow" => {
            // A handler that hides what its stream saw behind an error of its own.
            if command(stream).is_err() {
                return Err("something went wrong".into());
            }
        }
        // The server.
        "shutdown" => {
            stream.server().shutdown();
            stream.server().shutdown();
            writeln!(stream.wfile, "asked")?;
        }
        "upgrade" => {
            stream.server().upgrade();
            writeln!(stream.wfile, "asked")?;
        }
        "suspend" => {
            stream.server().suspend();
            writeln!(stream.wfile, "suspended")?;
        }
        "is-shutting-down" => writeln!(stream.wfile, "{}", stream.server().is_shutting_down())?,
        "is-suspended" => writeln!(stream.wfile, "{}", stream.server().is_suspended())?,
        "resume" => {
            stream.server().resume();
            writeln!(stream.wfile, "resumed")?;
        }
        _ => return obey_waits(stream, state, name, rest),
    }
    Ok(Next::Command)
}

fn obey_waits(stream: &mut Stream, state: &mut State, name: &str, rest: &str) -> Obeyed {
    match name {
        // Owes a reply from here on: the next command finds it not idle.
        "owe" => say("owes", &[("peer", stream.peer_addr())]),
        "owe-idle" => {
            stream.idle();
            say("owes", &[("peer", stream.peer_addr())]);
        }
        "busy" => {
            let busy = stream.busy();
            writeln!(stream.wfile, "busy")?;
            let line = command(stream)?;
            writeln!(stream.wfile, "{}", line.as_deref().unwrap_or("the end"))?;
            drop(busy);
        }
        // Waits for something that is no read: until somebody opens the pipe.
        "gate" => {
            writeln!(stream.wfile, "waiting")?;
            stream.wfile.flush()?;
            drop(File::open(rest)?);
            writeln!(stream.wfile, "open")?;
        }
        "park" => park(stream)?,
        "work" => work(rest)?,
        "timeout" => {
            stream.set_timeout(Duration::from_millis(number(rest)?))?;
            writeln!(stream.wfile, "set")?;
        }
        "exactly" => {
            let bytes = stream.rfile.read_bytes(number(rest)?)?;
            writeln!(stream.wfile, "{}", bytes.len())?;
        }
        "hold" => {
            state.held = (0..number(rest)?)
                .map_while(|_| File::open("/dev/null").ok())
                .collect();
            writeln!(stream.wfile, "{}", state.held.len())?;
        }
        "drop-held" => {
            state.held.clear();
            writeln!(stream.wfile, "dropped")?;
        }
        _ => return obey_ways(stream, name, rest),
    }
    Ok(Next::Command)
}

/// Waits for something that never comes.
fn park(stream: &mut Stream) -> io::Result<()> {
    writeln!(stream.wfile, "parked")?;
    stream.wfile.flush()?;
    loop {
        thread::park();
    }
}

fn obey_ways(stream: &mut Stream, name: &str, rest: &str) -> Obeyed {
    match name {
        "into-inner" => {
            let (mut socket, unread) = stream.into_inner()?;
            socket.write_all(b"inner ")?;
            socket.write_all(&unread)?;
            return Ok(Next::End);
        }
        "split" => split(stream)?,
        "oob" => stream.send_oob(rest.as_bytes())?,
        "recv-oob" => {
            stream.wfile.write_all(b"ready\n")?;
            stream.wfile.flush()?;
            poll(&mut [PollFd::new(&*stream.socket(), PollFlags::PRI)], None)?;
            return obey_ways(stream, "recv-oob-now", rest);
        }
        "recv-oob-now" => {
            let mut urgent = [0; 8];
            let count = stream.recv_oob(&mut urgent)?;
            writeln!(
                stream.wfile,
                "urgent {}",
                String::from_utf8_lossy(&urgent[..count])
            )?;
        }
        "listen" => {
            AUDIENCE
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(stream.sender());
            writeln!(stream.wfile, "listening")?;
        }
        "tell" => {
            let audience = AUDIENCE.lock().unwrap_or_else(PoisonError::into_inner);
            let results: Vec<_> = audience.iter().map(|sender| told(sender, rest)).collect();
            writeln!(stream.wfile, "{}", results.join(" "))?;
        }
        "rest-in-child" => {
            let rest = rest.to_owned();
            stream.finish_in_child(move |stream| finish_elsewhere(stream, &rest))?;
        }
        "rest-in-thread" => {
            let rest = rest.to_owned();
            stream.finish_in_thread(move |stream| finish_elsewhere(stream, &rest))?;
        }
        _ => return Err(invalid(format!("unknown command `{name}`")).into()),
    }
    Ok(Next::Command)
}

fn told(sender: &Sender, text: &str) -> &'static str {
    match sender.send(format!("{text}\n")) {
        Ok(()) => "sent",
        Err(SendError::Full) => "full",
        Err(_) => "closed",
    }
}

/// Echoes in both directions at once until the peer ends its own.
fn split(stream: &mut Stream) -> io::Result<()> {
    let (mut reader, mut writer) = stream.split();
    thread::scope(|scope| {
        scope
            .spawn(|| io::copy(&mut reader, &mut writer))
            .join()
            .expect("it does not panic")
    })?;
    Ok(())
}

/// The rest of a request, in a child or a thread.
fn finish_elsewhere(stream: &mut Stream, deed: &str) -> Outcome {
    step("rest", stream.peer_addr());
    match deed {
        "exit" => process::exit(3),
        "abort" => process::abort(),
        "park" => Ok(park(stream)?),
        "echo" => {
            while let Some(line) = command(stream)? {
                writeln!(stream.wfile, "{line}")?;
            }
            Ok(())
        }
        _ => Failure::named(deed).ok_or("no such deed")?.happen("rest"),
    }
}

/// So many bytes, the position of each in it.
fn send(stream: &mut Stream, count: usize) -> io::Result<()> {
    let mut pattern = (0..251).collect::<Vec<u8>>().repeat(count / 251 + 1);
    pattern.truncate(count);
    stream.wfile.write_all(&pattern)
}
