//! Faults behind the two seams: transports that do as little as they may, or break, and accepts that fail between good ones.

use std::collections::VecDeque;
use std::net::Shutdown;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::io::Errno;
use sockserv::observer::{Event, Observer};
use sockserv::prelude::*;
use sockserv::socket2::Socket;
use sockserv::{Incoming, Listener, Running, Transport, Wait};
use sockserv_tests::DEADLINE;

use crate::{Test, this};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("p01_sync_stands_a_lame_transport", sync::lame),
        ("p01_threading_stands_a_lame_transport", threading::lame),
        ("p01_pool_stands_a_lame_transport", pool::lame),
        ("a06_sync_stands_a_break_at_any_call", sync::broken),
        (
            "a06_threading_stands_a_break_at_any_call",
            threading::broken,
        ),
        ("a06_pool_stands_a_break_at_any_call", pool::broken),
    ]
}

/// Each in a process of its own, whose lines are counted.
pub(crate) fn trials() -> Vec<Trial> {
    let names = served().into_iter().map(|(name, _)| name);
    names
        .map(|name| Trial::test(name, move || says_little(name)))
        .collect()
}

pub(crate) fn served() -> Vec<Test> {
    vec![
        ("a02_sync_lives_through_each_errno", sync::failing_accept),
        (
            "a02_threading_lives_through_each_errno",
            threading::failing_accept,
        ),
        ("a02_pool_lives_through_each_errno", pool::failing_accept),
    ]
}

/// How a transport behaves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fault {
    /// One byte a call.
    short: bool,
    /// How often a call is interrupted before it does something.
    interrupts: usize,
    /// How often a call that must not wait finds nothing, whatever there is.
    blocks: usize,
    /// The call that finds the connection reset, counted from zero.
    breaks: Option<usize>,
    /// Whether it hides its descriptor, so that nobody can poll it.
    hides: bool,
}

impl Fault {
    /// One byte a call, and a break at this one.
    pub(crate) fn break_at(call: usize, hides: bool) -> Self {
        Self {
            short: true,
            breaks: Some(call),
            hides,
            ..Self::default()
        }
    }
}

#[derive(Debug)]
pub(crate) struct Faulty {
    socket: Socket,
    fault: Fault,
    calls: AtomicUsize,
    interrupts: AtomicUsize,
    blocks: AtomicUsize,
    /// Of all transports, to know how many points there are at which one can break.
    total: Arc<AtomicUsize>,
}

impl Faulty {
    pub(crate) fn new(socket: impl Into<Socket>, fault: Fault, total: Arc<AtomicUsize>) -> Self {
        Self {
            socket: socket.into(),
            fault,
            calls: AtomicUsize::new(0),
            interrupts: AtomicUsize::new(0),
            blocks: AtomicUsize::new(0),
            total,
        }
    }

    /// What a call meets before it may do something; returns how much that is.
    fn meet(&self, wait: Wait, length: usize) -> io::Result<usize> {
        let again = |count: &AtomicUsize, most: usize| {
            let met = count.fetch_add(1, Ordering::SeqCst) < most;
            if !met {
                count.store(0, Ordering::SeqCst);
            }
            met
        };
        if again(&self.interrupts, self.fault.interrupts) {
            return Err(Errno::INTR.into());
        }
        if wait == Wait::Not && again(&self.blocks, self.fault.blocks) {
            return Err(Errno::AGAIN.into());
        }
        self.total.fetch_add(1, Ordering::SeqCst);
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        if self.fault.breaks.is_some_and(|at| call >= at) {
            // The other end sees an end, too; it may have seen one before.
            let _ = self.socket.shutdown(Shutdown::Both);
            return Err(Errno::CONNRESET.into());
        }
        Ok(if self.fault.short {
            length.min(1)
        } else {
            length
        })
    }
}

impl Transport for Faulty {
    fn recv(&self, buffer: &mut [u8], wait: Wait) -> io::Result<usize> {
        let length = self.meet(wait, buffer.len())?;
        Transport::recv(&self.socket, &mut buffer[..length], wait)
    }

    fn send(&self, bytes: &[u8], wait: Wait) -> io::Result<usize> {
        let length = self.meet(wait, bytes.len())?;
        Transport::send(&self.socket, &bytes[..length], wait)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        Transport::shutdown(&self.socket, how)
    }

    fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        Transport::set_timeout(&self.socket, timeout)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.socket.descriptor().filter(|_| !self.fault.hides)
    }
}

type Next = io::Result<Incoming>;

/// A listener that hands out what a test feeds it.
#[derive(Clone, Default)]
struct Feed {
    next: Arc<Mutex<VecDeque<Next>>>,
    calls: Arc<AtomicUsize>,
}

impl Feed {
    fn push(&self, next: Next) {
        self.next.lock().expect("nobody panics").push_back(next);
    }

    /// A connection over a transport with this fault.
    fn connect(&self, fault: Fault) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        theirs
            .set_read_timeout(Some(DEADLINE))
            .expect("an own socket");
        let faulty = Faulty::new(ours, fault, Arc::clone(&self.calls));
        self.push(Ok(Incoming::stream(faulty)));
        theirs
    }
}

