//! Generated code names everything from the root.

#![no_implicit_prelude]

#[derive(::std::clone::Clone)]
struct Bare;

#[::sockserv::server(tcp, unix_datagram, pool(workers = 2), timeout = "1s", allow = "10.0.0.0/8", on_full = "refuse")]
impl Bare {
    fn handle<R: ::sockserv::Request>(&mut self, _: &mut R) -> ::std::io::Result<()> {
        ::std::result::Result::Ok(())
    }

    fn verify_request(&self, _: &::sockserv::Address) -> bool {
        true
    }
}

#[derive(::std::clone::Clone)]
struct Words;

#[::sockserv::server(tcp, sync, lines)]
impl Words {
    #[command("ADD")]
    fn add(&mut self, first: u8, second: ::std::option::Option<u8>) -> ::std::result::Result<u8, ::std::string::String> {
        ::std::result::Result::Ok(first + second.unwrap_or(0))
    }
}

#[derive(::std::clone::Clone)]
struct Numbers;

#[::sockserv::server(tcp, unsafe(prefork(workers = 2)), length_prefixed(u8), opcode(u8))]
impl Numbers {
    #[opcode(1)]
    fn first(&mut self, message: ::sockserv::bytes::Bytes) -> ::sockserv::bytes::Bytes {
        message
    }
}

#[derive(::std::clone::Clone)]
struct Apart;

#[::sockserv::server(tcp, forking, addr = "127.0.0.1:0")]
impl Apart {
    fn handle(&mut self, _: &mut ::sockserv::Stream) {}
}

#[derive(::std::clone::Clone)]
struct Ahead;

#[::sockserv::server(unix, prefork)]
impl Ahead {
    fn handle(&mut self, _: &mut ::sockserv::Stream) {}
}

fn main() {
    let _servers = (BareServer::builder, WordsServer::run, NumbersServer::run);
    let _forks = (ApartServer::run, AheadServer::run);
}
