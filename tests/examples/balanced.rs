//! Two servers behind HAProxy, configured by what they print themselves, and replaced one after the other under load.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use sockserv_tests::{Folder, pace, wait_until};

use crate::client::{DEADLINE, HAPROXY, run};
use crate::server::{Example, program_with};
use crate::{Outcome, with_client};

pub(crate) fn trials() -> Vec<Trial> {
    vec![with_client(
        HAPROXY,
        "balanced::a_roll_behind_haproxy_fails_no_request",
        roll,
    )]
}

/// HAProxy checks three times in it, and believes the second failure.
const LAME_DUCK: &str = "--lame-duck=1500ms";

/// What one client keeps between two requests, so that the machine has time for the checks.
const PAUSE: Duration = Duration::from_millis(2);

fn roll() -> Outcome {
    let http = Http(program_with("cli", "http_hello_cli"));
    let (first, ports) = http.start_anywhere(MACHINES[0])?;
    let mut servers = [first, http.start(MACHINES[1], &ports)?];
    let proxy = Haproxy::start(&http.configuration(&ports)?)?;
    for name in NAMES {
        wait_until(|| proxy.status(name) == "UP");
    }
    let (load, rolled) = Load::during(&proxy.front, || -> io::Result<()> {
        for ((server, machine), name) in servers.iter_mut().zip(MACHINES).zip(NAMES) {
            server.terminate()?;
            wait_until(|| proxy.status(name) == "DOWN");
            let ended = server.wait()?;
            assert!(ended.success(), "{name} ended with {ended}");
            *server = http.start(machine, &ports)?;
            wait_until(|| proxy.status(name) == "UP");
            // Those who keep their connections are elsewhere by now, so it is the next to get one.
            proxy.await_session(name);
        }
        Ok(())
    });
    rolled?;
    assert_eq!(load.failures, [""; 0], "beside {} served", load.served);
    servers.into_iter().try_for_each(Example::stop)?;
    Ok(())
}

/// Loopback addresses of their own, so that both have the same ports, as two machines would.
const MACHINES: [&str; 2] = ["127.0.1.1", "127.0.1.2"];

/// What the configuration calls them.
const NAMES: [&str; 2] = ["hello-1", "hello-2"];

/// Where it serves, and where it says whether it is ready.
struct Ports([String; 2]);

/// The example `http_hello`, with a command line.
struct Http(PathBuf);

impl Http {
    fn command(&self, machine: &str, Ports([port, admin]): &Ports) -> Command {
        let mut command = Command::new(&self.0);
        command
            .args([LAME_DUCK, "--admin-public", &format!("{machine}:{admin}")])
            .arg(format!("{machine}:{port}"));
        command
    }

    fn start_anywhere(&self, machine: &str) -> io::Result<(Example, Ports)> {
        let any = Ports(["0", "0"].map(str::to_owned));
        let server = Example::spawn(&mut self.command(machine, &any), 1)?;
        let admin = server.line();
        let (_, admin) = admin.rsplit_once(':').expect("its port");
        let ports = Ports([server.port(), admin].map(str::to_owned));
        Ok((server, ports))
    }

    fn start(&self, machine: &str, ports: &Ports) -> io::Result<Example> {
        Example::spawn(&mut self.command(machine, ports), 1)
    }

    /// As the server prints it; the addresses in it are placeholders.
    fn configuration(&self, ports: &Ports) -> io::Result<String> {
        let mut command = self.command("0.0.0.0", ports);
        let printed = run(command.arg("--print-haproxy"), b"")?.success();
        let [port, _] = &ports.0;
        Ok(printed
            .replace(&format!("bind :{port}\n"), "bind unix@front\n")
            .replace("192.0.2.1:", &format!("{}:", MACHINES[0]))
            .replace("192.0.2.2:", &format!("{}:", MACHINES[1])))
    }
}

struct Haproxy {
    process: Child,
    folder: Folder,
    front: PathBuf,
}

