//! The handlers that the tests share.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use socket2::{Domain, Socket, Type};
use sockserv::Running;
use sockserv::prelude::*;
use sockserv_tests::DEADLINE;

/// Echoes lines to the end.
pub(crate) fn echo_lines(stream: &mut Stream) -> io::Result<()> {
    let mut line = String::new();
    while stream.rfile.read_line(&mut line)? > 0 {
        stream.wfile.write_all(line.as_bytes())?;
        line.clear();
    }
    Ok(())
}

/// Echoes lines; `who` is answered with both addresses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines {
    pub(crate) served: Arc<AtomicU64>,
}

impl Lines {
    fn answer(&self, stream: &mut Stream) -> io::Result<()> {
        self.served.fetch_add(1, Ordering::Relaxed);
        let mut line = String::new();
        while stream.rfile.read_line(&mut line)? > 0 {
            match line.trim_end() {
                "who" => {
                    let who = format!("{} {}\n", stream.peer_addr(), stream.local_addr());
                    stream.wfile.write_all(who.as_bytes())?;
                }
                "leave" => return Ok(()),
                _ => stream.wfile.write_all(line.as_bytes())?,
            }
            line.clear();
        }
        Ok(())
    }
}

macro_rules! lines {
    ($($module:ident: $transport:ident $model:ident;)*) => {$(
        pub(crate) mod $module {
            use sockserv::prelude::*;

            use super::Lines;

            #[derive(Clone, Debug, Default)]
            pub(crate) struct Echo(pub(crate) Lines);

            #[server($transport, $model, vis = pub(crate))]
            impl Echo {
                fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
                    self.0.answer(stream)
                }
            }
        }
    )*};
}
lines! {
    tcp_sync: tcp sync;
    tcp_threading: tcp threading;
    tcp_pool: tcp pool;
    tcp_forking: tcp forking;
    unix_sync: unix sync;
    unix_threading: unix threading;
}

macro_rules! packets {
    ($($module:ident: $transport:ident $model:ident;)*) => {$(
        pub(crate) mod $module {
            use sockserv::prelude::*;

            #[derive(Clone, Debug, Default)]
            pub(crate) struct Echo;

            #[server($transport, $model, vis = pub(crate))]
            impl Echo {
                fn handle(&mut self, datagram: &mut Datagram) -> io::Result<()> {
                    let reply = match &datagram.packet()[..] {
                        b"who\n" => format!("{} {}\n", datagram.peer_addr(), datagram.local_addr()).into_bytes(),
                        packet => packet.to_vec(),
                    };
                    datagram.wfile.write_all(&reply)
                }
            }
        }
    )*};
}
packets! {
    udp_sync: udp sync;
    udp_threading: udp threading;
    unix_datagram_sync: unix_datagram sync;
}

macro_rules! pairs {
    ($($module:ident: $stream:ident $datagram:ident $model:ident;)*) => {$(
        pub(crate) mod $module {
            use sockserv::prelude::*;

            #[derive(Clone, Debug, Default)]
            pub(crate) struct Echo;

            #[server($stream, $datagram, $model, vis = pub(crate))]
            impl Echo {
                fn handle<R: Request>(&mut self, request: &mut R) -> io::Result<()> {
                    let mut line = String::new();
                    let (rfile, wfile) = request.files();
                    rfile.read_line(&mut line)?;
                    wfile.write_all(line.as_bytes())
                }
            }
        }
    )*};
}
pairs! {
    tcp_udp_sync: tcp udp sync;
    tcp_udp_threading: tcp udp threading;
    unix_udp_threading: unix udp threading;
}

/// Connects with a deadline, and with little room for what is not read.
pub(crate) fn connect(running: &Running) -> TcpStream {
    let client = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    client.set_recv_buffer_size(4096).expect("an own socket");
    let at = running.local_addr().as_inet().expect("a port");
    client.connect(&at.into()).expect("it listens");
    client
        .set_read_timeout(Some(DEADLINE))
        .expect("an own socket");
    client.into()
}

/// Sends a line and returns the reply.
pub(crate) fn ask(client: &mut (impl Read + Write), line: &str) -> String {
    client
        .write_all(format!("{line}\n").as_bytes())
        .expect("the server reads");
    let mut reply = Vec::new();
    while reply.last() != Some(&b'\n') {
        let mut chunk = [0; 512];
        let count = client.read(&mut chunk).expect("the server replies");
        assert_ne!(count, 0, "the server ended the connection");
        reply.extend_from_slice(&chunk[..count]);
    }
    String::from_utf8(reply)
        .expect("it was text")
        .trim_end()
        .to_owned()
}

/// Sends a line and insists on the same line as the reply.
pub(crate) fn echo(client: &mut (impl Read + Write), line: &str) {
    assert_eq!(ask(client, line), line);
}
