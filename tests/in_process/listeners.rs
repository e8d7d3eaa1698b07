//! Own listeners: what each error of accept(2) leads to, and requests that come from no socket. Promise 1, F35, A2, D13, T29.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use sockserv::prelude::*;
use sockserv::{Incoming, Listener, Stats};

use crate::Test;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("a02_each_errno_of_accept_is_survived_by_sync", || {
            errors_of_one_connection(sync::serve_to_end);
        }),
        ("a02_each_errno_of_accept_is_survived_by_threading", || {
            errors_of_one_connection(threading::serve_to_end);
        }),
        ("a02_each_errno_of_accept_is_survived_by_pool", || {
            errors_of_one_connection(pool::serve_to_end);
        }),
        (
            "a02_a_lack_of_resources_pauses_the_listener",
            lack_of_resources,
        ),
        ("p01_the_queue_is_shed_only_if_nothing_can_end", shedding),
        (
            "p01_a_pause_is_interrupted_by_a_shutdown",
            pause_and_shutdown,
        ),
        (
            "p01_a_broken_listener_ends_the_server_with_its_error",
            broken,
        ),
        (
            "p01_a_broken_listener_lets_live_requests_finish",
            broken_while_serving,
        ),
        (
            "f35_a_listener_that_is_exhausted_ends_the_server",
            exhausted,
        ),
        ("f35_a_packet_may_come_from_anywhere", packet_from_anywhere),
        ("f35_a_listener_may_wait_in_accept", waiting_listener),
        ("f35_a_listener_is_given_no_address", no_address),
    ]
}

/// What a test lets `accept` return, one after another.
enum Next {
    Fail(i32),
    Packet(&'static str),
    Stream(UnixStream),
    /// `ErrorKind::UnexpectedEof`: there will never be another one.
    End,
}

/// When `accept` was called.
#[derive(Default)]
struct Calls {
    times: Mutex<Vec<Instant>>,
    more: Condvar,
}

impl Calls {
    fn note(&self) {
        self.times
            .lock()
            .expect("nobody panics")
            .push(Instant::now());
        self.more.notify_all();
    }

