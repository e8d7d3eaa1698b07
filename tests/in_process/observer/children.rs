//! Children: those that die, are late, are cut, or cannot be had.

use std::net::TcpStream;
use std::time::Duration;

use sockserv::observer::Reason;
use sockserv::prelude::*;
use sockserv::{Phase, Timeout};

use super::{Events, Obeys, forking, say, sync};

pub(super) fn die() {
    let events = Events::default();
    let builder = forking::builder(&events);
    let running = forking::serve(builder);
    for command in ["exit\n", "abort\n"] {
        let client = say(&running, command);
        let told = events.next();
        assert_eq!((told.phase, told.reason), (Phase::Handle, Reason::Exited));
        assert_eq!(told.bytes.0, command.len() as u64);
        drop(client);
    }
    let failed: Vec<_> = events.log().failed.iter().map(|failed| failed.1).collect();
    assert_eq!(failed, [Phase::Exit, Phase::Exit], "the parent tells");
    events.end(running);
}

pub(super) fn late_or_cut() {
    let short = Duration::from_millis(100);
    for (timeout, command) in [
        (Timeout::FirstByte, ""),
        (Timeout::Read, "half a li"),
        (Timeout::Request, "half a li"),
        (Timeout::Request, "sleep\n"),
    ] {
        let events = Events::default();
        let builder = forking::builder(&events);
        let builder = match timeout {
            Timeout::FirstByte => builder.first_byte_timeout(short),
            Timeout::Read => builder.timeout(short),
            _ => builder.request_timeout(short),
        };
        let running = forking::serve(builder);
        let client = say(&running, command);
        let told = events.next();
        assert_eq!(told.reason, Reason::TimedOut(timeout), "{command}");
        drop(client);
        events.end(running);
    }
    for command in ["flood\n", "sleep\n"] {
        let events = Events::default();
        let builder = forking::builder(&events).shutdown_grace(Duration::ZERO);
        let running = forking::serve(builder);
        let mut client = say(&running, command);
        if command == "flood\n" {
            client.read_exact(&mut [0; 1]).expect("it writes");
        }
        let _ = running.shutdown().expect("a good end");
        assert_eq!(events.next().reason, Reason::Cut, "{command}");
        events.check();
    }
}

/// Checks for other threads.
#[derive(Clone)]
struct Careful(Obeys);

#[server(tcp, forking)]
impl Careful {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        self.0.obey(stream)
    }

    fn handle_error(&mut self, _error: &RequestError, _peer: &Address) {}
}

pub(super) fn no_fork() {
    let events = Events::default();
    let builder = CarefulServer::builder(Careful(Obeys::default())).addr("127.0.0.1:0");
    let mut server = builder.observer(events.clone()).bind().expect("alone");
    let at = server.local_addr().as_inet().expect("a port");
    let client = std::thread::spawn(move || {
        let mut client = TcpStream::connect(at).expect("it listens");
        client.read(&mut [0]).expect("an end")
    });
    assert!(server.handle_request().expect("it goes on"));
    assert_eq!(client.join().expect("it does not panic"), 0);
    let told = events.next();
    assert_eq!((told.phase, told.reason), (Phase::Dispatch, Reason::Failed));
    // Alone again, it serves.
    let mut client = TcpStream::connect(at).expect("it listens");
    client.write_all(b"ok\n").expect("it is taken");
    while events.log().ended.is_empty() {
        server.handle_request().expect("it forks, and reaps");
    }
    assert_eq!(io::read_to_string(client).expect("a reply"), "fine\n");
    assert_eq!(events.next().reason, Reason::Finished);
    drop(server);
    events.check();
}

pub(super) fn rest_in_child() {
    let events = Events::default();
    let mut server = sync::builder(&events).bind().expect("a free port");
    let at = server.local_addr().as_inet().expect("a port");
    let mut client = TcpStream::connect(at).expect("it listens");
    client.write_all(b"child\n").expect("it is taken");
    while events.log().ended.is_empty() {
        server.handle_request().expect("it forks, and reaps");
    }
    assert_eq!(io::read_to_string(client).expect("a reply"), "elsewhere\n");
    let told = events.next();
    assert_eq!((told.reason, told.bytes), (Reason::Finished, (6, 10)));
    drop(server);
    events.check();
}
