use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(
    tcp,
    lines(max = "8 KiB"),
    delimited(b"\0"),
    length_prefixed(u16_be),
    fixed(4),
    record_marking,
    codec = 1,
    ignore_case,
    opcode = 1,
    tls,
    proxy,
    admin = 1,
)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

#[derive(Clone)]
struct Multiplexing;

#[server(tcp, unsafe(multiplexing))]
impl Multiplexing {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
