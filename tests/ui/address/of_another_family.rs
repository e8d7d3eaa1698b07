use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, addr = "unix:/run/echo.sock")]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

#[derive(Clone)]
struct Control;

#[server(unix, addr = ["unix:/run/control.sock", "127.0.0.1:7007"])]
impl Control {
    fn handle(&mut self, _stream: &mut Stream) {}
}

#[derive(Clone)]
struct Clock;

#[server(tcp, udp, addr = ["127.0.0.1:37", "unix-datagram:/run/clock.sock"])]
impl Clock {
    fn handle<R: Request>(&mut self, _request: &mut R) {}
}

fn main() {}
