//! How the workers of `prefork` are replaced while clients come: at SIGHUP, and after `max_requests`. A19.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use libtest_mimic::Trial;
use rustix::process::Signal;
use sockserv_tests::{Cell, Process, Scenario, Server, Transport, until, wait_until};

use crate::for_each;
use crate::prefork::{Set, workers};

pub(crate) fn trials() -> Vec<Trial> {
    let all = |cell: &Cell| cell.is_preforked();
    let tcp = |cell: &Cell| cell.is_preforked() && cell.transport == Transport::Tcp;
    [
        for_each(all, "a19_sighup_renews_all_workers_unnoticed", renew),
        for_each(
            tcp,
            "a19_sighup_renews_workers_with_sockets_of_their_own_unnoticed",
            renew_reuse_port,
        ),
        for_each(
            all,
            "a19_renewals_in_quick_succession_end_nothing",
            renew_in_a_hurry,
        ),
        for_each(
            all,
            "a19_a_worker_that_is_ready_after_its_successor_is_no_news",
            ready_too_late,
        ),
        of_old_workers(),
        for_each(
            all,
            "a19_a_generation_that_does_not_start_leaves_the_old_one",
            renew_fails,
        ),
        for_each(
            all,
            "p03_a_shutdown_in_the_middle_of_a_renewal_is_complete",
            shutdown_while_renewing,
        ),
        for_each(
            all,
            "p04_max_requests_renews_workers_unnoticed",
            max_requests,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// How those leave whose place others take.
fn of_old_workers() -> Vec<Trial> {
    let streams = |cell: &Cell| cell.is_preforked() && cell.is_stream();
    [
        for_each(
            streams,
            "a19_a_request_that_runs_ends_before_its_old_worker",
            renew_beside_a_request,
        ),
        for_each(
            streams,
            "a19_an_old_worker_leaves_the_queue_to_the_new_one",
            renew_beside_a_queue,
        ),
        for_each(
            streams,
            "a19_who_leaves_passes_on_whom_it_was_woken_for",
            passes_on,
        ),
        for_each(
            |cell| cell.is_preforked(),
            "a19_a_worker_that_never_leaves_is_killed",
            never_leaves,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Waits until there are so many workers, and none of them is among these.
pub(crate) fn await_others(server: &Server, count: usize, old: &BTreeSet<u32>) {
    let are_new = || {
        let now = workers(server);
        now.len() == count && now.is_disjoint(old)
    };
    until(are_new, || {
        format!("{old:?} are not replaced by others: {:?}", workers(server))
    });
}

fn shutdown_while_renewing(cell: Cell) {
    for millis in [0, 1, 3, 7] {
        let server = Scenario::new(cell)
            .with("quiet", "on")
            .with("workers", "3")
            .with("shutdown-grace", "60s")
            .start();
        server.connect().echo("one");
        server.signal(Signal::HUP);
        let _ = server.is_quiet_for(Duration::from_millis(millis)); // Somewhere in the middle of it.
        let ended = server.stop();
        assert!(ended.took < Duration::from_secs(3), "{:?}", ended.took);
        ended.expect_counts(1, 0, 0);
        assert!(ended.events("error").is_empty(), "{:?}", ended.lines);
    }
}

/// Clients that come one after another, three at a time, until they are told to stop. Returns how many came.
pub(crate) fn hammer(server: &Server, meanwhile: impl FnOnce()) -> u64 {
    let (stop, count) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let mut client = server.connect();
                    client.echo("never refused");
                    count.fetch_add(1, Ordering::Relaxed);
                    if server.cell().is_stream() {
                        client.finish();
                        client.expect_end();
                    }
                }
            });
        }
        let at_end = Set(&stop); // Also if what happens meanwhile panics.
        meanwhile();
        wait_until(|| count.load(Ordering::Relaxed) >= 300);
        drop(at_end);
    });
    count.into_inner()
}

fn renew(cell: Cell) {
    renew_all(Scenario::new(cell));
}

fn renew_reuse_port(cell: Cell) {
    renew_all(Scenario::new(cell).with("accept", "reuse-port"));
}

