//! The programs that talk to the examples, and a bare peer for the bytes that no program sends.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Longer than anything here takes on a busy machine: who waits for it has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) package: &'static str,
    /// The shell's answer to whether it is there, is the right one, and may do its work.
    pub(crate) probe: &'static str,
}

pub(crate) const NC: Program = Program {
    name: "nc",
    package: "netcat-openbsd",
    probe: "nc -h 2>&1 | grep -q OpenBSD",
};
/// It always asks port 79, which takes a network namespace of our own.
pub(crate) const FINGER: Program = Program {
    name: "finger",
    package: "finger iproute2 util-linux",
    probe: "unshare -rn sh -c 'ip link set lo up && command -v finger && command -v nsenter'",
};
pub(crate) const DIG: Program = Program {
    name: "dig",
    package: "bind9-dnsutils",
    probe: "command -v dig",
};
pub(crate) const CURL: Program = Program {
    name: "curl",
    package: "curl",
    probe: "command -v curl",
};
pub(crate) const WRK: Program = Program {
    name: "wrk",
    package: "wrk",
    probe: "command -v wrk",
};
pub(crate) const LOGGER: Program = Program {
    name: "logger",
    package: "bsdutils",
    probe: "logger --version | grep -q util-linux",
};
pub(crate) const REDIS_CLI: Program = Program {
    name: "redis-cli",
    package: "redis-tools",
    probe: "command -v redis-cli",
};
pub(crate) const REDIS_BENCHMARK: Program = Program {
    name: "redis-benchmark",
    package: "redis-tools",
    probe: "command -v redis-benchmark",
};
pub(crate) const SOCAT: Program = Program {
    name: "socat",
    package: "socat",
    probe: "command -v socat",
};
pub(crate) const SYSTEMD: Program = Program {
    name: "systemd-socket-activate",
    package: "systemd",
    probe: "command -v systemd-socket-activate",
};
pub(crate) const PRLIMIT: Program = Program {
    name: "prlimit",
    package: "util-linux",
    probe: "command -v prlimit",
};
pub(crate) const SYSTEMD_ANALYZE: Program = Program {
    name: "systemd-analyze",
    package: "systemd",
    probe: "command -v systemd-analyze",
};
pub(crate) const HAPROXY: Program = Program {
    name: "haproxy",
    package: "haproxy",
    probe: "command -v haproxy",
};
pub(crate) const RPCINFO: Program = Program {
    name: "rpcinfo",
    package: "rpcbind",
    probe: "command -v rpcinfo",
};
/// It always takes port 111 and its socket in `/run`: namespaces of our own, in which it may change its user.
pub(crate) const RPCBIND: Program = Program {
    name: "rpcbind",
    package: "rpcbind iproute2 util-linux",
    probe: "command -v rpcinfo rpcbind && unshare -nm sh -c 'ip link set lo up && mount -t tmpfs none /run'",
};
/// What it makes is compiled and linked.
pub(crate) const RPCGEN: Program = Program {
    name: "rpcgen",
    package: "rpcsvc-proto libtirpc-dev gcc libc6-dev",
    probe: "command -v rpcgen && command -v gcc && test -e /usr/include/tirpc/rpc/rpc.h",
};
pub(crate) const TFTP: Program = Program {
    name: "tftp",
    package: "tftp-hpa",
    probe: "tftp -V | grep -q hpa",
};
pub(crate) const SWAKS: Program = Program {
    name: "swaks",
    package: "swaks",
    probe: "command -v swaks",
};
/// The one of the system, which has the libraries of the packages.
pub(crate) const PYTHON: Program = Program {
    name: "/usr/bin/python3",
    package: "python3",
    probe: "/usr/bin/python3 -c 'import smtplib'",
};
/// The test program of libmemcached for servers.
pub(crate) const MEMCCAPABLE: Program = Program {
    name: "memccapable",
    package: "libmemcached-tools",
    probe: "command -v memccapable",
};
pub(crate) const PYMEMCACHE: Program = Program {
    name: "/usr/bin/python3",
    package: "python3-pymemcache",
    probe: "/usr/bin/python3 -c 'import pymemcache'",
};
/// It must also be allowed to trace, which some containers forbid.
pub(crate) const STRACE: Program = Program {
    name: "strace",
    package: "strace",
    probe: "strace -o /dev/null true",
};
pub(crate) const VALGRIND: Program = Program {
    name: "valgrind",
    package: "valgrind",
    probe: "valgrind --version",
};

impl Program {
    pub(crate) fn is_usable(self) -> bool {
        let shell = Command::new("sh").args(["-c", self.probe]).output();
        shell.is_ok_and(|output| output.status.success())
    }

    /// Runs it to its end, with `input` on its standard input.
    pub(crate) fn run<S: AsRef<str>>(self, arguments: &[S], input: &[u8]) -> io::Result<Output> {
        run(
            Command::new(self.name).args(arguments.iter().map(AsRef::as_ref)),
            input,
        )
    }
}

#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    /// The standard output of a program that must have succeeded.
    pub(crate) fn success(self) -> String {
        assert!(self.status.success(), "the client failed: {self:#?}");
        self.stdout
    }
}

pub(crate) fn run(command: &mut Command, input: &[u8]) -> io::Result<Output> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().expect("it was asked for");
    let input = input.to_vec();
    // A client that ends before it has read all its input is judged by its output.
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    let stdout = read_aside(child.stdout.take().expect("it was asked for"));
    let stderr = read_aside(child.stderr.take().expect("it was asked for"));
    let status = wait(&mut child)?;
    writer.join().expect("the writer does not panic");
    Ok(Output {
        status,
        stdout: stdout.join().expect("read")?,
        stderr: stderr.join().expect("read")?,
    })
}

fn read_aside(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<io::Result<String>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    })
}

/// Waits for the end of `child`; kills it and panics at the deadline.
pub(crate) fn wait(child: &mut Child) -> io::Result<ExitStatus> {
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .expect("a child has a process id");
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    let deadline = Timespec::try_from(DEADLINE).expect("it is short");
    if poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&deadline))? == 0 {
        child.kill()?;
        panic!("process {} did not end: {:?}", child.id(), child.wait());
    }
    child.wait()
}

/// Sends `bytes` over a connection and returns as many that come back.
pub(crate) fn ask(mut stream: &UnixStream, bytes: &[u8]) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.write_all(bytes)?;
    let mut reply = vec![0; bytes.len()];
    stream.read_exact(&mut reply)?;
    Ok(reply)
}

/// A TCP peer that says exactly what it is told to.
pub(crate) struct Peer {
    stream: BufReader<TcpStream>,
}

impl Peer {
    pub(crate) fn connect(addr: &str) -> io::Result<Self> {
        Self::over(TcpStream::connect(addr)?)
    }

    pub(crate) fn over(stream: TcpStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        stream.set_nodelay(true)?;
        Ok(Peer {
            stream: BufReader::new(stream),
        })
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref())
    }

    /// The next line with its end; empty at end of file.
    pub(crate) fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        Ok(line)
    }

    pub(crate) fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// All that comes until end of file.
    pub(crate) fn rest(&mut self) -> io::Result<String> {
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Sends end of file; the other direction stays open.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.stream.get_mut().shutdown(Shutdown::Write)
    }
}
