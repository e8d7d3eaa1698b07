//! What the attribute refuses as a literal may still come from a builder: none of it may mean the opposite. Promise 4.

use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use sockserv::Timeout;
use sockserv::prelude::*;
use sockserv_tests::DEADLINE;

use crate::Test;
use crate::echo::{connect, echo, tcp_pool, tcp_threading};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("p04_no_threads_at_all_are_one", threads),
        ("p04_no_time_at_all_is_the_shortest_there_is", timeout),
        (
            "p04_with_any_buffer_or_none_a_line_too_long_is_left",
            lines_too_long,
        ),
        ("p04_no_service_interval_at_all_spins_not", service_interval),
    ]
}

/// Less than the kernel's unit is no time at all to it.
const TIMES: [Duration; 2] = [Duration::ZERO, Duration::from_nanos(999)];

fn threads() {
    let threading = tcp_threading::EchoServer::builder(tcp_threading::Echo::default())
        .max(0)
        .addr("127.0.0.1:0");
    let pool = tcp_pool::EchoServer::builder(tcp_pool::Echo::default())
        .workers(0)
        .addr("127.0.0.1:0");
    let threading = threading.bind().expect("a free port").spawn();
    let pool = pool.bind().expect("a free port").spawn();
    for running in [threading, pool] {
        let running = running.expect("a thread");
        for _ in 0..2 {
            echo(&mut connect(&running), "served");
        }
    }
}

/// Waits for its peer, and says how that ended.
#[derive(Clone)]
struct Waits(Sender<Option<Timeout>>);

#[server(tcp, threading, addr = "127.0.0.1:0")]
impl Waits {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        stream.read(&mut [0]).map(drop)
    }

    fn handle_error(&mut self, error: &RequestError, _peer: &Address) {
        let _ = self.0.send(error.timeout()); // The test may have ended.
    }
}

fn timeout() {
    for time in TIMES {
        let (sender, failures) = channel();
        let server = WaitsServer::builder(Waits(sender)).timeout(time).bind();
        let running = server.expect("a free port").spawn().expect("a thread");
        let _client = connect(&running);
        let failure = failures.recv_timeout(DEADLINE);
        assert_eq!(failure, Ok(Some(Timeout::Read)), "{time:?}");
    }
}

/// Counts its turns.
#[derive(Clone, Default)]
struct Turns(Arc<AtomicU64>);

#[server(tcp, threading, addr = "127.0.0.1:0")]
impl Turns {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
    }

    fn service_actions(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn service_interval() {
    for time in TIMES {
        let turns = Turns::default();
        let server = TurnsServer::builder(turns.clone()).service_interval(time);
        let server = server.bind().expect("a free port");
        let running = server.spawn().expect("a thread");
        let client = connect(&running);
        let began = Instant::now();
        client
            .set_read_timeout(Some(Duration::from_millis(100)))
            .expect("an own socket");
        (&client).read(&mut [0]).expect_err("it says nothing");
        let (count, most) = (turns.0.load(Ordering::Relaxed), began.elapsed().as_millis());
        assert!(
            count > 10 && u128::from(count) < most + 50,
            "{count} turns in {most} ms"
        );
    }
}

/// Says what two reads of a line came to, and what was left.
#[derive(Clone)]
struct Bounded;

#[server(tcp, threading, addr = "127.0.0.1:0", max_line = 8)]
impl Bounded {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        let mut line = String::new();
        for _ in 0..2 {
            let error = stream
                .rfile
                .read_line(&mut line)
                .map_err(|error| error.kind());
            writeln!(stream, "{error:?} {line}")?;
        }
        io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
    }
}

fn lines_too_long() {
    for size in [0, 1, 3, 8, 100] {
        let server = BoundedServer::builder(Bounded).rbufsize(size).bind();
        let running = server.expect("a free port").spawn().expect("a thread");
        let mut client = connect(&running);
        client
            .write_all(b"too long by far\nnext\n")
            .expect("it reads");
        client.shutdown(Shutdown::Write).expect("it is open");
        let text = io::read_to_string(client).expect("no error");
        let refused = "Err(InvalidData) \n";
        let whole = format!("{refused}{refused}too long by far\nnext\n");
        assert_eq!(text, whole, "a buffer of {size}");
    }
}