fn renew_all(scenario: Scenario) {
    let server = scenario.with("quiet", "on").with("workers", "3").start();
    server.await_workers(3);
    let count = hammer(&server, || {
        for generation in 1..=2 {
            let old = workers(&server);
            server.signal(Signal::HUP);
            await_others(&server, 3, &old);
            server.await_workers(3 + generation * 3);
        }
    });
    let ended = server.stop();
    ended.expect_counts(count, 0, 0);
    assert_eq!(ended.events("worker").len(), 9);
    assert!(ended.events("error").is_empty());
    assert!(
        !ended.lines.iter().any(|line| line.starts_with("sockserv:")),
        "{:?}",
        ended.lines
    );
}

/// Hang-ups come before the new workers of those before are ready, before they have handlers even.
fn renew_in_a_hurry(cell: Cell) {
    let scenario = Scenario::new(cell).with("quiet", "on");
    let server = scenario.with("workers", "2").start();
    let count = hammer(&server, || {
        for nth in 0..100 {
            server.signal(Signal::HUP);
            let _ = server.is_quiet_for(Duration::from_micros(nth * 137 % 12_000));
        }
    });
    let old = workers(&server);
    server.signal(Signal::HUP);
    await_others(&server, 2, &old);
    let ended = server.stop();
    ended.expect_counts(count, 0, 0);
}

/// Two renewals in quick succession, and the worker that the second one brings is ready before that of the first.
fn ready_too_late(cell: Cell) {
    let folder = sockserv_tests::Folder::new();
    let gates = folder.join("");
    let server = Scenario::new(cell)
        .with("workers", "1")
        .with("worker-gates", gates.to_str().expect("a plain path"))
        .start();
    let nth = |nth| process_of(&server.nth_event(nth, "worker"));
    let serves = |worker: Process| {
        let gate = fs::OpenOptions::new()
            .write(true)
            .open(folder.join(&worker.0.to_string()));
        drop(gate.expect("it waits there"));
        let served = format!("pid={}", worker.0);
        server.line(|line| line.starts_with("@service ") && line.ends_with(&served));
    };
    let first = nth(0);
    serves(first);
    server.signal(Signal::HUP);
    let second = nth(1);
    server.signal(Signal::HUP);
    let third = nth(2);
    server.signal(Signal::STOP);
    wait_until(|| server.process().is_stopped());
    serves(third);
    serves(second);
    server.signal(Signal::CONT);
    wait_until(|| first.has_ended() && second.has_ended());
    server.connect().echo("one");
    server.stop().expect_counts(1, 0, 0);
}

fn renew_beside_a_queue(cell: Cell) {
    let scenario = Scenario::new(cell).with("workers", "1");
    let server = scenario.with("shutdown-grace", "60s").start();
    let gate = server.gate("gate");
    let mut first = server.connect();
    // All that it has to say, so that its request never waits, and sees no signal.
    assert_eq!(first.ask(&format!("gate {}\nbye", gate.path())), "waiting");
    let old = process_of(&server.event("worker"));
    wait_until(|| old.sleeps());
    let before = old.switches();
    server.signal(Signal::HUP);
    let new = process_of(&server.nth_event(1, "worker"));
    wait_until(|| old.switches() > before); // The signal has come, and it waits again.
    new.signal(Signal::STOP);
    let mut queue: Vec<_> = (0..5).map(|_| server.connect()).collect();
    queue.iter_mut().for_each(|client| client.send("pid"));
    gate.open();
    first.expect_rest("open\n");
    wait_until(|| workers(&server).len() == 1);
    new.signal(Signal::CONT);
    for client in &mut queue {
        assert_eq!(client.reply(), new.0.to_string());
        client.finish();
        client.expect_end();
    }
    server.stop().expect_counts(6, 0, 0);
}

