//! A server as a process: started on one core, watched through `/proc`, and ended.

use std::io::{self, ErrorKind};
use std::net::{TcpStream, UdpSocket};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::servers::{Kind, Server};

/// How long a server may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// The cores that this process may use, the load's first.
fn cores() -> io::Result<Vec<usize>> {
    let allowed = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU)
        .filter(|&core| allowed.is_set(core))
        .collect())
}

fn pin(core: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}

/// Raises the limit of descriptors for ourselves and the servers, which inherit it.
pub(crate) fn prepare() -> io::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    )?;
    if cores()?.len() < 2 {
        return Err(io::Error::other(
            "it takes two cores, one for the server and one for the load",
        ));
    }
    Ok(())
}

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pub(crate) addr: String,
    pub(crate) idle: usize,
}

impl Process {
    /// Starts a server on the last core and waits until it answers; the caller then has the first core.
    pub(crate) fn start(server: &Server) -> io::Result<Self> {
        let cores = cores()?;
        let addr = free_addr(server.kind)?;
        let mut command = server.command(&addr)?;
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let all = sched_getaffinity(None)?;
        pin(cores[cores.len() - 1])?; // The child inherits it, and every thread of it.
        let child = command.spawn();
        sched_setaffinity(None, &all)?;
        let mut process = Self {
            child: child?,
            addr,
            idle: server.idle,
        };
        process.wait_until_it_answers(server.kind)?;
        Ok(process)
    }

    fn wait_until_it_answers(&mut self, kind: Kind) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("it ended: {status}")));
            }
            if answers(kind, &self.addr).is_ok() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(ErrorKind::TimedOut.into())
    }

    /// Seconds of CPU that the server and its children, ended or not, have used.
    pub(crate) fn cpu(&self) -> io::Result<f64> {
        let pid = self.child.id();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let ticks = ticks_used(&stat).ok_or(ErrorKind::InvalidData)?;
        let ended = ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
        // Many short lives would round to nothing in ticks. Who ends in between is in the parent's figure next time.
        let alive = self.children().into_iter().filter_map(nanos_used);
        Ok(ended + alive.sum::<u64>() as f64 / 1e9)
    }

    /// KiB of memory that the server and its children would free by ending.
    pub(crate) fn memory(&self) -> u64 {
        let pss = |pid| {
            let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
            let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
            line.trim().trim_end_matches(" kB").parse::<u64>().ok()
        };
        let children = self.children();
        let family = children.into_iter().chain([self.child.id()]);
        family.filter_map(pss).sum()
    }

    /// The children that live.
    fn children(&self) -> Vec<u32> {
        let pid = self.child.id();
        let tasks = fs::read_dir(format!("/proc/{pid}/task"));
        let children = tasks
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        let children: String = children.collect();
        let pids = children.split(' ').filter_map(|pid| pid.parse().ok());
        pids.collect()
    }

    /// Asks it to end, and kills what does not.
    pub(crate) fn stop(mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It is our own child and not yet waited for, so the number is still its.
            let _ = kill_process(pid, Signal::TERM);
        }
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it has ended and was waited for, which is what they are to see to.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn answers(kind: Kind, addr: &str) -> io::Result<()> {
    use std::io::{Read, Write};
    let timeout = Some(Duration::from_millis(200));
    let mut reply = [0; 6];
    match kind {
        Kind::Lines | Kind::Turns => {
            let mut stream = TcpStream::connect(addr)?;
            stream.set_read_timeout(timeout)?;
            stream.write_all(b"ready\n")?;
            stream.read_exact(&mut reply)
        }
        Kind::Packets => {
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            socket.set_read_timeout(timeout)?;
            socket.connect(addr)?;
            socket.send(b"ready\n")?;
            socket.recv(&mut reply).map(drop)
        }
    }
}

/// A port that nobody has now.
fn free_addr(kind: Kind) -> io::Result<String> {
    let addr = match kind {
        Kind::Lines | Kind::Turns => std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?,
        Kind::Packets => UdpSocket::bind("127.0.0.1:0")?.local_addr()?,
    };
    Ok(addr.to_string())
}

/// User and system time, own and of children waited for: proc_pid_stat(5), fields 14 to 17.
fn ticks_used(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?; // The name before may hold anything.
    let times = fields.split(' ').skip(11).take(4);
    times.map(|field| field.parse::<u64>().ok()).sum()
}

/// What a process of one thread has run, by the scheduler's own clock: its first number.
fn nanos_used(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    stat.split(' ').next()?.parse().ok()
}