impl Haproxy {
    fn start(configuration: &str) -> io::Result<Self> {
        let folder = Folder::new();
        let asked = "global\n    stats socket unix@stats\n";
        let configuration = configuration.replacen("global\n", asked, 1);
        std::fs::write(folder.join("haproxy.cfg"), configuration)?;
        let process = Command::new(HAPROXY.name)
            .args(["-q", "-db", "-f", "haproxy.cfg"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .spawn()?;
        let front = folder.join("front");
        let proxy = Self {
            process,
            folder,
            front,
        };
        wait_until(|| proxy.statistics().is_ok());
        Ok(proxy)
    }

    /// A line of numbers and words for each server, behind one of their names.
    fn statistics(&self) -> io::Result<String> {
        let mut socket = UnixStream::connect(self.folder.join("stats"))?;
        socket.set_read_timeout(Some(DEADLINE))?;
        socket.write_all(b"show stat\n")?;
        let mut text = String::new();
        socket.read_to_string(&mut text)?;
        Ok(text)
    }

    fn statistic(&self, server: &str, column: &str) -> String {
        let text = self.statistics().expect("it answers");
        let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let names = lines.next().expect("the names of the columns");
        let values = lines
            .find(|values| values.get(1) == Some(&server))
            .unwrap_or_else(|| panic!("no {server} in {text}"));
        let mut columns = names.into_iter().zip(values);
        let (_, value) = columns
            .find(|(name, _)| *name == column)
            .expect("a column of this name");
        value.to_owned()
    }

    /// What it takes a server for.
    fn status(&self, server: &str) -> String {
        self.statistic(server, "status")
    }

    /// Waits until it has sent somebody to a server.
    fn await_session(&self, server: &str) {
        let sessions = || self.statistic(server, "stot");
        let before = sessions();
        wait_until(|| sessions() != before);
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        // Both fail if it has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What several clients came to that never try a request again.
#[derive(Default)]
struct Load {
    served: u64,
    failures: Vec<String>,
}

impl Load {
    /// Two clients that keep their connection, and two with one for each request.
    fn during<T>(front: &Path, job: impl FnOnce() -> T) -> (Self, T) {
        let over = AtomicBool::new(false);
        let mut load = Self::default();
        let result = thread::scope(|scope| {
            let clients = ["keep-alive", "keep-alive", "close", "close"]
                .map(|connection| scope.spawn(|| Self::client(front, connection, &over)));
            let end = End(&over);
            let result = job();
            drop(end);
            for client in clients {
                let Self { served, failures } = client.join().expect("it only counts");
                load.served += served;
                load.failures.extend(failures);
            }
            result
        });
        (load, result)
    }

    fn client(front: &Path, connection: &str, over: &AtomicBool) -> Self {
        let mut load = Self::default();
        let mut open = None;
        while !over.load(Ordering::Relaxed) {
            match ask(open.take(), front, connection) {
                Ok(stream) => {
                    open = stream;
                    load.served += 1;
                }
                Err(error) => load.failures.push(format!("{connection}: {error}")),
            }
            pace(Instant::now() + PAUSE);
        }
        load
    }
}

/// Ends the load also where the test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

type Connection = BufReader<UnixStream>;

/// One request and its reply; returns the connection if both sides keep it.
fn ask(open: Option<Connection>, front: &Path, connection: &str) -> io::Result<Option<Connection>> {
    let mut stream = match open {
        Some(stream) => stream,
        None => BufReader::new(UnixStream::connect(front)?),
    };
    stream.get_ref().set_read_timeout(Some(DEADLINE))?;
    let request = format!("GET / HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\n\r\n");
    stream.get_mut().write_all(request.as_bytes())?;
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head)? == 0 {
            let error = format!("it ends after {head:?}");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, error));
        }
    }
    let mut body = [0; 14];
    stream.read_exact(&mut body)?;
    match head.starts_with("HTTP/1.1 200 ") && body == *b"Hello, world!\n" {
        true => Ok(head
            .contains("Connection: keep-alive\r\n")
            .then_some(stream)),
        false => Err(io::Error::other(head)),
    }
}
