//! Deadlines are the same in every model: D18. A wait has one, whatever dribbles in, and the error says which it was.

use std::net::TcpStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use sockserv::prelude::*;
use sockserv::{Running, Timeout};
use sockserv_tests::DEADLINE;

use crate::Test;
use crate::echo::connect;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("d18_a_read_is_one_wait_for_who_dribbles", one_wait),
        ("d18_who_dribbles_is_cut_at_request_timeout", whole_request),
        ("d18_who_is_silent_is_cut_at_first_byte_timeout", silent),
        (
            "d18_who_is_silent_between_heart_beats_is_cut_all_the_same",
            silent_between_beats,
        ),
        ("d18_who_takes_nothing_is_cut_at_timeout", takes_nothing),
        ("d18_set_timeout_is_the_protocols_word", set_timeout),
        ("d18_many_reads_keep_min_rate_together", dribbles_for_long),
        ("d18_a_write_keeps_min_rate", takes_little),
        ("d18_min_rate_leaves_others_alone", fast_or_idle),
    ]
}

const SHORT: Duration = Duration::from_millis(300);

/// Long enough to be late for nothing else.
const GRACE: Duration = Duration::from_secs(5);

/// Between two bytes of a peer that dribbles.
const PAUSE: Duration = Duration::from_millis(50);

const MANY: usize = 1 << 20;

/// What a handler does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    Line,
    Until,
    Exact,
    Bytes,
    ToEnd,
    ToString,
    /// Reads what comes, again and again.
    Pieces,
    /// Likewise, and says something whenever nothing came for a moment.
    Beats,
    Flood,
    /// Answers each line.
    Echo,
    /// Likewise, and sets its own timeout after the first.
    Sets(Option<Duration>),
    /// Sets its own timeout and writes for ever.
    SetsAndFloods(Duration),
}

#[derive(Clone)]
struct Obeys {
    does: Does,
    failures: Sender<Option<Timeout>>,
}

impl Obeys {
    fn obey(&self, stream: &mut Stream) -> io::Result<()> {
        let (mut line, mut bytes) = (String::new(), Vec::new());
        match self.does {
            Does::Line => stream.rfile.read_line(&mut line).map(drop),
            Does::Until => stream.read_until(b'\n', &mut bytes).map(drop),
            Does::Exact => stream.read_exact(&mut [0; MANY]),
            Does::Bytes => stream.rfile.read_bytes(MANY).map(drop),
            Does::ToEnd => stream.read_to_end(&mut bytes).map(drop),
            Does::ToString => stream.rfile.read_to_string(&mut line).map(drop),
            Does::Pieces => {
                while stream.read(&mut [0; 512])? > 0 {}
                Ok(())
            }
            Does::Beats => beat(stream),
            Does::SetsAndFloods(timeout) => {
                stream.set_timeout(timeout)?;
                flood(stream)
            }
            Does::Flood => flood(stream),
            Does::Echo | Does::Sets(_) => {
                while stream.rfile.read_line(&mut line)? > 0 {
                    stream.wfile.write_all(line.as_bytes())?;
                    if let Does::Sets(timeout) = self.does {
                        stream.set_timeout(timeout)?;
                    }
                    line.clear();
                }
                Ok(())
            }
        }
    }

    fn failed(&self, error: &RequestError) {
        assert_eq!(error.is_timeout(), error.timeout().is_some());
        let _ = self.failures.send(error.timeout()); // The test may have ended.
    }
}

fn flood(stream: &mut Stream) -> io::Result<()> {
    let bytes = vec![b'x'; MANY];
    loop {
        stream.wfile.write_all(&bytes)?;
    }
}

fn beat(stream: &mut Stream) -> io::Result<()> {
    stream.set_timeout(PAUSE)?;
    loop {
        let read = stream.read(&mut [0; 512]);
        let why = read.as_ref().err().and_then(io::Error::get_ref);
        match why.and_then(|why| why.downcast_ref()) {
            Some(Timeout::Read) => stream.wfile.write_all(b".")?,
            _ if matches!(read, Ok(1..)) => {}
            _ => return read.map(drop),
        }
    }
}

