//! A TCP proxy: two copies at once over a split stream, each passing on its own end-of-file.
//! Run:  `cargo run --example forward -- --to 127.0.0.1:8080`
//! Talk: `curl http://127.0.0.1:8081/`, while `http_hello` runs as the upstream
//! See:  `Hello, world!`, from the upstream

use std::env;
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::thread;
use std::time::Duration;

use sockserv::prelude::*;

#[derive(Clone)]
struct Forward {
    to: String,
}

// The two ends judge silence for themselves; `keepalive` finds ends that are gone.
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
        // Only the two ends know whether an answer is owed, so a shutdown grants its full grace.
        let _busy = stream.busy();
        let (mut reader, mut writer) = stream.split();
        thread::scope(|scope| {
            let thread = thread::Builder::new().name("forward-up".to_owned());
            let up = thread.spawn_scoped(scope, || {
                let done = io::copy(&mut reader, &mut &upstream)
                    .and_then(|_| upstream.shutdown(Shutdown::Write));
                if done.is_err() {
                    give_up(&upstream); // What it has answered still arrives.
                }
                done
            })?;
            let down = io::copy(&mut &upstream, &mut writer).and_then(|_| writer.shutdown_write());
            if down.is_err() {
                give_up(&upstream);
                give_up(&peer);
            }
            up.join().expect("a copy does not panic").and(down)
        })
    }
}

/// Ends every wait on this socket, in the other thread too.
fn give_up(socket: &TcpStream) {
    // An error means that it is disconnected already.
    let _ = socket.shutdown(Shutdown::Both);
}

/// Tries each address of the name.
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
