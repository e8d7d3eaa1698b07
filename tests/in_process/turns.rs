//! Who is always busy, be it one connection, one listener or a flood of packets, lets the others have their turn.

use std::io::BufReader;
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};
use std::{hint, iter, thread};

use sockserv::prelude::*;
use sockserv_tests::{DEADLINE, wait_until};

use crate::Test;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("turns_beside_a_connection_that_never_rests", || {
            served_beside(connection_without_rest);
        }),
        ("turns_beside_packets_without_end", || {
            served_beside(packets_without_end);
        }),
        (
            "turns_of_listeners_whose_requests_come_one_by_one",
            one_by_one,
        ),
        ("turns_of_listeners_that_wait_for_a_place", one_place),
        ("turns_of_a_client_beside_slow_packets", slow_packets),
        ("turns_are_as_short_as_slow_requests", slow_requests),
        ("turns_are_few_while_a_pool_is_full", full_pool),
    ]
}

/// Echoes lines.
#[derive(Clone)]
struct Echo;

#[server(tcp, udp, pool(workers = 1), lines(max = "1 KiB"))]
impl Echo {
    fn message(&mut self, line: Bytes, replies: &mut Replies) -> io::Result<()> {
        if replies.sender().is_none() {
            (0..20_000).for_each(|number| _ = hint::black_box(number)); // Packets come faster than they are handled.
        }
        replies.send(line)
    }
}

/// Whom the flood meets, and whether it goes on.
struct Flood {
    at: SocketAddr,
    goes_on: AtomicBool,
}

impl Flood {
    fn goes_on(&self) -> bool {
        self.goes_on.load(Ordering::Relaxed)
    }
}

/// On return nobody floods any more.
struct Ends<'a>(&'a Flood);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.goes_on.store(false, Ordering::Relaxed);
    }
}

fn connection_without_rest(flood: &Flood) {
    let mut socket = TcpStream::connect(flood.at).expect("it listens");
    let mut replies = socket.try_clone().expect("descriptors");
    thread::scope(|scope| {
        scope.spawn(move || io::copy(&mut replies, &mut io::sink()).expect("it goes on"));
        while flood.goes_on() {
            socket.write_all(&b"x\n".repeat(1 << 15)).expect("it reads");
        }
        socket.shutdown(Shutdown::Write).expect("it is open");
    });
}

fn packets_without_end(flood: &Flood) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    while flood.goes_on() {
        let sent = socket.send_to(b"x", flood.at);
        sent.expect("the kernel takes it, or forgets it");
    }
}

fn served_beside(floods: fn(&Flood)) {
    let server = EchoServer::bind_to("127.0.0.1:0", Echo).and_then(EchoServer::spawn);
    let server = server.expect("a free port");
    let flood = Flood {
        at: server.local_addr().as_inet().expect("a port"),
        goes_on: AtomicBool::new(true),
    };
    let first = TcpStream::connect(flood.at).expect("it listens");
    thread::scope(|scope| {
        let _ends = Ends(&flood);
        scope.spawn(|| floods(&flood));
        let before = server.handle().stats().bytes_in;
        wait_until(|| server.handle().stats().bytes_in > before + 1000);
        let timeout = Some(DEADLINE);
        first.set_read_timeout(timeout).expect("an own socket");
        let mut first = BufReader::new(first);
        for _ in 0..20 {
            first.get_mut().write_all(b"turn\n").expect("it is open");
            let mut line = String::new();
            first.read_line(&mut line).expect("it has its turn");
            assert_eq!(line, "turn\n");
        }
    });
}

/// Says who came, in their order. The packet `gate` comes to a gate, and goes on when that opens.
#[derive(Clone)]
struct Order {
    came: Sender<Address>,
    gate: Arc<Barrier>,
}

impl Order {
    fn new() -> (Self, Receiver<Address>) {
        let (came, order) = channel();
        let gate = Arc::new(Barrier::new(2));
        (Self { came, gate }, order)
    }

    fn note<R: Request>(&self, request: &mut R) -> Outcome {
        let mut said = Vec::new();
        self.came.send(request.peer_addr().clone())?;
        request.rfile().read_to_end(&mut said)?;
        if said == b"gate" {
            self.gate.wait();
            self.gate.wait();
        }
        Ok(())
    }
}

macro_rules! orders {
    ($($module:ident: $datagram:ident $model:ident;)*) => {$(
        mod $module {
            use super::*;

            #[derive(Clone)]
            pub(super) struct Note(pub(super) Order);

            #[server(tcp, $datagram, $model, vis = pub(super))]
            impl Note {
                fn handle<R: Request>(&mut self, request: &mut R) -> Outcome {
                    self.0.note(request)
                }
            }
        }
    )*};
}
orders! {
    udp_sync: udp sync;
    unix_sync: unix_datagram sync;
    unix_threading: unix_datagram threading;
}

/// A place for streams, and one for packets, which are there as soon as they are sent.
fn places(name: &str) -> [String; 2] {
    let name = format!("unix-datagram:@sockserv-{name}-{}", std::process::id());
    ["127.0.0.1:0".to_owned(), name]
}

fn connect(server: &Address) -> TcpStream {
    TcpStream::connect(server.as_inet().expect("a port")).expect("it listens")
}

/// Sends a packet without a sender's name.
fn send(server: &Address) {
    let Address::Abstract(name) = server else {
        panic!("{server}");
    };
    let at = UnixAddr::from_abstract_name(name).expect("a short name");
    let socket = UnixDatagram::unbound().expect("a socket");
    socket.send_to_addr(b"x", &at).expect("it has room");
}

