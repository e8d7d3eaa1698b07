//! A `macro_rules!` hands words, types and literals on in invisible groups.

use sockserv::prelude::*;

const ADDR: &str = "127.0.0.1:0";

macro_rules! greeter {
    ($name:ident, $server:ident, $transport:ident, $model:ident, $addr:expr, $timeout:literal, $stream:ty, $vis:vis, $body:block) => {
        #[derive(Clone)]
        struct $name;

        #[server($transport, $model, addr = $addr, timeout = $timeout, name = $server, vis = $vis)]
        impl $name {
            fn handle(&mut self, _stream: $stream) -> io::Result<()> $body
        }
    };
}

macro_rules! typed {
    ($ty:ty, $item:item) => {
        #[derive(Clone)]
        $item

        #[server(unix, mode = 0o600, unsafe(forking))]
        impl $ty {
            fn handle(&mut self, _stream: &mut Stream) {}
        }
    };
}

greeter!(Hello, Greeting, tcp, threading, "127.0.0.1:0", "30s", &mut Stream, pub(crate), { Ok(()) });
greeter!(Bye, Leaving, udp, sync, ADDR, "5 min", &mut Datagram, pub(self), { Ok(()) });
greeter!(Hush, Whispering, tcp, pool, ADDR, "1s", &mut Stream, , { Ok(()) });
typed!(Typed, struct Typed;);

fn main() {
    let _server = (Greeting::bind, Leaving::bind, Whispering::bind, TypedServer::run);
}
