//! `prefork`: workers that die and come anew, and what they share. A9, F43, D32.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use libtest_mimic::Trial;
use rustix::process::Signal;
use sockserv_tests::{Cell, Client, Process, Scenario, Server, Transport, until, wait_until};

use crate::for_each;

pub(crate) fn trials() -> Vec<Trial> {
    [deaths(), sharing()].into_iter().flatten().collect()
}

fn deaths() -> Vec<Trial> {
    let all = |cell: &Cell| cell.is_preforked();
    let streams = |cell: &Cell| cell.is_preforked() && cell.is_stream();
    [
        for_each(
            streams,
            "d32_a_killed_worker_is_replaced_and_the_others_never_notice",
            killed,
        ),
        for_each(
            all,
            "d32_an_idle_worker_that_is_killed_is_replaced",
            killed_idle,
        ),
        for_each(
            all,
            "p04_workers_that_cannot_live_are_started_ever_more_slowly",
            short_lives,
        ),
        for_each(
            all,
            "p04_workers_that_end_well_at_once_are_started_ever_more_slowly",
            good_ends,
        ),
        for_each(
            all,
            "f43_a_worker_that_fails_at_first_serves_in_the_end",
            fails_at_first,
        ),
        for_each(streams, "p03_a_dead_master_ends_its_workers", master_dies),
        for_each(
            |cell| cell.is_preforked() || cell.forks(),
            "a11_a_child_that_is_told_at_once_ends_nobody_else",
            told_at_once,
        ),
        for_each(
            |cell| cell.is_preforked() || cell.forks(),
            "a11_nothing_is_left_of_workers_and_children_killed_at_random",
            killed_at_random,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn sharing() -> Vec<Trial> {
    let tcp = |cell: &Cell| cell.is_preforked() && cell.transport == Transport::Tcp;
    let inet = |cell: &Cell| cell.is_preforked() && !cell.is_unix();
    let unix = |cell: &Cell| cell.is_preforked() && cell.is_unix();
    let streams = |cell: &Cell| cell.is_preforked() && cell.is_stream();
    [
        for_each(
            inet,
            "a09_all_sockets_of_the_workers_are_on_the_announced_port",
            one_port,
        ),
        for_each(
            tcp,
            "a08_sockets_of_the_workers_drain_alike",
            drain_reuse_port,
        ),
        for_each(
            streams,
            "p04_fewer_places_than_workers_lose_no_client",
            few_places,
        ),
        for_each(
            tcp,
            "p04_fewer_places_than_workers_with_sockets_lose_no_client",
            few_places_reuse_port,
        ),
        for_each(
            unix,
            "a09_a_unix_path_with_several_sockets_is_a_clean_error",
            unix_reuse_port,
        ),
        for_each(streams, "p10_the_numbers_of_all_workers_add_up", numbers),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn pid_of(client: &mut Client) -> Process {
    Process(client.ask("pid").parse().expect("a number"))
}

pub(crate) fn workers(server: &Server) -> BTreeSet<u32> {
    let children = server.process().children().into_iter();
    children.map(|(child, _)| child.0).collect()
}

fn killed(cell: Cell) {
    let server = Scenario::new(cell).with("workers", "3").start();
    let (mut victim, mut other) = (server.connect(), server.connect());
    let worker = pid_of(&mut victim);
    let sibling = pid_of(&mut other);
    assert_ne!(worker, sibling);
    // It serves for a while, so that its death is an accident.
    other.expect_silence_for(Duration::from_millis(1100));
    worker.signal(Signal::KILL);
    let error = server.event_of("error", &victim);
    assert_eq!(
        (error.get("phase"), error.get("exit"), error.get("own")),
        ("exit", "signal:_9_(SIGKILL)", "false")
    );
    assert_eq!(error.get("pid"), server.process().0.to_string());
    victim.expect_end();
    other.echo("one who never noticed");
    server.await_workers(4);
    server.line(|line| line.contains("ended") && line.ends_with("starting another one"));
    let mut held: Vec<_> = (0..2).map(|_| server.connect()).collect();
    held.iter_mut().for_each(|client| client.echo("served"));
    assert_eq!(workers(&server).len(), 3);
    drop((held, other));
    let ended = server.stop();
    ended.expect_counts(3, 1, 0);
    assert_eq!(ended.events("error").len(), 1);
}

fn killed_idle(cell: Cell) {
    let server = Scenario::new(cell).with("workers", "2").start();
    server.await_workers(2);
    for worker in workers(&server) {
        Process(worker).signal(Signal::KILL);
    }
    for _ in 0..5 {
        server.connect().echo("served by another");
    }
    let ended = server.stop();
    ended.expect_counts(5, 0, 0);
    assert!(ended.events("error").is_empty(), "{:?}", ended.lines);
}

fn short_lives(cell: Cell) {
    let scenario = Scenario::new(cell).with("workers", "2");
    let server = scenario.with("worker-start", "error").start();
    // After 100 ms, 200 ms, 400 ms: the fourth life of a worker begins 700 ms after the first.
    server.nth_event(5, "worker");
    let before = server.process().cpu();
    let mut nobody = server.connect();
    nobody.expect_silence_for(Duration::from_secs(1));
    drop(nobody);
    let cpu = server.process().cpu() - before;
    assert!(cpu <= Duration::from_millis(50), "{cpu:?} in a second");
    let lives = server.events("worker").len();
    assert!(lives <= 10, "{lives} lives of two workers in 1.5 s");
    let error = server.event("error");
    assert_eq!(
        (error.get("phase"), error.get("peer")),
        ("hook", "unnamed"),
        "{error:?}"
    );
    assert!(error.get("text").contains("worker_start_fails"));
    for delay in ["100ms", "200ms", "400ms"] {
        server.line(|line| {
            line.contains("ended: exit status: 1") && line.ends_with(&format!("in {delay}"))
        });
    }
    // Its end does not wait for a worker.
    let ended = server.stop();
    assert!(ended.took < Duration::from_secs(3), "{:?}", ended.took);
}

/// Nobody told it to end, and it has served nothing: that is no better than an error.
fn good_ends(cell: Cell) {
    let scenario = Scenario::new(cell).with("workers", "2");
    let server = scenario.with("worker-exits", "on").start();
    for delay in ["100ms", "200ms", "400ms"] {
        server.line(|line| {
            line.contains("ended: exit status: 0") && line.ends_with(&format!("in {delay}"))
        });
    }
    let lives = server.events("worker").len();
    assert!(lives <= 10, "{lives} lives of two workers");
    let _ = server.stop();
}

fn fails_at_first(cell: Cell) {
    let folder = sockserv_tests::Folder::new();
    let obstacle = folder.join("obstacle");
    fs::write(&obstacle, "").expect("an own folder");
    let server = Scenario::new(cell)
        .with("workers", "2")
        .with("no-worker-while", obstacle.to_str().expect("a plain path"))
        .start();
    let mut client = server.connect();
    client.send("echo served at last");
    server.nth_event(3, "worker");
    client.expect_silence();
    fs::remove_file(&obstacle).expect("it is there");
    assert_eq!(client.reply(), "served at last");
}

fn master_dies(cell: Cell) {
    let server = Scenario::new(cell).with("shutdown-grace", "60s").start();
    server.await_crew();
    let mut client = server.connect();
    client.echo("one");
    let workers = workers(&server);
    server.signal(Signal::KILL);
    client.expect_end();
    wait_until(|| workers.iter().all(|&worker| Process(worker).has_ended()));
    assert!(server.try_connect().is_err(), "nobody listens");
}

/// Before it has handlers of its own a child has its parent's, which end the whole server.
fn told_at_once(cell: Cell) {
    let server = Scenario::new(cell).with("quiet", "on").start();
    server.await_crew();
    let own = server.process().0;
    let children = format!("/proc/{own}/task/{own}/children");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                perhaps(&server);
            }
        });
        let at_end = Set(&stop);
        let mut told = BTreeSet::new();
        wait_until(|| {
            let text = fs::read_to_string(&children).expect("it is alive");
            for child in text
                .split_whitespace()
                .map(|pid| pid.parse().expect("a number"))
            {
                if told.insert(child) {
                    Process(child).try_signal(Signal::TERM);
                }
            }
            told.len() >= 200
        });
        drop(at_end);
    });
    server.connect().echo("it serves on");
    let _ = server.stop();
}