impl Listener for Feed {
    fn accept(&self) -> io::Result<(Incoming, Address)> {
        let next = self.next.lock().expect("nobody panics").pop_front();
        next.unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()))
            .map(|incoming| (incoming, Address::Unnamed))
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn local_addr(&self) -> Address {
        Address::Unnamed
    }
}

/// What an observer was told, and what the handler did.
#[derive(Clone, Default)]
struct Told(Arc<(Mutex<Counts>, Condvar)>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    started: usize,
    stopped: usize,
    paused: usize,
    disconnects: usize,
    other_errors: usize,
    setups: usize,
    finishes: usize,
}

impl Told {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.0.lock().expect("nobody panics")
    }

    fn note(&self, note: impl FnOnce(&mut Counts)) {
        note(&mut self.counts());
        self.0.1.notify_all();
    }

    fn expect(&self, is_so: impl Fn(&Counts) -> bool) {
        let not_yet = |counts: &mut Counts| !is_so(counts);
        let (counts, _) = self
            .0
            .1
            .wait_timeout_while(self.counts(), DEADLINE, not_yet)
            .expect("nobody panics");
        assert!(is_so(&counts), "{counts:?}");
    }
}

impl Observer for Told {
    fn observe(&self, event: &Event<'_>) {
        self.note(|counts| match event {
            Event::Started(_) => counts.started += 1,
            Event::Stopped(_) => counts.stopped += 1,
            Event::Paused { .. } => counts.paused += 1,
            Event::Failed { error, .. } if error.is_disconnect() => counts.disconnects += 1,
            Event::Failed { .. } => counts.other_errors += 1,
            _ => {}
        });
    }
}

/// Reads a line in each method, and answers it.
pub(crate) fn answer(stream: &mut Stream) -> io::Result<()> {
    let mut line = String::new();
    while stream.rfile.read_line(&mut line)? > 0 {
        stream.wfile.write_all(line.as_bytes())?;
        if line == "next\n" {
            break;
        }
        line.clear();
    }
    Ok(())
}

macro_rules! models {
    ($($model:ident),*) => {$(
        mod $model {
            use super::*;

            #[derive(Clone)]
            struct Talk(Told);

            #[server($model, listener = Feed)]
            impl Talk {
                fn setup(&mut self, stream: &mut Stream) -> io::Result<()> {
                    answer(stream)?;
                    self.0.note(|counts| counts.setups += 1);
                    Ok(())
                }

                fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
                    answer(stream)
                }

                fn finish(&mut self, stream: &mut Stream) -> io::Result<()> {
                    self.0.note(|counts| counts.finishes += 1);
                    stream.wfile.write_all(b"bye\n")
                }

                fn handle_error(&mut self, _error: &RequestError, _peer: &Address) {}
            }

            fn serve() -> (Feed, Told, Running) {
                let (feed, told) = (Feed::default(), Told::default());
                let server = TalkServer::builder(Talk(told.clone()))
                    .listener(feed.clone())
                    .observer(told.clone())
                    .bind()
                    .expect("nothing is opened");
                (feed, told, server.spawn().expect("a thread"))
            }

            pub(super) fn lame() {
                let (feed, told, running) = serve();
                super::lame(&feed, &told);
                running.shutdown().expect("a good end");
            }

            pub(super) fn broken() {
                let (feed, told, running) = serve();
                super::broken(&feed, &told, &running);
                running.shutdown().expect("a good end");
            }

            pub(super) fn failing_accept() {
                let (feed, told, running) = serve();
                super::failing_accept(&feed, &told, &running, stringify!($model) != "sync");
                running.shutdown().expect("a good end");
            }
        }
    )*};
}
models!(sync, threading, pool);

/// A whole conversation, which must lose nothing.
pub(crate) fn converse(mut client: UnixStream) {
    let text = format!("{}\nnext\nin handle\n", "x".repeat(2000));
    client.write_all(text.as_bytes()).expect("it fits");
    client.shutdown(Shutdown::Write).expect("it is open");
    let reply = io::read_to_string(client).expect("no reset");
    assert_eq!(reply, format!("{text}bye\n"));
}

/// Goes on talking after the last question: that is drained, so that no reset takes the reply.
fn say_more_than_is_heard(mut client: UnixStream) {
    client.write_all(b"next\nnext\nand so on").expect("it fits");
    let reply = io::read_to_string(client).expect("no reset");
    assert_eq!(reply, "next\nnext\nbye\n");
}

/// All that slows a transport down and breaks nothing.
pub(crate) fn lame_faults() -> impl Iterator<Item = Fault> + Clone {
    let faults = [
        (true, 0, 0),
        (false, 1000, 0),
        (false, 0, 1000),
        (true, 3, 3),
    ];
    let with = |(short, interrupts, blocks)| {
        [false, true].map(|hides| Fault {
            short,
            interrupts,
            blocks,
            hides,
            breaks: None,
        })
    };
    faults.into_iter().flat_map(with)
}

