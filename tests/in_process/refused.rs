//! Whose refusal an error tells of: the peer's, which is not worth a line, or that of somebody else, which is. Promise 6.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

use sockserv::prelude::*;
use sockserv::socket2::{Domain, Socket, Type};
use sockserv::{observer::Reason, testing};

use crate::Test;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("p06_a_dead_backend_is_no_disconnect", dead_backend),
        (
            "p06_a_packet_s_dead_backend_is_no_disconnect",
            packet_s_dead_backend,
        ),
        (
            "f56_a_peer_that_refuses_the_reply_is_a_disconnect",
            refused_reply,
        ),
        (
            "f56_a_peer_that_leaves_a_conversation_is_a_disconnect",
            refused_conversation,
        ),
    ]
}

/// Asks a backend, whoever asks him.
#[derive(Clone)]
struct Front {
    backend: SocketAddr,
}

#[server(tcp, udp)]
impl Front {
    fn handle<R: Request>(&mut self, request: &mut R) -> io::Result<()> {
        let mut backend = TcpStream::connect(self.backend)?;
        io::copy(&mut backend, request.wfile()).map(drop)
    }
}

/// A backend whose port is taken, so that nobody else gets it, but where nobody listens.
fn nobody() -> io::Result<(Socket, Front)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    let address = socket.local_addr()?.as_socket();
    let backend = address.expect("an address of the internet");
    Ok((socket, Front { backend }))
}

fn dead_backend() {
    let (_socket, front) = nobody().expect("a free port");
    let record = testing::stream(front).run();
    assert!(!record.error().expect("a refusal").is_disconnect());
    assert_eq!(record.reason(), Some(Reason::Failed));
}

fn packet_s_dead_backend() {
    let (_socket, front) = nobody().expect("a free port");
    let record = testing::datagram(front).sends("question").run();
    assert!(!record.error().expect("a refusal").is_disconnect());
    assert_eq!(record.reason(), Some(Reason::Failed));
}

fn refused_reply() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let backend = listener.local_addr().expect("it is bound");
    let backend_answers = thread::spawn(move || listener.accept()?.0.write_all(b"answer"));
    let script = testing::datagram(Front { backend }).leaves();
    let record = script.sends("question").run();
    let answered = backend_answers.join().expect("no panic");
    answered.expect("a connection");
    assert!(record.error().expect("a refusal").is_disconnect());
    assert_eq!(record.reason(), Some(Reason::Disconnected));
}

/// Whether each error was a disconnect.
#[derive(Clone, Default)]
struct Late(Arc<Mutex<Vec<bool>>>);

#[server(udp)]
impl Late {
    fn handle(&mut self, datagram: &mut Datagram) -> io::Result<()> {
        let conversation = datagram.conversation()?;
        conversation.send(b"anybody there?")?;
        conversation.recv(&mut [0]).map(drop)
    }

    fn handle_error(&mut self, error: &RequestError, _peer: &Address) {
        let mut errors = self.0.lock().expect("nobody panics");
        errors.push(error.is_disconnect());
    }
}

fn refused_conversation() {
    let late = Late::default();
    let mut server = LateServer::bind_to("127.0.0.1:0", late.clone()).expect("a free port");
    let client = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let to = server.local_addr().to_string();
    client.send_to(b"question", to).expect("sent");
    drop(client); // Before it is answered.
    assert!(server.handle_request().expect("served"));
    assert_eq!(*late.0.lock().expect("nobody panics"), [true]);
}
