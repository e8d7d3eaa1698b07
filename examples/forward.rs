//! A TCP proxy: two copies at once over a split stream, each end of file passed on by itself.
//! Run:  `cargo run --example forward -- --to 127.0.0.1:8080`
//! Talk: `curl http://127.0.0.1:8081/`, while `http_hello` runs as the upstream

use std::env;
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::thread;
use std::time::Duration;

use sockserv::prelude::*;

#[derive(Clone)]
struct Forward {
    to: String,
}

// Silence is for the two ends to judge; `keepalive` finds the ends that are gone.
#[server(
    tcp,
    threading,
    addr = "127.0.0.1:8081",
    timeout = none,
    first_byte_timeout = none,
    keepalive
)]
impl Forward {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        let upstream = connect(&self.to)?;
        let peer = TcpStream::from(stream.socket().try_clone()?);
        // Only the two ends know whether an answer is owed: a shutdown grants its full grace.
        let _busy = stream.busy();
        let (mut reader, mut writer) = stream.split();
        thread::scope(|scope| {
            let up = || {
                io::copy(&mut reader, &mut &upstream)
                    .and_then(|_| upstream.shutdown(Shutdown::Write))
                    .inspect_err(|_| give_up(&upstream)) // What it has answered still arrives.
            };
            let thread = thread::Builder::new().name("forward-up".to_owned());
            let up = thread.spawn_scoped(scope, up)?;
            let down = io::copy(&mut &upstream, &mut writer)
                .and_then(|_| writer.shutdown_write())
                .inspect_err(|_| [&upstream, &peer].into_iter().for_each(give_up));
            up.join().expect("a copy does not panic").and(down)
        })
    }
}

/// Ends every wait for this socket, also in another thread.
fn give_up(socket: &TcpStream) {
    // It fails only if the socket is disconnected already.
    let _ = socket.shutdown(Shutdown::Both);
}

/// Tries each address that the name has.
fn connect(to: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("`{to}` has no address"));
    for address in to.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, Duration::from_secs(5)) {
            Ok(upstream) => return upstream.set_nodelay(true).map(|()| upstream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn main() -> io::Result<()> {
    let (mut to, mut addrs) = (Some("127.0.0.1:8080".to_owned()), Vec::new());
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--to" => to = args.next(),
            _ => addrs.push(arg),
        }
    }
    let to = to.ok_or(io::Error::other("write `--to HOST:PORT`"))?;
    ForwardServer::builder(Forward { to })
        .addrs(addrs)
        .bind()?
        .run()
}