fn lame(feed: &Feed, told: &Told) {
    let mut count = 0;
    for fault in lame_faults() {
        converse(feed.connect(fault));
        count += 1;
    }
    for interrupts in [0, 5] {
        say_more_than_is_heard(feed.connect(Fault {
            short: true,
            interrupts,
            ..Fault::default()
        }));
        count += 1;
    }
    told.expect(|counts| counts.stopped == count);
    let expected = Counts {
        started: count,
        stopped: count,
        setups: count,
        finishes: count,
        ..Counts::default()
    };
    assert_eq!(*told.counts(), expected);
}

/// A few words, and whatever comes of them; returns whether that is all there is.
pub(crate) fn try_to_converse(mut client: UnixStream) -> bool {
    const ALL: &[u8] = b"one\nnext\ntwo\nbye\n";
    // Who has left already takes no more.
    let _ = client.write_all(b"one\nnext\ntwo\n");
    let _ = client.shutdown(Shutdown::Write);
    let mut reply = Vec::new();
    if let Err(error) = client.read_to_end(&mut reply) {
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}");
    }
    assert!(ALL.starts_with(&reply), "{reply:?}");
    reply == ALL
}

fn broken(feed: &Feed, told: &Told, running: &Running) {
    for hides in [false, true] {
        let whole = Fault {
            short: true,
            hides,
            ..Fault::default()
        };
        let before = (feed.calls.load(Ordering::SeqCst), told.counts().stopped);
        assert!(try_to_converse(feed.connect(whole)));
        told.expect(|counts| counts.stopped == before.1 + 1);
        let points = feed.calls.load(Ordering::SeqCst) - before.0;
        assert!(points > 20, "{points}: at least one for each byte");
        for at in 0..points {
            try_to_converse(feed.connect(Fault::break_at(at, hides)));
        }
        told.expect(|counts| counts.stopped == before.1 + 1 + points);
        converse(feed.connect(Fault::default()));
        told.expect(|counts| counts.stopped == before.1 + 2 + points);
    }
    let counts = *told.counts();
    assert_eq!(counts.started, counts.stopped);
    assert_eq!(counts.setups, counts.finishes);
    assert_eq!(counts.other_errors, 0, "{counts:?}");
    assert!(counts.disconnects > 40, "{counts:?}");
    let stats = running.handle().stats();
    assert_eq!(stats.active, 0);
    assert_eq!(stats.failed, counts.disconnects as u64);
    assert_eq!(stats.finished + stats.failed, counts.stopped as u64);
}

pub(crate) const OF_ONE_CONNECTION: [Errno; 13] = [
    Errno::INTR,
    Errno::CONNABORTED,
    Errno::CONNRESET,
    Errno::PROTO,
    Errno::PERM,
    Errno::NETDOWN,
    Errno::NOPROTOOPT,
    Errno::HOSTDOWN,
    Errno::NONET,
    Errno::HOSTUNREACH,
    Errno::OPNOTSUPP,
    Errno::NETUNREACH,
    Errno::TIMEDOUT,
];

pub(crate) const OF_THE_MACHINE: [Errno; 5] = [
    Errno::MFILE,
    Errno::NFILE,
    Errno::NOBUFS,
    Errno::NOMEM,
    Errno::NOSR,
];

/// Between any two errors a good request is served.
fn failing_accept(feed: &Feed, told: &Told, running: &Running, is_concurrent: bool) {
    let good = Fault::default();
    let mut alive = is_concurrent.then(|| feed.connect(good));
    for errno in OF_ONE_CONNECTION {
        feed.push(Err(errno.into()));
        converse(feed.connect(good));
    }
    for (nth, errno) in OF_THE_MACHINE.into_iter().enumerate() {
        feed.push(Err(errno.into()));
        // With nothing alive the queue is shed, so what is to be served comes after that.
        told.expect(|counts| counts.paused == nth + 1);
        converse(feed.connect(good));
    }
    if let Some(client) = alive.take() {
        converse(client); // It was there all the time.
    }
    let count = OF_ONE_CONNECTION.len() + OF_THE_MACHINE.len() + usize::from(is_concurrent);
    told.expect(|counts| counts.stopped == count);
    let stats = running.handle().stats();
    assert_eq!(
        (stats.finished, stats.failed, stats.refused, stats.active),
        (count as u64, 0, OF_ONE_CONNECTION.len() as u64, 0),
        "finished, failed, refused, active"
    );
}

/// Runs one of `served`, and insists on at most one line a second about accepting.
fn says_little(name: &str) -> Result<(), libtest_mimic::Failed> {
    let began = Instant::now();
    let output = std::process::Command::new(this())
        .args(["--alone", name])
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    let lines = said.lines().count();
    let about = said
        .lines()
        .filter(|line| line.contains("cannot accept on"))
        .count();
    assert_eq!(lines, about, "nothing else is worth a line: {said}");
    let most = 1 + usize::try_from(began.elapsed().as_secs()).expect("not long");
    assert!((1..=most).contains(&lines), "one a second: {said}");
    Ok(())
}
