use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp)]
impl Echo {
    fn greeting(&self) -> &str {
        "hello"
    }
}

fn main() -> io::Result<()> {
    EchoServer::bind_to("127.0.0.1:0", Echo)?.run()
}
