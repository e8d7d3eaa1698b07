//! Threads and processes that cannot be started, because their user may have no more: RLIMIT_NPROC, setrlimit(2).

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use rustix::process::{Resource, Rlimit, geteuid, getrlimit, setrlimit};
use rustix::thread::{Gid, Uid, set_thread_res_gid, set_thread_res_uid};
use sockserv::prelude::*;
use sockserv_tests::until;

use crate::Test;
use crate::served::{Served, connect};

pub(crate) fn trials() -> Vec<Trial> {
    let trials = [
        Trial::test("p02_threading_lives_without_a_new_thread", || {
            no_unit("starved_threading")
        }),
        Trial::test("p02_forking_lives_without_a_new_child", || {
            no_unit("starved_forking")
        }),
        Trial::test("p02_pool_says_which_thread_did_not_start", no_pool),
        Trial::test("p02_prefork_tries_again_for_its_workers", no_worker),
    ];
    // The limit holds for no privileged user, and only a privileged one can become another.
    let ignored = !geteuid().is_root();
    trials
        .into_iter()
        .map(|trial| trial.with_kind("needs root").with_ignored_flag(ignored))
        .collect()
}

/// Servers under users of their own, each with a limit of its own.
pub(crate) fn served() -> Vec<Test> {
    vec![
        ("starved_threading", || threading::run(1)),
        ("starved_forking", || forking::run(2)),
        ("starved_pool", || pool::run(3)),
        ("starved_prefork", || prefork::run(4)),
    ]
}

/// How many threads and processes its user may have: the server itself, and two more.
const MOST: u64 = 3;

/// Becomes a user whom nobody else is, so that nobody else counts against his limit.
fn starve(nth: u32) {
    let id = 60_000 + std::process::id() % 1_000 * 4 + nth;
    let limit = Rlimit {
        current: Some(MOST),
        ..getrlimit(Resource::Nproc)
    };
    setrlimit(Resource::Nproc, limit).expect("only the soft one is lower");
    let (user, group) = (Uid::from_raw(id), Gid::from_raw(id));
    set_thread_res_gid(group, group, group).expect("the test is privileged");
    set_thread_res_uid(user, user, user).expect("the test is privileged");
}

macro_rules! models {
    ($($model:ident),*) => {$(
        mod $model {
            use sockserv::prelude::*;

            #[derive(Clone)]
            struct Echo;

            #[server($model, tcp, addr = "127.0.0.1:0")]
            impl Echo {
                fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
                    io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
                }
            }

            pub(super) fn run(nth: u32) {
                super::starve(nth);
                crate::served::ended(EchoServer::bind(Echo).and_then(EchoServer::run));
            }
        }
    )*};
}
models!(threading, forking, pool, prefork);

/// Lets its user have as many as may be. Only he himself may say so, if we are a privileged user of a container.
fn feed(server: &Served) -> io::Result<()> {
    let pid = server.process().0.to_string();
    let id = fs::metadata(format!("/proc/{pid}"))?.uid();
    let status = Command::new("setpriv")
        .args([format!("--reuid={id}"), format!("--regid={id}")])
        .args(["--clear-groups", "prlimit", "--nproc=1000:"])
        .args(["--pid", &pid])
        .status()?;
    assert!(status.success(), "{status}");
    Ok(())
}

fn ask(client: &mut TcpStream) -> io::Result<()> {
    let mut reply = [0; 6];
    client.write_all(b"a word")?;
    client.read_exact(&mut reply)?;
    assert_eq!(&reply, b"a word");
    Ok(())
}

/// Two are served, a third is turned away and reported, and when there may be more it is served, too.
fn no_unit(name: &str) -> Result<(), Failed> {
    let mut server = Served::start(name)?;
    let at = server.at()?;
    let mut served = [connect(&at)?, connect(&at)?];
    for client in &mut served {
        ask(client)?;
    }
    for _ in 0..3 {
        let mut client = connect(&at)?;
        assert_eq!(client.read(&mut [0])?, 0, "an end without a reset");
        let line = server.line();
        assert!(line.contains(" failed: dispatch: "), "{line}");
    }
    for client in &mut served {
        ask(client)?;
    }
    feed(&server)?;
    let mut third = connect(&at)?;
    ask(&mut third)?;
    drop((served, third));
    let rest = server.stop()?;
    assert_eq!(rest, [""; 0], "each failure has one line");
    Ok(())
}

/// All of its threads or none: it does not begin to serve with fewer.
fn no_pool() -> Result<(), Failed> {
    let server = Served::start("starved_pool")?;
    let (is_good, said) = server.wait()?;
    assert!(!is_good, "{said:?}");
    let error = said.iter().find(|line| line.contains("ended with: "));
    let error = error.unwrap_or_else(|| panic!("{said:?}"));
    assert!(
        error.contains("cannot start worker 2: "),
        "the server and two more may be there: {error}"
    );
    Ok(())
}

/// Two of four workers come up and serve; the others are tried again, later each time, until they do.
fn no_worker() -> Result<(), Failed> {
    let mut server = Served::start("starved_prefork")?;
    let at = server.at()?;
    let began = Instant::now();
    ask(&mut connect(&at)?)?;
    let delays = ["100ms", "200ms", "400ms"];
    for delay in delays {
        let mut lines = [server.line(), server.line()];
        lines.sort();
        for (line, worker) in lines.iter().zip([2, 3]) {
            let begins = format!("sockserv: cannot start worker {worker}: ");
            let ends = format!("; starting another one in {delay}");
            assert!(line.starts_with(&begins), "{line}");
            assert!(line.ends_with(&ends), "{line}");
        }
        ask(&mut connect(&at)?)?;
    }
    assert!(began.elapsed() >= Duration::from_millis(250), "it waits");
    assert_eq!(server.process().children().len(), 2);
    feed(&server)?;
    until(
        || server.process().children().len() == 4,
        || "the others do not come up".to_owned(),
    );
    ask(&mut connect(&at)?)?;
    let rest = server.stop()?;
    assert_eq!(rest, [""; 0], "two of two workers are quiet");
    Ok(())
}