/// A client that may or may not be answered.
fn perhaps(server: &Server) {
    let mut client = server.connect();
    client.set_patience(Duration::from_millis(50));
    // Whether it is answered depends on who dies meanwhile.
    let _ = client
        .try_send("echo perhaps")
        .and_then(|()| client.try_reply());
}

/// Whatever a process was doing when it died: each request ends once, and no place in the table is lost.
fn killed_at_random(cell: Cell) {
    let server = Scenario::new(cell)
        .with("quiet", "on")
        .with("observe", "on")
        .with("max-connections", "8")
        .start();
    server.await_crew();
    kill_beside_clients(&server);
    // All places are free, or this would wait for ever.
    let mut clients: Vec<_> = (0..if cell.is_stream() { 6 } else { 1 })
        .map(|_| server.connect())
        .collect();
    clients.iter_mut().for_each(|client| client.echo("served"));
    drop(clients);
    let ended = server.stop();
    let summary = ended.summary();
    assert_eq!(summary.number("active"), 0);
    let accepted = summary.number("accepted");
    assert_eq!(
        accepted,
        summary.number("finished") + summary.number("failed"),
        "{summary:?}"
    );
    // Only the observer itself may have died in the middle of a word.
    let stops = ended.events("stop");
    let told: BTreeSet<_> = stops.iter().map(|stop| stop.number("request")).collect();
    assert_eq!(told.len(), stops.len(), "no stop is told twice");
    let starts = ended.events("start").len();
    assert!(
        starts.abs_diff(stops.len()) <= 12,
        "{starts} starts, {} stops",
        stops.len()
    );
}

