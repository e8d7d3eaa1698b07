//! Clients that connect, ask and leave as fast as they can: nothing of them is left, and nothing grows.
//!
//! `SOCKSERV_SOAK_SECONDS=60 cargo test --release --test load churn -- --nocapture` is the long run, with its figures.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::ops::AddAssign;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use sockserv_tests::{DEADLINE, Process, wait_until};

use crate::server::Example;
use crate::{Outcome, report, soak_seconds, the_machine};

pub(crate) fn trials() -> Vec<Trial> {
    let models = ["threading", "pool", "forking", "prefork"].into_iter();
    models
        .map(|model| {
            let name = format!("churn_leaves_nothing_behind [{model}]");
            Trial::test(name, move || churn(model))
        })
        .collect()
}

/// How many clients there are at once.
const CLIENTS: usize = 4;

/// How often a server is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// How much a server may have grown, in KiB: an allocator that has not settled yet.
const GROWTH: u64 = 1024;

/// How many children `forking` has at most, unless it is told otherwise.
const CHILDREN: usize = 40;

fn time() -> Duration {
    Duration::from_secs(soak_seconds().unwrap_or(3))
}

fn churn(model: &str) -> Outcome {
    let _machine = the_machine();
    let mut server = Example::start("matrix", 1, &["tcp", model, "127.0.0.1:0"])?;
    let (at, process) = (server.addr().parse()?, Process(server.pid()));
    let half = time() / 2;
    let (warm, _) = connect_for(half / 10, at, process, model); // Makes what is made once.
    let is_at_rest = || process.zombies() == 0 && process.sockets() == 1;
    wait_until(is_at_rest);
    let rest = Seen::of(process, model).descriptors;
    let (first, early) = connect_for(half, at, process, model);
    let (second, late) = connect_for(half, at, process, model);
    let each_second = (first + second) as f64 / time().as_secs_f64();
    let text = format!(
        "{model}: {each_second:.0} connections/s\n  first half, at most {early:?}\n  second half, at most {late:?}\n"
    );
    report(&text);
    assert!(late.memory <= early.memory + GROWTH, "{text}");
    // Those that have served, and had no turn yet to rest or to be seen off, come and go; what stays is seen below.
    for (late, early) in [
        (late.threads, early.threads),
        (late.descriptors, early.descriptors),
        (late.zombies, early.zombies),
    ] {
        assert!(late <= early + CHILDREN, "{text}");
    }
    wait_until(|| is_at_rest() && Seen::of(process, model).descriptors <= rest);
    server.terminate()?;
    let all = warm + first + second;
    assert_eq!(server.line(), format!("{all} requests, 0 failed"));
    assert!(server.wait()?.success());
    Ok(())
}

/// The most that was seen of each at one moment.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// In KiB.
    memory: u64,
    threads: usize,
    descriptors: usize,
    zombies: usize,
}

impl Seen {
    /// Of a server and its workers. Children that come and go cannot be looked at.
    fn of(process: Process, model: &str) -> Self {
        let mut seen = Self {
            zombies: process.zombies(),
            ..Self::default()
        };
        let workers = (model == "prefork").then(|| process.children());
        let workers = workers.into_iter().flatten().map(|(worker, _)| worker);
        for process in workers.chain([process]) {
            seen.memory += process.memory();
            seen.threads += process.threads().len();
            seen.descriptors += process.descriptors().len();
        }
        seen
    }
}

impl AddAssign for Seen {
    fn add_assign(&mut self, other: Self) {
        self.memory = self.memory.max(other.memory);
        self.threads = self.threads.max(other.threads);
        self.descriptors = self.descriptors.max(other.descriptors);
        self.zombies = self.zombies.max(other.zombies);
    }
}

/// Lets clients churn for a while and looks at the server meanwhile; returns how many were served.
fn connect_for(time: Duration, at: SocketAddr, process: Process, model: &str) -> (u64, Seen) {
    let (done, all_done) = channel::<()>();
    let until = Instant::now() + time;
    let mut seen = Seen::default();
    let count = thread::scope(|scope| {
        let client = |done| {
            move || {
                let _done: std::sync::mpsc::Sender<()> = done; // Dropped at its end, whatever that is.
                let mut count = 0;
                while Instant::now() < until {
                    ask(at).expect("each is served");
                    count += 1;
                }
                count
            }
        };
        let clients = [(); CLIENTS].map(|()| scope.spawn(client(done.clone())));
        drop(done);
        while all_done.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
            seen += Seen::of(process, model);
        }
        clients
            .into_iter()
            .map(|client| client.join().expect("each is served"))
            .sum()
    });
    (count, seen)
}

fn ask(at: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&at, DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.write_all(b"a word\n")?;
    stream.shutdown(Shutdown::Write)?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    assert_eq!(reply, "a word\n");
    Ok(())
}
