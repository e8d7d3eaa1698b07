//! Workers of `prefork` that are replaced while a thousand clients a second come: none of them notices.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::Signal;
use sockserv_tests::{DEADLINE, Process, pace, until};

use crate::server::Example;
use crate::{Outcome, stolen, the_machine};

pub(crate) fn trials() -> Vec<Trial> {
    let name = |accept| format!("a_rolling_restart_is_not_noticed [{accept}]");
    let trial = |accept| Trial::test(name(accept), move || rolling_restart(accept));
    ["shared", "reuse_port"].map(trial).into()
}

const CLIENTS: u32 = 4;

/// How many connections each client makes, and how far apart.
const CONNECTIONS: u32 = 750;
const APART: Duration = Duration::from_millis(4);

/// Makes a thousand connections a second that say `line` and get a word, while something happens so many times; returns how
/// many that were.
pub(crate) fn thousand_a_second(at: SocketAddr, line: &str, times: u32, happens: impl Fn()) -> u32 {
    let (began, before) = (Instant::now(), stolen());
    let took = thread::scope(|scope| {
        let client = || {
            for nth in 0..CONNECTIONS {
                pace(began + APART * nth);
                let result = ask(at, line);
                result.unwrap_or_else(|error| panic!("client {nth} of {CONNECTIONS}: {error}"));
            }
        };
        let clients = [(); CLIENTS as usize].map(|()| scope.spawn(client));
        for nth in 1..=times {
            pace(began + APART * CONNECTIONS * nth / (times + 1));
            happens();
        }
        for client in clients {
            client.join().expect("each client is served");
        }
        began.elapsed()
    });
    let most = APART * CONNECTIONS * 2 + (stolen() - before);
    assert!(took < most, "it keeps pace: {took:?}");
    CLIENTS * CONNECTIONS
}

/// How often all workers are replaced meanwhile.
const RESTARTS: u32 = 5;

fn rolling_restart(accept: &str) -> Outcome {
    let _machine = the_machine();
    let options = ["--workers", "4", "--accept", accept];
    let arguments = [&["tcp", "prefork", "127.0.0.1:0"], &options[..]].concat();
    let mut server = Example::start("matrix", 1, &arguments)?;
    let (at, process) = (server.addr().parse()?, Process(server.pid()));
    ask(at, "a word\n")?;
    let count = thousand_a_second(at, "a word\n", RESTARTS, || renew(process)) + 1;
    server.terminate()?;
    assert_eq!(server.line(), format!("{count} requests, 0 failed"));
    assert!(server.wait()?.success());
    Ok(())
}

/// Asks for new workers, and waits until all four are others.
fn renew(server: Process) {
    let workers = || {
        let workers = server.children().into_iter();
        workers.map(|(worker, _)| worker).collect::<Vec<_>>()
    };
    let before = workers();
    server.signal(Signal::HUP);
    until(
        || {
            let after = workers();
            after.len() == 4 && after.iter().all(|worker| !before.contains(worker))
        },
        || format!("before {before:?}, after {:?}", workers()),
    );
}

fn ask(at: SocketAddr, line: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(at)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.write_all(line.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    match &*reply {
        "a word\n" => Ok(()),
        reply => Err(io::Error::other(format!("it got {reply:?}"))),
    }
}