/// Stuck in a hook, without a request: it holds up neither the renewal nor the shutdown.
fn never_leaves(cell: Cell) {
    let server = Scenario::new(cell)
        .with("workers", "1")
        .with("shutdown-grace", "0s")
        .start();
    let stuck = |nth| {
        let worker = process_of(&server.nth_event(nth, "worker"));
        server.connect().ask("stick"); // The hook is not called before this request has ended.
        server.nth_event(nth, "stuck");
        worker
    };
    let first = stuck(0);
    server.signal(Signal::HUP);
    wait_until(|| first.has_ended());
    let second = stuck(1);
    let ended = server.stop();
    assert!(second.has_ended());
    ended.expect_counts(2, 0, 0);
    let said = |text: &str| {
        ended
            .lines
            .iter()
            .filter(|line| line.contains(text))
            .count()
    };
    assert_eq!((said("(SIGKILL)"), said("before it served")), (2, 0));
}

fn process_of(event: &sockserv_tests::Event) -> Process {
    Process(event.number("pid").try_into().expect("a process id"))
}

/// The kernel wakes one worker for a client. Should that one be told to end at the same moment, and no new one come, the
/// others must hear of it.
fn passes_on(cell: Cell) {
    let folder = sockserv_tests::Folder::new();
    let obstacle = folder.join("obstacle");
    let server = Scenario::new(cell)
        .with("workers", "8")
        .with("no-worker-while", obstacle.to_str().expect("a plain path"))
        .start();
    server.await_workers(8);
    fs::write(&obstacle, "").expect("an own folder");
    for round in 0..7 {
        let mut first = server.connect();
        let woken = Process(first.ask("pid").parse().expect("a number"));
        first.finish();
        first.expect_end();
        wait_until(|| woken.sleeps());
        if round % 2 == 0 {
            woken.signal(Signal::TERM);
        }
        let mut client = server.connect();
        woken.try_signal(Signal::TERM);
        client.echo("served by whoever is left");
    }
    let _ = server.terminate();
}

fn renew_beside_a_request(cell: Cell) {
    let scenario = Scenario::new(cell).with("workers", "2");
    let server = scenario.with("shutdown-grace", "60s").start();
    server.await_workers(2);
    let mut busy = server.connect();
    assert_eq!(busy.ask("busy"), "busy");
    let mut idle = server.connect();
    idle.echo("one");
    let old = workers(&server);
    server.signal(Signal::HUP);
    server.nth_event(2, "worker");
    server.connect().echo("served meanwhile");
    busy.expect_silence();
    assert_eq!(busy.ask("a line"), "a line");
    busy.expect_end();
    idle.expect_end(); // Told as at a shutdown, before or after the other: one worker at a time.
    await_others(&server, 2, &old);
    server.stop().expect_counts(3, 0, 0);
}

fn renew_fails(cell: Cell) {
    let folder = sockserv_tests::Folder::new();
    let obstacle = folder.join("obstacle");
    let server = Scenario::new(cell)
        .with("workers", "2")
        .with("no-worker-while", obstacle.to_str().expect("a plain path"))
        .start();
    server.await_workers(2);
    server.connect().echo("one");
    let old = workers(&server);
    fs::write(&obstacle, "").expect("an own folder");
    server.signal(Signal::HUP);
    server.line(|line| line.ends_with("before it served; the old workers go on"));
    wait_until(|| workers(&server) == old);
    server.connect().echo("the old ones go on");
    // The next attempt is as good as the first.
    fs::remove_file(&obstacle).expect("it is there");
    server.signal(Signal::HUP);
    await_others(&server, 2, &old);
    server.connect().echo("new ones");
    let ended = server.stop();
    ended.expect_counts(3, 0, 0);
    assert_eq!(
        ended.events("worker").len(),
        5,
        "one attempt, not one for each worker"
    );
}

fn max_requests(cell: Cell) {
    let server = Scenario::new(cell)
        .with("quiet", "on")
        .with("workers", "2")
        .with("max-requests", "20")
        .start();
    server.await_workers(2);
    let count = hammer(&server, || {});
    let ended = server.stop();
    ended.expect_counts(count, 0, 0);
    let lives = ended.events("worker").len() as u64;
    // Each serves 20 requests, give or take two.
    assert!(
        (count / 22..=count / 18 + 2).contains(&lives),
        "{lives} workers for {count} requests"
    );
    assert!(
        !ended.lines.iter().any(|line| line.starts_with("sockserv:")),
        "{:?}",
        ended.lines
    );
}
