//! Three times as many clients as descriptors: those that are served go on, the others take their turns, and nobody spins.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use sockserv_tests::{Process, pace};

use crate::client::DEADLINE;
use crate::server::{Example, program};
use crate::{Outcome, the_machine};

pub(crate) fn trials() -> Vec<Trial> {
    let name = |model| format!("a01_two_hundred_clients_and_64_descriptors [{model}]");
    let trial = |model| Trial::test(name(model), move || few_descriptors(model));
    ["pool", "prefork"].map(trial).into()
}

const CLIENTS: usize = 200;

fn few_descriptors(model: &str) -> Outcome {
    let _machine = the_machine();
    let mut command = Command::new("prlimit");
    command.arg("--nofile=64").arg(program("matrix"));
    command
        .args(["tcp", model, "127.0.0.1:0"])
        .stderr(Stdio::piped());
    let mut server = Example::spawn(&mut command, 1)?;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = TcpStream::connect(server.addr())?;
        client.write_all(b"a word\n")?;
        clients.push(client);
    }
    // Some are served, and as long as they stay the others wait, which costs nobody anything.
    let mut first = clients.remove(0);
    expect(&mut first)?;
    let processes = || {
        let server = Process(server.pid());
        let workers = server.children().into_iter().map(|(worker, _)| worker);
        workers.chain([server])
    };
    let cpu = || processes().map(Process::cpu).sum::<Duration>();
    let (before, began) = (cpu(), Instant::now());
    for _ in 0..20 {
        pace(Instant::now() + Duration::from_millis(50));
        first.write_all(b"a word\n")?;
        expect(&mut first)?;
    }
    let (used, took) = (cpu() - before, began.elapsed());
    assert!(used < took / 20, "{used:?} of a processor in {took:?}");
    drop(first);
    // Each that has its reply leaves, and makes room for another one.
    let mut left = clients.len();
    while left > 0 {
        clients.retain_mut(|client| !has_reply(client));
        assert!(
            began.elapsed() < DEADLINE,
            "{left} clients were never served"
        );
        left = clients.len();
    }
    let stderr = server.stderr();
    server.stop()?;
    let said = std::io::read_to_string(stderr.expect("it was asked for"))?;
    assert!(
        said.lines().count() as u64 <= 1 + began.elapsed().as_secs(),
        "{said}"
    );
    Ok(())
}

fn expect(client: &mut TcpStream) -> std::io::Result<()> {
    client.set_read_timeout(Some(DEADLINE))?;
    let mut reply = [0; 7];
    client.read_exact(&mut reply)?;
    assert_eq!(&reply, b"a word\n");
    Ok(())
}

fn has_reply(client: &mut TcpStream) -> bool {
    let mut reply = [0; 8];
    let short = client.set_read_timeout(Some(Duration::from_millis(1)));
    short.is_ok()
        && client
            .read(&mut reply)
            .is_ok_and(|count| &reply[..count] == b"a word\n")
}