/// The options of a server; what is not given does not hold.
#[derive(Clone, Copy, Default)]
struct Limits {
    timeout: Option<Duration>,
    first_byte: Option<Duration>,
    request: Option<Duration>,
    min_rate: Option<u64>,
}

/// A running server.
struct Case {
    model: &'static str,
    does: Does,
    running: Running,
    failures: Receiver<Option<Timeout>>,
}

macro_rules! models {
    ($($model:ident)*) => {
        $(mod $model {
            use sockserv::prelude::*;

            use super::Obeys;

            #[derive(Clone)]
            pub(super) struct Obedient(pub(super) Obeys);

            #[server(tcp, $model, addr = "127.0.0.1:0", vis = pub(super))]
            impl Obedient {
                fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
                    self.0.obey(stream)
                }

                fn handle_error(&mut self, error: &RequestError, _peer: &Address) {
                    self.0.failed(error);
                }
            }
        })*

        /// Starts a server of each model that does this, and tries all at once.
        fn in_each(does: Does, limits: Limits, test: impl Fn(&Case) + Sync) {
            let test = &test;
            thread::scope(|scope| {
                $(scope.spawn(move || {
                    let (sender, failures) = channel();
                    let obeys = Obeys { does, failures: sender };
                    let running = $model::ObedientServer::builder($model::Obedient(obeys))
                        .timeout(limits.timeout)
                        .first_byte_timeout(limits.first_byte)
                        .request_timeout(limits.request)
                        .min_rate(limits.min_rate)
                        .bind()
                        .expect("a free port")
                        .spawn()
                        .expect("a thread");
                    let case = Case { model: stringify!($model), does, running, failures };
                    test(&case);
                    case.running.shutdown().expect("a good end");
                });)*
            });
        }
    };
}
models!(sync threading pool);

impl Case {
    fn connect(&self) -> TcpStream {
        connect(&self.running)
    }

    /// Insists that the request fails by this deadline, this long after it began.
    fn expect(&self, which: Timeout, began: Instant, after: Duration) {
        let who = format!("{}, {:?}", self.model, self.does);
        let failure = self.failures.recv_timeout(2 * DEADLINE);
        assert_eq!(failure, Ok(Some(which)), "{who}");
        let took = began.elapsed();
        // The clock of a long wait is coarse.
        let least = after.saturating_sub(Duration::from_millis(20));
        assert!(
            took >= least && took < after + 10 * SHORT,
            "{who}: {took:?}"
        );
    }
}

