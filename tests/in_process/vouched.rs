//! `unsafe(forking)`: a server that forks although its process has other threads, because its author vouches for it. D12.
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    reason = "the word of the attribute, and no comment reaches the block that it becomes"
)]

use std::net::Shutdown;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::pipe::PipeFlags;
use rustix::process::Signal;
use sockserv::prelude::*;
use sockserv_tests::{DEADLINE, Process, wait_until};

use crate::Test;
use crate::alone::somebody_else;
use crate::echo::echo;
use crate::runs::threading;

pub(crate) fn alone() -> Vec<Test> {
    vec![
        (
            "d12_vouched_forking_serves_beside_other_threads",
            beside_threads,
        ),
        (
            "p05_the_end_is_sent_although_anothers_child_has_the_socket",
            end_beside_a_child,
        ),
        ("p08_a_child_that_cannot_end_is_killed", cannot_end),
    ]
}

#[derive(Clone)]
struct Vouched {
    errors: std::sync::mpsc::Sender<String>,
}

// A child of this handler takes no lock that another thread of the test holds.
#[server(tcp, unsafe(forking))]
impl Vouched {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        let mut line = String::new();
        while stream.rfile.read_line(&mut line)? > 0 {
            match line.trim_end() {
                "abort" => std::process::abort(),
                "clog" => {
                    clog_stdout()?;
                    stream.wfile.write_all(b"clogged\n")?;
                }
                "pid" => writeln!(stream.wfile, "{}", std::process::id())?,
                _ => stream.wfile.write_all(line.as_bytes())?,
            }
            line.clear();
        }
        Ok(())
    }

    fn handle_error(&mut self, error: &RequestError, _peer: &Address) {
        // Only while the test waits for it.
        let _ = self.errors.send(error.to_string());
    }
}

/// Lets the flush at the end of this process wait for ever, or until the server's thread has ended.
fn clog_stdout() -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::NONBLOCK)?;
    while rustix::io::write(&writer, &[0; 4096]).is_ok() {}
    rustix::fs::fcntl_setfl(&writer, OFlags::empty())?;
    rustix::stdio::dup2_stdout(&writer)?;
    std::mem::forget(reader);
    io::stdout().write_all(b"no line's end")
}

fn end_beside_a_child() {
    let (errors, _told) = std::sync::mpsc::channel();
    let vouched = VouchedServer::bind_to("127.0.0.1:0", Vouched { errors })
        .and_then(VouchedServer::spawn)
        .expect("a free port");
    let other = threading().spawn().expect("a thread");
    let mut client = other.connect().expect("it listens");
    echo(&mut client, "here");
    // Its child has whatever this process has.
    let mut childs = vouched.connect().expect("it listens");
    echo(&mut childs, "there");
    client.set_timeout(Some(DEADLINE)).expect("an own socket");
    client.shutdown(Shutdown::Write).expect("it is open");
    assert_eq!(client.read(&mut [0]).expect("an end"), 0);
    echo(&mut childs, "there still");
}

fn cannot_end() {
    let (errors, _told) = std::sync::mpsc::channel();
    let running = VouchedServer::builder(Vouched { errors })
        .addr("127.0.0.1:0")
        .shutdown_grace(Duration::ZERO)
        .bind()
        .expect("a free port")
        .spawn()
        .expect("a thread");
    let handle = running.handle().clone();
    let mut client = running.connect().expect("it listens");
    assert_eq!(crate::echo::ask(&mut client, "clog"), "clogged");
    client.shutdown(Shutdown::Write).expect("it is open"); // The child has a copy of it, too.
    wait_until(|| handle.stats().finished == 1);
    let (ended, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || ended.send(running.shutdown()));
    let report = end.recv_timeout(DEADLINE).expect("the server ends");
    let report = report.expect("a good end");
    assert_eq!((report.finished(), report.cut()), (0, 0));
    assert_eq!(Process(std::process::id()).children(), []);
}

fn beside_threads() {
    let own = Process(std::process::id());
    let (done, thread) = somebody_else();
    let before = own.descriptors();
    let (errors, told) = std::sync::mpsc::channel();
    let running = VouchedServer::bind_to("127.0.0.1:0", Vouched { errors })
        .expect("a free port")
        .spawn()
        .expect("a thread");
    let mut bystander = running.connect().expect("it listens");
    let child = crate::echo::ask(&mut bystander, "pid");
    assert_ne!(child, own.0.to_string(), "a child of its own");
    for _ in 0..10 {
        echo(&mut running.connect().expect("it listens"), "here");
        let mut client = running.connect().expect("it listens");
        client.write_all(b"abort\n").expect("it reads");
        // The end of a child that crashes may be a reset.
        assert!(!matches!(client.read(&mut [0]), Ok(1..)), "no answer");
        let error = told.recv_timeout(DEADLINE).expect("the crash is reported");
        assert!(error.contains("SIGABRT"), "{error}");
    }
    echo(&mut bystander, "still here");
    drop(bystander);
    let report = running.shutdown().expect("a good end");
    assert_eq!(report.cut(), 0);
    assert_eq!(own.children(), [], "no child, not even a dead one");
    assert_eq!(own.descriptors(), before);
    drop(done);
    thread.join().expect("it does not panic");
}
