//! The loads: one thread and one poller each, so that the generator leaves the server's core alone.

pub(crate) mod connect;
pub(crate) mod idle;
pub(crate) mod lines;
pub(crate) mod packets;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use crate::figures::Sample;
use crate::process::Process;

/// One line, and one packet.
const LENGTH: usize = 64;

/// Before anything counts: threads start, caches fill, children fork.
const WARM_UP: Duration = Duration::from_millis(200);

/// Longer than any server here keeps anybody waiting.
const PATIENCE: Duration = Duration::from_secs(10);

/// The line that is sent: 63 letters and the end.
fn line() -> [u8; LENGTH] {
    let mut line = [b'x'; LENGTH];
    line[LENGTH - 1] = b'\n';
    line
}

/// Which of many sockets have something to read.
struct Poller {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Poller {
    fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(256),
        })
    }

    fn add(&self, socket: impl AsFd, index: usize) -> io::Result<()> {
        let data = epoll::EventData::new_u64(index as u64);
        Ok(epoll::add(
            &self.epoll,
            socket,
            data,
            epoll::EventFlags::IN,
        )?)
    }

    /// Waits up to `timeout` and returns the indices of those that are ready.
    fn wait(&mut self, timeout: Duration) -> io::Result<impl Iterator<Item = usize>> {
        let timeout = Timespec::try_from(timeout).map_err(io::Error::other)?;
        self.events.clear();
        epoll::wait(
            &self.epoll,
            spare_capacity(&mut self.events),
            Some(&timeout),
        )?;
        Ok(self.events.iter().map(|event| event.data.u64() as usize))
    }
}

/// Counts operations from the end of the warm-up to the end of the time.
struct Meter<'a> {
    process: &'a Process,
    begins: Instant,
    ends: Instant,
    /// When counting really began, and the server's CPU then.
    began: Option<(Instant, f64)>,
    waits: Vec<Duration>,
}

impl<'a> Meter<'a> {
    fn new(process: &'a Process, seconds: Duration) -> Self {
        let begins = Instant::now() + WARM_UP;
        Self {
            process,
            begins,
            ends: begins + seconds,
            began: None,
            waits: Vec::new(),
        }
    }

    /// Whether the load goes on.
    fn goes_on(&mut self) -> io::Result<bool> {
        let now = Instant::now();
        if self.began.is_none() && now >= self.begins {
            self.began = Some((now, self.process.cpu()?));
        }
        Ok(now < self.ends)
    }

    /// Counts `operations` that began at `since` and end now.
    fn count(&mut self, operations: usize, since: Instant) {
        if self.began.is_some() {
            let wait = since.elapsed();
            self.waits.extend((0..operations).map(|_| wait));
        }
    }

    fn sample(mut self) -> io::Result<Sample> {
        let (began, cpu_then) = self.began.ok_or(io::ErrorKind::TimedOut)?;
        let seconds = began.elapsed().as_secs_f64();
        let cpu = self.process.cpu()? - cpu_then;
        if self.waits.is_empty() {
            return Err(io::Error::other("nothing came back"));
        }
        let count = self.waits.len();
        let (_, &mut p99, _) = self.waits.select_nth_unstable(count * 99 / 100);
        Ok(Sample {
            cost: cpu * 1e6 / count as f64,
            per_second: count as f64 / seconds,
            p99: p99.as_secs_f64() * 1e6,
        })
    }
}

fn unlike() -> io::Error {
    io::Error::other("the reply is not what was sent")
}

fn silent() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no reply came")
}
