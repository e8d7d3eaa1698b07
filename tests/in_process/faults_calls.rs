//! System calls that fail in a process which cannot help it: strace(1) makes them.

use std::fs;
use std::process::{Command, Stdio};

use libtest_mimic::{Failed, Trial};
use rustix::process::Signal;
use sockserv::prelude::*;
use sockserv_tests::wait_until;

use crate::served::{Served, connect, ended};
use crate::{Test, this};

pub(crate) fn trials() -> Vec<Trial> {
    // It must also be allowed to trace, which some containers forbid.
    let mut probe = Command::new("strace");
    probe.args(["-D", "-o", "/dev/null", "true"]);
    let probe = probe.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let can = probe.is_ok_and(|status| status.success());
    let trials = [
        Trial::test("p01_a_listener_waits_for_room_in_the_poll_set", no_room),
        Trial::test("p02_a_child_says_why_it_cannot_begin", no_child),
        Trial::test("p02_a_worker_says_why_it_cannot_begin", no_worker),
        Trial::test("a01_workers_turn_nobody_away_at_once", later),
        Trial::test("a19_who_cannot_hear_an_answer_does_not_take_over", deaf),
    ];
    let trials = trials.into_iter();
    trials
        .map(|trial| trial.with_kind("needs strace").with_ignored_flag(!can))
        .collect()
}

pub(crate) fn served() -> Vec<Test> {
    vec![
        ("calls_threading", threading::run),
        ("calls_forking", forking::run),
        ("calls_prefork", prefork::run),
        ("calls_upgrade", upgrade),
    ]
}

macro_rules! models {
    ($($model:ident)*) => {$(
        mod $model {
            use sockserv::prelude::*;

            #[derive(Clone)]
            struct Echo;

            #[server($model, tcp, addr = "127.0.0.1:0", max_connections = 1)]
            impl Echo {
                fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
                    io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
                }
            }

            pub(super) fn run() {
                crate::served::ended(EchoServer::bind(Echo).and_then(EchoServer::run));
            }
        }
    )*};
}
models!(threading forking prefork);

/// Starts a server whose calls fail as `inject` says: strace(1). Its children's calls are counted each for itself.
fn start(name: &str, inject: &str) -> io::Result<Served> {
    let mut strace = Command::new("strace");
    // The server is our own child, and not that of strace.
    strace.args(["-D", "-f", "-qq", "-o", "/dev/null", "-e", inject]);
    Served::launch(strace.arg(this()).args(["--alone", name]))
}

fn ask(client: &mut (impl Read + Write)) -> io::Result<()> {
    let mut reply = [0; 6];
    client.write_all(b"a word")?;
    client.read_exact(&mut reply)?;
    assert_eq!(&reply, b"a word");
    Ok(())
}

/// How many descriptors are in the server's poll set: proc(5).
fn polled(server: &Served) -> io::Result<usize> {
    let mut count = 0;
    for file in fs::read_dir(format!("/proc/{}/fdinfo", server.process().0))? {
        let text = fs::read_to_string(file?.path())?;
        count += text.lines().filter(|line| line.starts_with("tfd:")).count();
    }
    Ok(count)
}

/// What is full is left alone, and polled again when there is a place: then the kernel may have no room for it any more.
fn no_room() -> Result<(), Failed> {
    // The wake-up, the timer and the listener are added, and that is removed while a client is there.
    let mut server = start("calls_threading", "inject=epoll_ctl:error=ENOSPC:when=5")?;
    let at = server.at()?;
    let mut first = connect(&at)?;
    ask(&mut first)?;
    wait_until(|| polled(&server).is_ok_and(|count| count == 2));
    let mut second = connect(&at)?;
    drop(first);
    ask(&mut second)?;
    drop(second);
    let said = server.stop()?;
    let [line] = &said[..] else {
        panic!("one line: {said:?}");
    };
    assert!(line.contains("cannot accept on tcp://127.0.0.1:"), "{line}");
    assert!(line.contains("raise `fs.epoll.max_user_watches`"), "{line}");
    assert!(line.contains("; pausing 5ms"), "{line}");
    Ok(())
}

/// Children make a wake-up of their own, in the place of their parent's.
const NO_WAKE: &str = "inject=dup3:error=EMFILE";

const WHY: &str = "Too many open files (os error 24)";

fn no_child() -> Result<(), Failed> {
    let mut server = start("calls_forking", NO_WAKE)?;
    let mut client = connect(&server.at()?)?;
    assert_eq!(client.read(&mut [0]).unwrap_or(0), 0, "nobody serves it");
    let why = server.line();
    assert_eq!(why, format!("sockserv: a child cannot begin: {WHY}"));
    let end = server.line();
    assert!(
        end.ends_with("exit: its process ended: exit status: 1"),
        "{end}"
    );
    server.stop()?;
    Ok(())
}

fn no_worker() -> Result<(), Failed> {
    let mut server = start("calls_prefork", NO_WAKE)?;
    server.at()?;
    let begin = "sockserv: worker ";
    let why = format!(" cannot begin: {WHY}");
    let lines: Vec<_> = (0..4).map(|_| server.line()).collect();
    let whys = lines
        .iter()
        .filter(|line| line.starts_with(begin) && line.ends_with(&why));
    assert!(whys.count() >= 1, "{lines:?}");
    server.stop()?;
    Ok(())
}

/// Workers without descriptors leave a client to their siblings, or take it later.
fn later() -> Result<(), Failed> {
    let mut server = start("calls_prefork", "inject=accept4:error=EMFILE:when=1")?;
    let at = server.at()?;
    ask(&mut connect(&at)?)?;
    let said = server.stop()?;
    let is_known = |line: &String| line.contains("; pausing ") && line.contains(", 0 clients");
    assert!(!said.is_empty() && said.iter().all(is_known), "{said:?}");
    Ok(())
}

#[derive(Clone)]
struct Renewed;

#[server(threading, tcp, addr = "127.0.0.1:0", upgrade)]
impl Renewed {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
    }
}

fn upgrade() {
    ended(RenewedServer::bind(Renewed).and_then(RenewedServer::run));
}

/// The new process must watch for the answer before it says that it is ready: the old one ends with its answer.
fn deaf() -> Result<(), Failed> {
    // The wake-up and the timer are added; then, in the old process, a listener that can wait, and in the new one the channel.
    let mut server = start("calls_upgrade", "inject=epoll_ctl:error=ENOSPC:when=3")?;
    let at = server.at()?;
    ask(&mut connect(&at)?)?;
    server.process().signal(Signal::USR2);
    let said: Vec<_> = (0..3).map(|_| server.line()).collect();
    let has = |words: &str| said.iter().any(|line| line.contains(words));
    assert!(
        has("cannot upgrade: it ended before it was ready"),
        "{said:?}"
    );
    assert!(has("cannot take over: "), "{said:?}");
    ask(&mut connect(&at)?)?;
    server.stop()?;
    Ok(())
}