/// Passes this much time, or returns whether the connection ended meanwhile.
fn has_ended_within(time: Duration, mut client: &TcpStream) -> bool {
    client.set_read_timeout(Some(time)).expect("an own socket");
    let read = client.read(&mut [0]);
    !read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// Sends one byte after the other until the server has had enough.
fn dribble(mut client: &TcpStream) {
    while client.write_all(b"x").is_ok() && !has_ended_within(PAUSE, client) {}
}

fn echo(mut client: &TcpStream) {
    client
        .set_read_timeout(Some(DEADLINE))
        .expect("an own socket");
    client.write_all(b"echo\n").expect("it is taken");
    let mut reply = [0; 5];
    client.read_exact(&mut reply).expect("a reply");
    assert_eq!(&reply, b"echo\n");
}

fn dribbles(does: Does, limits: Limits, which: Timeout, after: Duration) {
    in_each(does, limits, |case| {
        let (began, client) = (Instant::now(), case.connect());
        thread::scope(|scope| {
            scope.spawn(|| dribble(&client));
            case.expect(which, began, after);
        });
    });
}

fn one_wait() {
    let limits = Limits {
        timeout: Some(SHORT),
        ..Limits::default()
    };
    thread::scope(|scope| {
        for does in [
            Does::Line,
            Does::Until,
            Does::Exact,
            Does::Bytes,
            Does::ToEnd,
            Does::ToString,
        ] {
            scope.spawn(move || dribbles(does, limits, Timeout::Read, SHORT));
        }
    });
}

fn whole_request() {
    let limits = Limits {
        timeout: Some(10 * SHORT),
        request: Some(SHORT),
        ..Limits::default()
    };
    dribbles(Does::Pieces, limits, Timeout::Request, SHORT);
    dribbles(Does::Line, limits, Timeout::Request, SHORT);
}

fn silent() {
    let limits = Limits {
        timeout: Some(10 * SHORT),
        first_byte: Some(SHORT),
        ..Limits::default()
    };
    in_each(Does::Line, limits, |case| {
        let (began, _client) = (Instant::now(), case.connect());
        case.expect(Timeout::FirstByte, began, SHORT);
    });
}

fn silent_between_beats() {
    let limits = Limits {
        first_byte: Some(SHORT),
        ..Limits::default()
    };
    in_each(Does::Beats, limits, |case| {
        let (began, _client) = (Instant::now(), case.connect());
        case.expect(Timeout::FirstByte, began, SHORT);
        // Who has said something may be silent for longer.
        let mut client = case.connect();
        client.write_all(b"hello").expect("it is taken");
        let began = Instant::now();
        while began.elapsed() < 2 * SHORT {
            assert_eq!(client.read(&mut [0]).ok(), Some(1), "{}", case.model);
        }
    });
}

fn takes_nothing() {
    let limits = Limits {
        timeout: Some(SHORT),
        ..Limits::default()
    };
    in_each(Does::Flood, limits, |case| {
        let (began, mut client) = (Instant::now(), case.connect());
        client.write_all(b"go").expect("it is taken"); // `pool` waits for a first byte.
        case.expect(Timeout::Write, began, SHORT);
    });
}

fn set_timeout() {
    in_each(Does::Sets(Some(SHORT)), Limits::default(), |case| {
        let client = case.connect();
        let began = Instant::now();
        echo(&client);
        thread::scope(|scope| {
            scope.spawn(|| dribble(&client));
            case.expect(Timeout::Read, began, SHORT);
        });
    });
    let limits = Limits {
        timeout: Some(SHORT),
        ..Limits::default()
    };
    in_each(Does::Sets(None), limits, |case| {
        let client = case.connect();
        echo(&client);
        assert!(!has_ended_within(2 * SHORT, &client), "{}", case.model);
        echo(&client);
    });
    in_each(Does::SetsAndFloods(SHORT), Limits::default(), |case| {
        let (began, mut client) = (Instant::now(), case.connect());
        client.write_all(b"go").expect("it is taken");
        case.expect(Timeout::Write, began, SHORT);
    });
}

fn dribbles_for_long() {
    let limits = Limits {
        timeout: Some(10 * SHORT),
        min_rate: Some(1000),
        ..Limits::default()
    };
    // The twenty bytes a second earn it a tenth of a second.
    dribbles(Does::Pieces, limits, Timeout::Rate, GRACE);
}

fn takes_little() {
    // The kernel wakes a writer when a third of its buffer is free, which may take longer than a short `timeout`.
    let limits = Limits {
        min_rate: Some(64 << 20),
        ..Limits::default()
    };
    in_each(Does::Flood, limits, |case| {
        let (began, mut client) = (Instant::now(), case.connect());
        client.write_all(b"go").expect("it is taken");
        let (done, is_done) = channel::<()>();
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut bytes = [0; 4096];
                while is_done.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout)
                    && client.read(&mut bytes).is_ok_and(|count| count > 0)
                {}
            });
            case.expect(Timeout::Rate, began, GRACE);
            drop(done);
        });
    });
}

fn fast_or_idle() {
    let limits = Limits {
        min_rate: Some(1000),
        ..Limits::default()
    };
    in_each(Does::Echo, limits, |case| {
        let client = case.connect();
        echo(&client);
        assert!(!has_ended_within(GRACE + SHORT, &client), "{}", case.model);
        echo(&client);
        assert!(case.failures.try_recv().is_err(), "{}", case.model);
    });
}
