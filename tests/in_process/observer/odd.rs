//! Requests that never run, packets, and observers that misbehave.

use std::net::UdpSocket;
use std::time::Instant;

use sockserv::observer::{Event, Observer, Reason};
use sockserv::prelude::*;
use sockserv::{Kind, Phase};

use super::{Events, Obeys, say, sync, threading};

pub(super) fn no_thread() {
    let events = Events::default();
    let builder = threading::builder(&events).stack_size(1 << 46); // More than there are addresses.
    let running = threading::serve(builder);
    let mut client = say(&running, "");
    assert_eq!(client.read(&mut [0]).expect("an end"), 0);
    let told = events.next();
    assert_eq!((told.phase, told.reason), (Phase::Dispatch, Reason::Failed));
    assert_eq!(events.log().failed.len(), 1);
    events.end(running);
}

/// Loses every request, or panics in between.
#[derive(Debug, Default)]
struct Loses;

impl<H> sockserv::Model<H> for Loses {
    fn dispatch(&mut self, unit: sockserv::Unit<H>) -> Result<(), sockserv::Unit<H>> {
        drop(unit);
        Ok(())
    }

    fn drain(&mut self, _until: Instant) {}
}

#[derive(Clone)]
struct Lost(#[allow(dead_code, reason = "it is the cell, whatever it holds")] Obeys);

#[server(tcp, model = Loses)]
impl Lost {
    fn handle(&mut self, _stream: &mut Stream) {}
}

pub(super) fn dropped_unit() {
    let events = Events::default();
    let builder = LostServer::builder(Lost(Obeys::default())).addr("127.0.0.1:0");
    let running = builder
        .observer(events.clone())
        .bind()
        .and_then(|server| server.spawn())
        .expect("it serves");
    let mut client = say(&running, "");
    assert_eq!(client.read(&mut [0]).expect("an end"), 0);
    assert_eq!(events.next().reason, Reason::Failed);
    events.end(running);
    // A clone that panics.
    let badly = Obeys {
        clones_badly: true,
        drops_badly: false,
    };
    let builder = LostServer::builder(Lost(badly)).addr("127.0.0.1:0");
    let running = builder
        .observer(events.clone())
        .bind()
        .and_then(|server| server.spawn())
        .expect("it serves");
    let mut client = say(&running, "");
    assert_eq!(client.read(&mut [0]).expect("an end"), 0);
    let told = events.next();
    assert_eq!(
        (told.phase, told.reason),
        (Phase::Dispatch, Reason::Panicked)
    );
    running.shutdown().expect("a good end");
    events.check();
}

#[derive(Clone)]
struct Twice;

#[server(udp, threading, addr = "127.0.0.1:0")]
impl Twice {
    fn handle(&mut self, datagram: &mut Datagram) -> io::Result<()> {
        let packet = datagram.packet().clone();
        datagram.wfile.write_all(&packet)?;
        datagram.wfile.write_all(&packet)
    }
}

pub(super) fn packet() {
    let events = Events::default();
    let builder = TwiceServer::builder(Twice).observer(events.clone());
    let running = builder
        .bind()
        .and_then(|server| server.spawn())
        .expect("it serves");
    let client = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let at = running.local_addr().as_inet().expect("a port");
    client.send_to(b"abc", at).expect("it is sent");
    let told = events.next();
    assert_eq!(told.bytes, (3, 6));
    assert_eq!(
        (told.transport, told.reason),
        (Some(Kind::Udp), Reason::Finished)
    );
    events.end(running);
}

/// Panics at each of its calls.
struct Panics;

impl Observer for Panics {
    fn observe(&self, _event: &Event<'_>) {
        panic!("an observer")
    }

    fn around(&self, _request: u64, _call: &mut dyn FnMut()) {
        panic!("an observer")
    }
}

pub(super) fn panicking() {
    let events = Events::default();
    let builder = threading::builder(&events).observer(Panics);
    let running = threading::serve(builder);
    for _ in 0..3 {
        let client = say(&running, "ok\n");
        assert_eq!(io::read_to_string(client).expect("it is served"), "fine\n");
        assert_eq!(events.next().reason, Reason::Finished);
    }
    events.end(running);
}

pub(super) fn around() {
    let events = Events::default();
    let builder = sync::builder(&events);
    let running = sync::serve(builder);
    for (command, calls) in [("ok\n", 3), ("panic\n", 4), ("thread\n", 3)] {
        let _ = io::read_to_string(say(&running, command));
        events.next();
        let log = std::mem::take(&mut events.log().around);
        assert_eq!(log.len(), calls, "{command:?}: {log:?}");
        assert!(log.iter().all(|request| *request == log[0]), "{log:?}");
    }
    events.end(running);
}