    /// Waits until there are so many.
    fn await_count(&self, count: usize) -> Vec<Instant> {
        let times = self.times.lock().expect("nobody panics");
        let fewer = |times: &mut Vec<Instant>| times.len() < count;
        let (times, _) = self
            .more
            .wait_timeout_while(times, sockserv_tests::DEADLINE, fewer)
            .expect("nobody panics");
        assert!(times.len() >= count, "{} calls of {count}", times.len());
        times.clone()
    }
}

/// A listener that returns what is in its script, and nothing when that is empty.
struct Script {
    next: Arc<Mutex<VecDeque<Next>>>,
    calls: Arc<Calls>,
}

impl Default for Script {
    fn default() -> Self {
        Script::of([]).0
    }
}

impl Script {
    fn of(next: impl IntoIterator<Item = Next>) -> (Self, Arc<Calls>) {
        let calls = Arc::new(Calls::default());
        let script = Script {
            next: Arc::new(Mutex::new(next.into_iter().collect())),
            calls: Arc::clone(&calls),
        };
        (script, calls)
    }
}

impl Listener for Script {
    fn accept(&self) -> io::Result<(Incoming, Address)> {
        let next = self.next.lock().expect("nobody panics").pop_front();
        match next {
            None => Err(io::ErrorKind::WouldBlock.into()),
            Some(Next::End) => Err(io::ErrorKind::UnexpectedEof.into()),
            Some(Next::Fail(errno)) => {
                self.calls.note();
                Err(io::Error::from_raw_os_error(errno))
            }
            Some(Next::Packet(text)) => {
                self.calls.note();
                Ok((Incoming::from_packet(text), Address::Unnamed))
            }
            Some(Next::Stream(stream)) => Ok((stream.into(), Address::Unnamed)),
        }
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn local_addr(&self) -> Address {
        Address::Unnamed
    }
}

/// Remembers packets, and echoes streams.
#[derive(Clone, Debug, Default)]
struct Record {
    packets: Arc<(Mutex<Vec<String>>, Condvar)>,
}

#[server(threading, listener = Script)]
impl Record {
    fn handle<R: Request>(&mut self, request: &mut R) -> io::Result<()> {
        self.record(request)
    }
}

/// The same under each model that an own listener may have.
macro_rules! models {
    ($($model:ident)+) => {
        $(mod $model {
            use sockserv::Stats;
            use sockserv::prelude::*;

            use super::Script;

            #[derive(Clone)]
            struct Record(super::Record);

            #[server($model, listener = Script)]
            impl Record {
                fn handle<R: Request>(&mut self, request: &mut R) -> io::Result<()> {
                    self.0.record(request)
                }
            }

            /// Serves until the script ends.
            pub(super) fn serve_to_end(script: Script, record: &super::Record) -> io::Result<Stats> {
                let builder = RecordServer::builder(Record(record.clone()));
                let mut server = builder.listener(script).bind()?;
                server.serve_forever()?;
                Ok(server.handle().stats())
            }
        })+
    };
}
models!(sync threading pool);

impl Record {
    fn record<R: Request>(&self, request: &mut R) -> io::Result<()> {
        let mut text = String::new();
        let (rfile, wfile) = request.files();
        while rfile.read_line(&mut text)? > 0 {
            if text.ends_with('\n') {
                wfile.write_all(text.as_bytes())?;
                text.clear();
            }
        }
        if !text.is_empty() {
            self.packets.0.lock().expect("nobody panics").push(text);
            self.packets.1.notify_all();
        }
        Ok(())
    }
}

impl Record {
    fn expect(&self, texts: &[&str]) {
        let (packets, more) = &*self.packets;
        let packets = packets.lock().expect("nobody panics");
        let enough = |packets: &mut Vec<String>| packets.len() < texts.len();
        let (mut packets, _) = more
            .wait_timeout_while(packets, sockserv_tests::DEADLINE, enough)
            .expect("nobody panics");
        packets.sort();
        assert_eq!(*packets, texts);
    }
}

fn serve(script: Script, record: &Record) -> RecordServer {
    RecordServer::builder(record.clone())
        .listener(script)
        .bind()
        .expect("nothing is opened")
}

fn errors_of_one_connection(serve_to_end: fn(Script, &Record) -> io::Result<Stats>) {
    let errors = [
        Errno::INTR,
        Errno::CONNABORTED,
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
        Errno::AGAIN,
    ];
    let failures = errors.iter().map(|errno| Next::Fail(errno.raw_os_error()));
    let (script, _) = Script::of(failures.chain([Next::Packet("survived"), Next::End]));
    let record = Record::default();
    let stats = serve_to_end(script, &record).expect("none of them ends the server");
    record.expect(&["survived"]);
    assert_eq!((stats.finished, stats.failed), (1, 0));
    assert_eq!(
        stats.refused,
        errors.len() as u64 - 1,
        "each is counted, but EAGAIN is nothing at all"
    );
}

fn lack_of_resources() {
    let errors = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    let failures = errors.iter().map(|errno| Next::Fail(errno.raw_os_error()));
    // While something of ours is alive that may end and give a descriptor back, nobody is turned away.
    let (alive, mut peer) = UnixStream::pair().expect("a pair");
    let script = [Next::Stream(alive)]
        .into_iter()
        .chain(failures)
        .chain([Next::Packet("survived"), Next::End]);
    let (script, calls) = Script::of(script);
    let record = Record::default();
    let running = serve(script, &record).spawn().expect("a thread");
    record.expect(&["survived"]);
    // The listener has ended, and what is alive goes on.
    peer.write_all(b"a line\n").expect("it is alive");
    let mut reply = [0; 7];
    peer.read_exact(&mut reply).expect("a reply");
    drop(peer);
    running.join().expect("none of them ends the server");
    let calls = calls.await_count(5);
    let pauses: Vec<_> = calls.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (pause, millis) in pauses.iter().zip([5, 10, 20, 40]) {
        assert!(
            *pause >= Duration::from_millis(millis),
            "5 ms, doubling: {pauses:?}"
        );
        assert!(
            *pause < Duration::from_millis(millis) + Duration::from_secs(1),
            "{pauses:?}"
        );
    }
    assert_eq!(pauses.len(), 4);
}

/// With nothing alive no descriptor will ever be given back: the queue is shed by a spare one.
fn shedding() {
    let (shed, peer) = UnixStream::pair().expect("a pair");
    let failure = Errno::MFILE.raw_os_error();
    let (script, _) = Script::of([
        Next::Fail(failure),
        Next::Stream(shed),
        Next::Fail(failure),
        Next::Packet("served"),
        Next::End,
    ]);
    let record = Record::default();
    let mut server = serve(script, &record);
    server.serve_forever().expect("a good end");
    assert_eq!(
        io::read_to_string(peer).expect("an end"),
        "",
        "it was turned away"
    );
    record.expect(&["served"]);
    let stats = server.handle().stats();
    assert_eq!((stats.finished, stats.refused), (1, 1));
}

fn pause_and_shutdown() {
    // Twelve failures lead to pauses of a second.
    let (script, calls) = Script::of((0..100).map(|_| Next::Fail(Errno::MFILE.raw_os_error())));
    let record = Record::default();
    let running = serve(script, &record).spawn().expect("a thread");
    calls.await_count(9);
    let began = Instant::now();
    running.shutdown().expect("a good end");
    assert!(
        began.elapsed() < Duration::from_millis(500),
        "{:?}",
        began.elapsed()
    );
}

fn broken() {
    for errno in [Errno::BADF, Errno::NOTSOCK, Errno::INVAL, Errno::FAULT] {
        let (script, _) = Script::of([
            Next::Packet("served before"),
            Next::Fail(errno.raw_os_error()),
        ]);
        let record = Record::default();
        let error = serve(script, &record)
            .serve_forever()
            .expect_err("it is broken");
        let reason = io::Error::from(errno).to_string();
        assert!(error.to_string().contains(&reason), "{error} has {reason}");
        record.expect(&["served before"]);
    }
}

fn broken_while_serving() {
    let (ours, mut theirs) = UnixStream::pair().expect("a pair");
    let (script, _) = Script::of([Next::Stream(ours), Next::Fail(Errno::BADF.raw_os_error())]);
    theirs.write_all(b"a line\nno end").expect("it fits");
    let record = Record::default();
    let running = serve(script, &record).spawn().expect("a thread");
    let mut reply = [0; 7];
    theirs.read_exact(&mut reply).expect("a reply");
    assert_eq!(&reply, b"a line\n");
    theirs
        .shutdown(std::net::Shutdown::Write)
        .expect("it is open");
    running.join().expect_err("the listener was broken");
    record.expect(&["no end"]);
}

fn exhausted() {
    let (script, _) = Script::of([Next::Packet("one"), Next::Packet("two"), Next::End]);
    let record = Record::default();
    let mut server = serve(script, &record);
    server.serve_forever().expect("a good end");
    record.expect(&["one", "two"]);
    assert_eq!(server.handle().stats().finished, 2);
}

/// A listener of one packet whose reply goes into a list.
#[derive(Default)]
struct Once {
    done: Mutex<bool>,
}

static REPLIES: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

impl Listener for Once {
    fn accept(&self) -> io::Result<(Incoming, Address)> {
        match std::mem::replace(&mut *self.done.lock().expect("nobody panics"), true) {
            true => Err(io::ErrorKind::UnexpectedEof.into()),
            false => {
                let reply = |bytes: &[u8]| {
                    REPLIES.lock().expect("nobody panics").push(bytes.to_vec());
                    Ok(())
                };
                Ok((
                    Incoming::from_packet_with("question", reply),
                    Address::Abstract(b"a row of a table".to_vec()),
                ))
            }
        }
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn local_addr(&self) -> Address {
        Address::Unnamed
    }
}

#[derive(Clone)]
struct Answer;

#[server(sync, listener = Once)]
impl Answer {
    fn handle(&mut self, datagram: &mut Datagram) -> io::Result<()> {
        assert_eq!(
            datagram.peer_addr(),
            &Address::Abstract(b"a row of a table".to_vec())
        );
        let question = datagram.packet().clone();
        write!(
            datagram.wfile,
            "answer to {}",
            String::from_utf8_lossy(&question)
        )
    }
}

fn packet_from_anywhere() {
    AnswerServer::bind(Answer)
        .expect("nothing is opened")
        .serve_forever()
        .expect("a good end");
    assert_eq!(
        *REPLIES.lock().expect("nobody panics"),
        [b"answer to question"]
    );
}

fn no_address() {
    let refused = |bound: io::Result<AnswerServer>| {
        let error = bound.expect_err("nobody listens there");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(
            error.to_string(),
            "this server's listener knows where it listens; leave out `127.0.0.1:7007`"
        );
    };
    refused(AnswerServer::bind_to("127.0.0.1:7007", Answer));
    let builder = AnswerServer::builder(Answer);
    refused(
        builder
            .listener(Once::default())
            .addr("127.0.0.1:7007")
            .bind(),
    );
}

/// As many bytes as requests.
const PACKET: &str = "packets";

/// A listener whose `accept` waits for what the request before says.
struct Channel(Mutex<mpsc::Receiver<&'static str>>);

impl Default for Channel {
    fn default() -> Self {
        Self(Mutex::new(mpsc::channel().1))
    }
}

impl Listener for Channel {
    fn accept(&self) -> io::Result<(Incoming, Address)> {
        let next = self.0.lock().expect("nobody panics");
        match next.recv_timeout(sockserv_tests::DEADLINE) {
            Ok(text) => Ok((Incoming::from_packet(text), Address::Unnamed)),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(timeout) => Err(io::Error::other(timeout)),
        }
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn local_addr(&self) -> Address {
        Address::Unnamed
    }
}

/// Each packet lets the next one come, shorter by one; the last takes the channel's end with it.
#[derive(Clone)]
struct Chain(Arc<Mutex<Option<mpsc::Sender<&'static str>>>>);

#[server(threading, listener = Channel)]
impl Chain {
    fn handle(&mut self, datagram: &mut Datagram) -> Result<(), mpsc::SendError<&'static str>> {
        let mut next = self.0.lock().expect("nobody panics");
        let left = &PACKET[1..datagram.packet().len()];
        match &*next {
            Some(next) if !left.is_empty() => next.send(left)?,
            _ => *next = None,
        }
        Ok(())
    }
}

fn waiting_listener() {
    let (sender, receiver) = mpsc::channel();
    sender.send(PACKET).expect("the receiver lives");
    let chain = Chain(Arc::new(Mutex::new(Some(sender))));
    let listener = Channel(Mutex::new(receiver));
    let server = ChainServer::builder(chain).listener(listener).bind();
    let mut server = server.expect("nothing is opened");
    server.serve_forever().expect("a good end");
    assert_eq!(server.handle().stats().finished, PACKET.len() as u64);
}
