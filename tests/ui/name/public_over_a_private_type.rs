mod echo {
    use sockserv::prelude::*;

    #[derive(Clone)]
    struct Echo;

    #[server(tcp, vis = pub)]
    impl Echo {
        fn handle(&mut self, _stream: &mut Stream) {}
    }

    pub fn echo() -> EchoServer {
        EchoServer::bind_to("127.0.0.1:0", Echo).unwrap()
    }
}

fn main() {}
