//! Servers that are looked at: in a thread of the test, or as a process of their own.

use std::env;
use std::io::BufReader;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use sockserv::Running;
use sockserv::prelude::*;

/// Answers each line, or does what it says.
#[derive(Clone, Debug)]
pub(crate) struct Lines;

impl Lines {
    fn serve(stream: &mut Stream) -> io::Result<()> {
        let mut line = String::new();
        while stream.rfile.read_line(&mut line)? > 0 {
            match line.trim_end() {
                "leave" => return Ok(()),
                "fail" => return Err(io::Error::other("as it was told")),
                "panic" => panic!("as it was told"),
                "abort" => std::process::abort(),
                #[cfg(feature = "upgrade")]
                "upgrade" => stream.server().upgrade(),
                _ => stream.wfile.write_all(line.as_bytes())?,
            }
            line.clear();
        }
        Ok(())
    }
}

macro_rules! models {
    ($($model:ident)*) => {$(
        pub(crate) mod $model {
            use sockserv::prelude::*;

            #[derive(Clone, Debug)]
            pub(crate) struct Lines;

            #[server(tcp, $model, vis = pub(crate))]
            impl Lines {
                fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
                    super::Lines::serve(stream)
                }
            }
        }
    )*};
}
models!(sync threading pool forking prefork);

/// Serves as a program does, under the model of this name.
pub(crate) fn serve(model: &str) {
    macro_rules! run {
        ($($model:ident)*) => {
            match model {
                $(stringify!($model) => $model::LinesServer::builder($model::Lines)
                    .addr("127.0.0.1:0")
                    .admin("127.0.0.1:0")
                    .lame_duck(env::var_os("LAME").map_or(Duration::ZERO, |_| Duration::from_secs(60)))
                    .bind()
                    .and_then(|server| server.run()),)*
                "two" => sockserv::run((
                    server("127.0.0.1:0"),
                    server("127.0.0.1:0"),
                )),
                other => panic!("no model `{other}`"),
            }
        };
    }
    run!(sync threading pool forking prefork).expect("it serves and ends");
}

fn server(admin: &str) -> threading::LinesServer {
    let builder = threading::LinesServer::builder(threading::Lines);
    let server = builder.addr("127.0.0.1:0").admin(admin).bind();
    server.expect("free ports")
}

/// A server in a thread, and where its endpoint is.
pub(crate) fn spawn() -> (Running, SocketAddr) {
    let server = server("127.0.0.1:0");
    let admin = server.admin_addrs()[0].as_inet().expect("it is one");
    (server.spawn().expect("a thread"), admin)
}

/// A server in a process.
#[derive(Debug)]
pub(crate) struct Served {
    child: Child,
    _stdout: BufReader<ChildStdout>,
    pub(crate) at: Vec<SocketAddr>,
    pub(crate) admin: Vec<SocketAddr>,
}

impl Served {
    pub(crate) fn start(model: &str) -> Self {
        Self::start_with(model, &[])
    }

    /// Starts it, with these variables in its environment, and waits until it listens.
    pub(crate) fn start_with(model: &str, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env::current_exe().expect("a test knows its path"));
        command
            .args(["--serve", model])
            .envs(variables.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.process_group(0);
        let mut child = command.spawn().expect("the program is there");
        let mut stdout = BufReader::new(child.stdout.take().expect("it was asked for"));
        let servers = if model == "two" { 2 } else { 1 };
        let (mut at, mut admin) = (Vec::new(), Vec::new());
        while admin.len() < servers {
            let mut line = String::new();
            assert_ne!(
                stdout.read_line(&mut line).expect("text"),
                0,
                "it has ended"
            );
            let address =
                |text: &str| -> SocketAddr { text.trim_end().parse().expect("an address") };
            at.extend(line.strip_prefix("listening on tcp://").map(address));
            admin.extend(line.strip_prefix("admin on http://").map(address));
        }
        Self {
            child,
            _stdout: stdout,
            at,
            admin,
        }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        crate::client::connect(self.at[0])
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("it runs");
    }

    /// Waits for its own end.
    #[cfg(feature = "upgrade")]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("it was ours")
    }

    #[cfg(feature = "upgrade")]
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it with a signal.
    pub(crate) fn end(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.child.wait().expect("it was ours")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // A test that failed leaves nobody behind, whoever has taken over; after `end` there is nobody.
        if std::thread::panicking() {
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says a line and hears one.
pub(crate) fn say(stream: &mut TcpStream, line: &str) -> String {
    stream
        .write_all(format!("{line}\n").as_bytes())
        .expect("it is taken");
    let mut reply = vec![0; line.len() + 1];
    stream.read_exact(&mut reply).expect("it is answered");
    String::from_utf8(reply).expect("text")
}