fn kill_beside_clients(server: &Server) {
    let (stop, came) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    perhaps(server);
                    came.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let at_end = Set(&stop);
        for nth in 0..12 {
            // Somewhere in the middle of something.
            wait_until(|| came.load(Ordering::Relaxed) > 8 * nth as u64);
            let children = server.process().children();
            if let Some((child, _)) = children.get(nth % children.len().max(1)) {
                child.try_signal(Signal::KILL);
            }
        }
        drop(at_end);
    });
}

/// Sets this when it is dropped, also by a panic.
pub(crate) struct Set<'a>(pub(crate) &'a AtomicBool);

impl Drop for Set<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The local ports of all IPv4 sockets of the server's process.
fn ports(server: &Server, transport: &str) -> Vec<u16> {
    let table = fs::read_to_string(format!("/proc/net/{transport}")).expect("there is a /proc");
    let own: BTreeSet<_> = server
        .process()
        .descriptors()
        .iter()
        .filter_map(|link| Some(link.split_once("socket:[")?.1.strip_suffix(']')?.to_owned()))
        .collect();
    let sockets = table.lines().skip(1).filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let port = words.get(1)?.rsplit_once(':')?.1;
        own.contains(*words.get(9)?)
            .then(|| u16::from_str_radix(port, 16).ok())?
    });
    sockets.collect()
}

fn one_port(cell: Cell) {
    let scenario = Scenario::new(cell).with("accept", "reuse-port");
    let server = scenario.with("workers", "3").start();
    let announced = server.addr().rsplit(':').next().expect("a port").to_owned();
    let announced: u16 = announced.parse().expect("a number");
    assert_eq!(ports(&server, cell.transport.word()), [announced; 3]);
    // The kernel spreads clients by a hash, so sooner or later all have some.
    let mut pids = BTreeSet::new();
    until(
        || {
            pids.insert(pid_of(&mut server.connect()));
            pids.len() == 3
        },
        || "not all workers are reached".to_owned(),
    );
    let _ = server.stop();
}

fn drain_reuse_port(cell: Cell) {
    let server = Scenario::new(cell)
        .with("accept", "reuse-port")
        .with("workers", "3")
        .with("shutdown-grace", "60s")
        .start();
    server.await_workers(3);
    // So that all of them are in the kernel's queues.
    for worker in workers(&server) {
        Process(worker).signal(Signal::STOP);
    }
    let mut queue: Vec<_> = (0..20).map(|_| server.connect()).collect();
    server.signal(Signal::TERM);
    for worker in workers(&server) {
        Process(worker).signal(Signal::CONT);
    }
    for client in &mut queue {
        client.expect_end(); // Accepted and told; a reset would be an error.
    }
    let ended = server.wait();
    ended.expect_good();
    ended.expect_counts(20, 0, 0);
}

fn few_places(cell: Cell) {
    fewer_places_than_workers(Scenario::new(cell));
}

fn few_places_reuse_port(cell: Cell) {
    fewer_places_than_workers(Scenario::new(cell).with("accept", "reuse-port"));
}

/// Each worker that finds no place sleeps until one is free, and one that finds one must not take the others' wish away.
fn fewer_places_than_workers(scenario: Scenario) {
    let scenario = scenario.with("quiet", "on").with("workers", "4");
    let server = scenario.with("max-connections", "1").start();
    server.await_workers(4);
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                for _ in 0..500 {
                    server.connect().echo("served in the end");
                }
            });
        }
    });
    server.stop().expect_counts(3000, 0, 0);
}

fn unix_reuse_port(cell: Cell) {
    let ended = Scenario::new(cell).with("accept", "reuse-port").fail();
    assert!(!ended.status.success());
    let error = ended.events("failed")[0].get("error").to_owned();
    assert!(
        error.contains("a_Unix_address_belongs_to_one_socket;_write_`prefork(accept_="),
        "{error}"
    );
}

fn numbers(cell: Cell) {
    let server = Scenario::new(cell).with("workers", "3").start();
    let mut clients: Vec<_> = (0..3).map(|_| server.connect()).collect();
    let pids: BTreeSet<_> = clients.iter_mut().map(pid_of).collect();
    assert_eq!(pids.len(), 3);
    clients[0].send("panic");
    clients[0].expect_end();
    clients[0] = server.connect();
    clients[0].echo("one");
    for client in &mut clients {
        assert_eq!(client.ask("stats"), "4 3 0 1", "in every process");
    }
    for client in &mut clients {
        client.finish();
        client.expect_end();
    }
    server.stop().expect_counts(3, 1, 0);
}