fn one_by_one() {
    let (handler, order) = Order::new();
    let server = unix_sync::NoteServer::builder(unix_sync::Note(handler));
    let server = server.addrs(places("one-by-one")).bind();
    let mut server = server.expect("free places");
    let [streams, packets] = server.local_addrs() else {
        panic!("{server:?}");
    };
    let clients: Vec<_> = (0..20).map(|_| connect(streams)).collect();
    send(packets);
    let shut = |client: &TcpStream| client.shutdown(Shutdown::Write);
    clients.iter().try_for_each(shut).expect("they are open");
    for _ in &clients {
        server.handle_request().expect("somebody is there");
    }
    let came: Vec<_> = order.try_iter().collect();
    assert!(came.contains(&Address::Unnamed), "{came:?}");
}

fn one_place() {
    let (handler, order) = Order::new();
    let server = unix_threading::NoteServer::builder(unix_threading::Note(handler));
    let server = server.addrs(places("one-place")).max_connections(1).bind();
    let server = server.expect("free places");
    let at = server.local_addrs().to_vec();
    let _running = server.spawn().expect("a thread");
    let first = connect(&at[0]);
    order.recv_timeout(DEADLINE).expect("it has the place");
    let _silent = connect(&at[0]);
    send(&at[1]);
    drop(first);
    let next = order.recv_timeout(DEADLINE).expect("the place is free");
    assert_eq!(next, Address::Unnamed);
}

fn slow_packets() {
    let (handler, order) = Order::new();
    let gate = Arc::clone(&handler.gate);
    let server = udp_sync::NoteServer::bind_to("127.0.0.1:0", udp_sync::Note(handler));
    let server = server.expect("a free port");
    let at = server.local_addr().as_inet().expect("a port");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.send_to(b"gate", at).expect("the kernel takes it");
    for _ in 0..200 {
        socket.send_to(b"x", at).expect("the kernel takes it");
    }
    let running = server.spawn().expect("a thread");
    gate.wait();
    let client = connect(running.local_addr());
    client.shutdown(Shutdown::Write).expect("it is open");
    let own = Address::from(client.local_addr().expect("an own socket"));
    gate.wait();
    let order = iter::from_fn(|| order.recv_timeout(DEADLINE).ok());
    let others = order.take_while(|peer| *peer != own).count();
    assert!(others <= 100, "{others} packets came before it");
}

/// What a server did: a request, or a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Did {
    Serve,
    Turn,
}

/// Takes longer than a turn should.
#[derive(Clone)]
struct Slow(Sender<Did>);

#[server(tcp, sync, addr = "127.0.0.1:0")]
impl Slow {
    fn handle(&mut self, _stream: &mut Stream) -> Outcome {
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(50) {
            hint::spin_loop();
        }
        Ok(self.0.send(Did::Serve)?)
    }

    fn service_actions(&self) {
        let _ = self.0.send(Did::Turn); // At the end nobody listens.
    }
}

fn slow_requests() {
    let (did, order) = channel();
    let server = SlowServer::bind(Slow(did)).expect("a free port");
    let _clients = [(); 4].map(|()| connect(server.local_addr()));
    let _running = server.spawn().expect("a thread");
    let order = iter::from_fn(|| order.recv_timeout(DEADLINE).ok());
    let until_the_last = order.scan(0, |served, did| {
        *served += usize::from(did == Did::Serve);
        (*served < 4).then_some(did)
    });
    let order: Vec<_> = until_the_last.collect();
    let two = |pair: &[Did]| *pair == [Did::Serve; 2];
    assert!(!order.windows(2).any(two), "{order:?}");
}

/// Counts the turns of its server; a packet comes to a gate, and goes on when that opens.
#[derive(Clone)]
struct Full {
    turns: Arc<AtomicUsize>,
    gate: Arc<Barrier>,
}

#[server(tcp, udp, pool(workers = 1, queue = 1))]
impl Full {
    fn handle<R: Request>(&mut self, request: &mut R) -> io::Result<()> {
        let mut said = Vec::new();
        request.rfile().read_to_end(&mut said)?;
        if said == b"gate" {
            self.gate.wait();
            self.gate.wait();
        }
        Ok(())
    }

    fn service_actions(&self) {
        self.turns.fetch_add(1, Ordering::SeqCst);
    }
}

/// A silent client waits for those that wait for a thread, and costs nothing.
fn full_pool() {
    let (turns, gate) = (Arc::default(), Arc::new(Barrier::new(2)));
    let full = Full {
        turns: Arc::clone(&turns),
        gate: Arc::clone(&gate),
    };
    let server = FullServer::bind_to("127.0.0.1:0", full).expect("a free port");
    let running = server.spawn().expect("a thread");
    let at = running.local_addr().as_inet().expect("a port");
    let accepted = |count| wait_until(|| running.handle().stats().accepted == count);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let send = |packet: &[u8]| socket.send_to(packet, at).expect("the kernel takes it");
    send(b"gate");
    gate.wait();
    let silent = connect(running.local_addr());
    accepted(2);
    send(b"in the queue");
    send(b"behind it");
    accepted(4);
    let before = turns.load(Ordering::SeqCst);
    // There is no event that says that nothing happens.
    let timeout = Some(Duration::from_millis(300));
    silent.set_read_timeout(timeout).expect("an own socket");
    let kind = silent.peek(&mut [0]).map_err(|error| error.kind());
    assert_eq!(kind, Err(io::ErrorKind::WouldBlock));
    let turns = turns.load(Ordering::SeqCst) - before;
    gate.wait();
    drop(silent);
    assert!(turns < 100, "{turns} turns");
}
