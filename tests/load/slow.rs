//! `slowhttptest` against `http_hello`: whoever asks beside hundreds of slow clients is answered as before.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use sockserv_tests::{Process, until};

use crate::client::{DEADLINE, Program};
use crate::server::Example;
use crate::{Outcome, report, stolen, the_machine, with_program};

const SLOWHTTPTEST: Program = Program {
    name: "slowhttptest",
    package: "slowhttptest",
    probe: "command -v slowhttptest",
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        with_program(SLOWHTTPTEST, "slow_headers_cost_the_others_nothing", || {
            beside(&["-H", "-i", "1", "-x", "8"])
        }),
        with_program(SLOWHTTPTEST, "slow_bodies_cost_the_others_nothing", || {
            beside(&["-B", "-i", "1", "-x", "8", "-s", "65536"])
        }),
        with_program(SLOWHTTPTEST, "slow_reads_cost_the_others_nothing", || {
            beside(&[
                "-X", "-n", "1", "-z", "8", "-w", "64", "-y", "128", "-k", "10",
            ])
        }),
    ]
}

/// How many slow clients there are.
const SLOW: usize = 400;

/// How long the honest client asks, one request after another.
const ASKS: Duration = Duration::from_secs(2);

/// Anything up to this is the machine's noise and no delay.
const NOISE: Duration = Duration::from_millis(5);

/// The same client asks a second server in turn, which is left alone: what the machine does, it does to both.
fn beside(mode: &[&str]) -> Outcome {
    let _machine = the_machine();
    let [http, twin] = [
        Example::on_a_port("http_hello")?,
        Example::on_a_port("http_hello")?,
    ];
    let both = [http.addr().parse()?, twin.addr().parse()?];
    ask_for(ASKS / 4, both)?; // Makes what is made once.
    let slow = Slow::start(mode, http.addr())?;
    let held = || Process(http.pid()).sockets();
    // The server ends each after some seconds: on a busy machine the first have left before the last have come.
    until(
        || held() > SLOW / 4,
        || format!("only {} slow clients are there", held()),
    );
    let [beside, alone] = ask_for(ASKS, both)?;
    let left = held();
    drop(slow);
    let shown = format!("beside {left} slow clients {beside:?}, alone {alone:?}");
    report(&format!("{}: {shown}\n", mode[0]));
    assert!(left > SLOW / 4, "{left} slow clients were there to the end");
    assert!(beside.p50 <= alone.p50 * 2, "{shown}");
    assert!(beside.p99 <= alone.p99.max(NOISE) * 2, "{shown}");
    http.stop()?;
    Ok(twin.stop()?)
}

/// The attacker, ended with the test.
struct Slow(Child);

impl Slow {
    fn start(mode: &[&str], at: &str) -> io::Result<Self> {
        let slow = SLOW.to_string();
        let url = format!("http://{at}/");
        let child = Command::new(SLOWHTTPTEST.name)
            .args(mode)
            .args(["-c", &slow, "-r", &slow, "-l", "10", "-u", &url])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self(child))
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        // Both fail for a process that has been waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "they are shown")]
struct Latency {
    requests: usize,
    p50: Duration,
    p99: Duration,
}

impl Latency {
    /// The slowest do not count, as many as `stolen` may have delayed: nobody could have been faster there.
    fn of(mut took: Vec<Duration>, stolen: Duration) -> Self {
        took.sort();
        let delayed = (stolen.as_millis() / NOISE.as_millis()) as usize;
        took.truncate(took.len().saturating_sub(delayed).max(1));
        Self {
            requests: took.len(),
            p50: took[took.len() / 2],
            p99: took[took.len() * 99 / 100],
        }
    }
}

/// Asks both again and again in turn, each time over a new connection.
fn ask_for(time: Duration, both: [SocketAddr; 2]) -> io::Result<[Latency; 2]> {
    let (began, before) = (Instant::now(), stolen());
    let mut took = [Vec::new(), Vec::new()];
    while began.elapsed() < time {
        for (took, at) in took.iter_mut().zip(both) {
            let asked = Instant::now();
            ask(at)?;
            took.push(asked.elapsed());
        }
    }
    let stolen = stolen() - before;
    Ok(took.map(|took| Latency::of(took, stolen)))
}

fn ask(at: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&at, DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply)?;
    assert!(reply.ends_with(b"\r\n\r\nHello, world!\n"), "{reply:?}");
    Ok(())
}
