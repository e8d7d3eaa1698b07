//! Another process of the same program takes over, and no client notices: A19.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use libtest_mimic::Trial;
use rustix::process::Signal;
use socket2::{SockAddr, Socket, Type};
use sockserv_tests::{
    Cell, Event, Folder, Model, Process, Scenario, Server, Transport, program, until,
};

use crate::prefork::workers;
use crate::renewal::{await_others, hammer};
use crate::{for_each, for_each_cell};

pub(crate) fn trials() -> Vec<Trial> {
    let concurrent_streams = |cell: &Cell| cell.is_stream() && cell.is_concurrent();
    let threading = |cell: &Cell| cell.model == Model::Threading;
    [
        for_each_cell("a19_another_process_takes_over_unnoticed", unnoticed),
        for_each_cell("a19_a_handler_may_ask_for_it", by_handle),
        for_each_cell("a19_a_process_that_does_not_start_changes_nothing", fails),
        for_each_cell("a19_a_process_that_hangs_changes_nothing", hangs),
        for_each_cell("a19_sockets_of_systemd_are_handed_on", inherited),
        for_each_cell("a19_a_socket_by_its_number_is_handed_on", numbered),
        for_each(
            threading,
            "a19_a_program_that_is_gone_changes_nothing",
            gone,
        ),
        for_each(
            threading,
            "a19_the_link_by_which_it_was_called_counts",
            linked,
        ),
        for_each(
            |cell| cell.is_preforked(),
            "a19_workers_that_do_not_start_change_nothing",
            workers_fail,
        ),
        for_each(
            |cell| cell.is_preforked(),
            "a19_workers_that_start_meanwhile_change_nothing",
            workers_meanwhile,
        ),
        for_each_cell("a19_there_is_no_lame_duck", no_lame_duck),
        for_each_cell("a19_descriptors_do_not_pile_up", descriptors),
        for_each(
            |cell| cell.is_preforked() && cell.transport == Transport::Tcp,
            "a19_fewer_workers_take_all_sockets",
            fewer_workers,
        ),
        for_each_cell("a19_a_shutdown_meanwhile_is_one", shutdown_meanwhile),
        for_each(
            concurrent_streams,
            "a19_requests_end_in_the_process_that_took_them",
            beside_requests,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn scenario(cell: Cell) -> Scenario {
    Scenario::new(cell)
        .with("upgrade", "on")
        .with("observe", "on")
}

fn unnoticed(cell: Cell) {
    let server = scenario(cell).with("quiet", "on").start();
    server.connect().echo("one");
    let at = server.addr().to_owned();
    hammer(&server, || (0..3).for_each(|_| server.upgrade()));
    assert_eq!(server.events("upgraded").len(), 3);
    let ended = server.stop();
    for summary in ended.events("ended") {
        let counts = ["active", "failed", "refused", "cut"].map(|name| summary.number(name));
        assert_eq!(counts, [0; 4], "{:?}", ended.lines);
    }
    assert!(ended.events("error").is_empty(), "{:?}", ended.lines);
    assert!(!Path::new(&at).exists(), "the last one removes the path");
}

fn by_handle(cell: Cell) {
    let server = Scenario::new(cell).start();
    assert_eq!(server.connect().ask("upgrade"), "asked");
    let before = server.await_upgrade();
    until(|| !before.is_alive(), || format!("{before:?} does not end"));
    server.connect().echo("another process");
    server.stop().expect_counts(1, 0, 0);
}

/// A server of which no other process starts while the file is there that says how: `hang`, or `fail`.
fn with_obstacle(cell: Cell, timeout: &str) -> (Server, Obstacle) {
    let folder = Folder::new();
    let path = folder.join("obstacle");
    let named = path.to_str().expect("a plain path");
    let scenario = scenario(cell).with("upgrade-timeout", timeout);
    let server = scenario.with("obstacle", named).start();
    (
        server,
        Obstacle {
            path,
            _folder: folder,
        },
    )
}

struct Obstacle {
    path: PathBuf,
    _folder: Folder,
}

impl Obstacle {
    fn put(&self, kind: &str) {
        fs::write(&self.path, kind).expect("an own folder");
    }

    fn remove(&self) {
        fs::remove_file(&self.path).expect("it is there");
    }
}

fn fails(cell: Cell) {
    let (server, obstacle) = with_obstacle(cell, "60s");
    server.connect().echo("one");
    let before = server.process();
    obstacle.put("fail");
    for nth in 0..2 {
        server.signal(Signal::USR2);
        server.nth_event(nth, "upgrade-failed");
        server.connect().echo("the old one goes on");
    }
    server
        .line(|line| line.contains("cannot upgrade: it ended before it was ready: exit status: 1"));
    assert_eq!(server.process(), before);
    // The next attempt is as good as the first.
    obstacle.remove();
    server.upgrade();
    server.connect().echo("the new one");
    server.stop().expect_counts(1, 0, 0);
}

fn hangs(cell: Cell) {
    let (server, obstacle) = with_obstacle(cell, "1s");
    server.connect().echo("one");
    obstacle.put("hang");
    server.signal(Signal::USR2);
    server.event("upgrading");
    server.signal(Signal::USR2);
    server.line(|line| line.contains("another upgrade is under way"));
    server.connect().echo("the old one goes on meanwhile");
    server.line(|line| line.contains("it was not ready in time"));
    let began = server.event("upgrading").number("pid");
    let began = Process(u32::try_from(began).expect("a process"));
    until(|| !began.is_alive(), || "it is not killed".to_owned());
    server.connect().echo("the old one goes on");
    let path = server.addr().to_owned();
    let ended = server.stop();
    ended.expect_counts(3, 0, 0);
    assert!(!Path::new(&path).exists(), "the path is still its own");
}

fn shutdown_meanwhile(cell: Cell) {
    let (server, obstacle) = with_obstacle(cell, "60s");
    server.connect().echo("one");
    obstacle.put("hang");
    server.signal(Signal::USR2);
    let began = server.event("upgrading").number("pid");
    let ended = server.stop();
    ended.expect_good_within(Duration::from_secs(3));
    let began = Process(u32::try_from(began).expect("a process"));
    assert!(!began.is_alive(), "what was started ends, too");
    assert_eq!(ended.events("upgrade-failed").len(), 1);
}

fn workers_meanwhile(cell: Cell) {
    let (server, obstacle) = with_obstacle(cell, "60s");
    server.await_crew();
    let old = workers(&server);
    obstacle.put("hang");
    server.signal(Signal::USR2);
    server.event("upgrading");
    server.signal(Signal::HUP);
    await_others(&server, old.len() + 1, &old); // One of them is the process that hangs.
    server.connect().echo("served by a new worker");
    let ended = server.stop();
    let failed = ended.events("upgrade-failed");
    let why: Vec<_> = failed.iter().map(|event| event.get("why")).collect();
    assert_eq!(why, ["the_server_is_shutting_down"], "{:?}", ended.lines);
}

fn beside_requests(cell: Cell) {
    let server = scenario(cell).with("shutdown-grace", "60s").start();
    let mut busy = server.connect();
    assert_eq!(busy.ask("busy"), "busy");
    let mut idle = server.connect();
    idle.echo("one");
    let mut fresh = server.connect();
    server.event_of("start", &fresh);
    server.signal(Signal::USR2);
    let before = server.await_upgrade();
    idle.expect_end();
    server.connect().echo("served by the new one");
    server.signal(Signal::USR2);
    server.line(|line| line.contains("still serves its last requests"));
    busy.expect_silence();
    fresh.expect_silence();
    fresh.echo("these words were on their way");
    fresh.expect_end();
    assert_eq!(busy.ask("a line"), "a line");
    busy.expect_end();
    until(|| !before.is_alive(), || format!("{before:?} does not end"));
    server.upgrade();
    server.connect().echo("served by the third one");
    let ended = server.stop();
    let finished = |summary: &Event| summary.number("finished");
    let finished: Vec<_> = ended.events("ended").iter().map(finished).collect();
    assert_eq!(finished, [3, 1, 1], "{:?}", ended.lines);
}

/// A socket for this cell that somebody else has opened.
fn opened(cell: Cell, folder: &Folder) -> Socket {
    let at = match cell.is_unix() {
        true => SockAddr::unix(folder.join("inherited")).expect("a short path"),
        false => "127.0.0.1:0"
            .parse::<SocketAddr>()
            .expect("an address")
            .into(),
    };
    let ty = match cell.is_stream() {
        true => Type::STREAM,
        false => Type::DGRAM,
    };
    let socket = Socket::new(at.domain(), ty, None).expect("a free descriptor");
    socket.bind(&at).expect("a free address");
    if cell.is_stream() {
        socket.listen(64).expect("it is bound");
    }
    socket
}

fn inherited(cell: Cell) {
    hand_on(cell, "systemd:web");
}

fn numbered(cell: Cell) {
    hand_on(cell, "fd:3");
}

fn hand_on(cell: Cell, named: &str) {
    let folder = Folder::new();
    let socket = opened(cell, &folder);
    let scenario = scenario(cell).with("quiet", "on").at(named);
    let server = scenario.inherits(socket.into()).start();
    hammer(&server, || (0..2).for_each(|_| server.upgrade()));
    let ended = server.stop();
    assert!(ended.events("error").is_empty(), "{:?}", ended.lines);
    assert_eq!(
        folder.join("inherited").exists(),
        cell.is_unix(),
        "who made it removes it"
    );
}

fn gone(cell: Cell) {
    let folder = Folder::new();
    let link = folder.join("program");
    symlink(program(), &link).expect("an own folder");
    let server = scenario(cell).program(&link).start();
    server.connect().echo("one");
    fs::remove_file(&link).expect("it is there");
    server.signal(Signal::USR2);
    server.event("upgrade-failed");
    server.line(|line| {
        line.contains("cannot upgrade: cannot start `") && line.contains("No such file")
    });
    server.connect().echo("the old one goes on");
    symlink(program(), &link).expect("an own folder");
    server.upgrade();
    server.connect().echo("the new one");
    server.stop().expect_counts(1, 0, 0);
}

/// Another name of the program's file.
struct Version(PathBuf);

impl Version {
    fn new(name: &str, cell: Cell) -> Self {
        let name = format!("{name}-{}-{}", cell.transport.word(), std::process::id());
        let path = program().with_file_name(name);
        fs::hard_link(program(), &path).expect("a fresh name");
        Self(path)
    }
}

impl Drop for Version {
    fn drop(&mut self) {
        fs::remove_file(&self.0).expect("it is there");
    }
}

fn linked(cell: Cell) {
    let folder = Folder::new();
    let [first, second] = ["first", "second"].map(|name| Version::new(name, cell));
    let link = folder.join("current");
    symlink(&first.0, &link).expect("an own folder");
    let server = scenario(cell).program(&link).start();
    fs::remove_file(&link).expect("it is there");
    symlink(&second.0, &link).expect("an own folder");
    server.upgrade();
    let runs = fs::read_link(format!("/proc/{}/exe", server.process().0));
    assert_eq!(runs.expect("it serves"), second.0);
    server.stop().expect_counts(0, 0, 0);
}

fn workers_fail(cell: Cell) {
    let folder = Folder::new();
    let obstacle = folder.join("obstacle");
    let scenario = scenario(cell).with("upgrade-timeout", "500ms");
    let named = obstacle.to_str().expect("a plain path");
    let server = scenario.with("no-worker-while", named).start();
    server.await_crew();
    fs::write(&obstacle, "").expect("an own folder");
    server.signal(Signal::USR2);
    server.event("upgrade-failed");
    server.connect().echo("the old one goes on");
    fs::remove_file(&obstacle).expect("it is there");
    server.upgrade();
    server.connect().echo("the new one");
    server.stop().expect_counts(1, 0, 0);
}

fn descriptors(cell: Cell) {
    let server = scenario(cell).start();
    let count = || server.process().descriptors().len();
    server.upgrade();
    server.connect().echo("one");
    let before = count();
    for _ in 0..2 {
        server.upgrade();
        server.connect().echo("one more");
    }
    until(
        || count() <= before,
        || {
            format!(
                "{before} descriptors, then {:#?}",
                server.process().descriptors()
            )
        },
    );
    server.stop().expect_counts(1, 0, 0);
}

fn fewer_workers(cell: Cell) {
    let folder = Folder::new();
    let workers = folder.join("workers");
    let say = |count: &str| fs::write(&workers, count).expect("an own folder");
    say("6");
    let scenario = scenario(cell).with("accept", "reuse-port");
    let named = format!("@{}", workers.display());
    let server = scenario.with("workers", &named).start();
    for count in ["2", "4", "1"] {
        assert_eq!(server.connect().ask("suspend"), "suspended");
        // So many that some wait in each socket.
        let mut clients: Vec<_> = (0..40).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.send("echo one");
            client.finish();
        }
        say(count);
        server.upgrade();
        for client in &mut clients {
            client.expect_rest("one\n");
        }
    }
    let _ = server.stop();
}

/// Nobody needs to notice: the old process does not serve on for a while.
fn no_lame_duck(cell: Cell) {
    let server = scenario(cell).with("lame-duck", "60s").start();
    server.connect().echo("one");
    server.upgrade();
    server.connect().echo("one more");
    server.signal(Signal::INT);
    let _ = server.terminate(); // The second signal cuts.
}
