use sockserv::prelude::*;

#[derive(Clone)]
struct Shout;

#[server(tcp, lines)]
impl Shout {
    fn setup(&mut self, replies: &mut Replies) -> io::Result<()> {
        replies.send("220 ready")
    }

    fn message(&mut self, line: Bytes, replies: &mut Replies) -> io::Result<()> {
        replies.send(line)
    }
}

#[derive(Clone)]
struct Daytime;

#[server(tcp, udp)]
impl Daytime {
    fn handle(&mut self, _request: &mut dyn Request<Rfile = (), Wfile = ()>) {}
}

fn main() {}
