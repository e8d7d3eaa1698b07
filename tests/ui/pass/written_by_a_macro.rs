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

macro_rules! verbs {
    ($ty:ident, $($verb:literal $number:literal $method:ident),*) => {
        #[derive(Clone)]
        struct $ty;

        #[server(tcp, pool, lines, addr = ADDR)]
        impl $ty {
            $(#[command($verb, when = Self::is_open)]
            fn $method(&mut self, first: u8, rest: Vec<&str>) -> Option<usize> {
                Some(usize::from(first) + rest.len() + $number)
            })*

            fn is_open(&self) -> bool {
                true
            }
        }
    };
}

macro_rules! served {
    ([$($words:tt)*] $item:item) => {
        #[server($($words)*)]
        $item
    };
}

macro_rules! attributed {
    (#[$attribute:meta] $ty:ident) => {
        #[$attribute]
        impl $ty {
            #[command("ALL", when = Self::is_open)]
            fn all(&mut self, _rest: &[&str], stream: &mut Stream) -> io::Result<()> {
                stream.write_all(b"all")
            }

            fn is_open(&self) -> bool {
                true
            }
        }
    };
}

greeter!(Hello, Greeting, tcp, threading, "127.0.0.1:0", "30s", &mut Stream, pub(crate), { Ok(()) });
greeter!(Bye, Leaving, udp, sync, ADDR, "5 min", &mut Datagram, pub(self), { Ok(()) });
greeter!(Hush, Whispering, tcp, pool, ADDR, "1s", &mut Stream, , { Ok(()) });
typed!(Typed, struct Typed;);
verbs!(Verbs, "ONE" 1 one, "TWO" 2 two);

#[derive(Clone)]
struct Words;

served!([tcp, threading, lines] impl Words {
    #[command("GET", when = Self::is_open)]
    fn get(&mut self, _key: &str, _count: Option<u8>, replies: &mut Replies) -> io::Result<()> {
        replies.send("value")
    }

    #[command("RAW")]
    fn raw(&mut self, _rest: Vec<String>, stream: &mut Stream) -> io::Result<()> {
        stream.write_all(b"raw")
    }

    fn is_open(&self) -> bool {
        true
    }
});

#[derive(Clone)]
struct Numbers;

served!([tcp, threading, fixed(2), opcode(u8)] impl Numbers {
    #[opcode(1)]
    fn one(&mut self, payload: Bytes, _head: &[u8]) -> Bytes {
        payload
    }

    #[opcode(2)]
    fn two(&mut self, payload: &[u8], _head: Bytes, replies: &mut Replies) -> io::Result<()> {
        replies.send(payload)
    }

    #[opcode(3)]
    fn three(&mut self, payload: &[u8], _head: Bytes, stream: &mut Stream) -> io::Result<()> {
        stream.write_all(payload)
    }
});

#[derive(Clone)]
struct All;

attributed!(#[server(tcp, sync, lines)] All);

fn main() {
    let _server = (Greeting::bind, Leaving::bind, Whispering::bind, TypedServer::run);
    let _spoken = (VerbsServer::bind, WordsServer::run, NumbersServer::run, AllServer::run);
}
