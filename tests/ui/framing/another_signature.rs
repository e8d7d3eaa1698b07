use sockserv::prelude::*;

#[derive(Clone)]
struct First;

#[server(tcp, lines)]
impl First {
    fn message(line: Bytes) {
        drop(line);
    }
}

#[derive(Clone)]
struct Second;

#[server(tcp, lines)]
impl Second {
    fn message(&mut self) {}

    fn frame_error(&mut self, _error: sockserv::codec::FrameError) {}
}

#[derive(Clone)]
struct Third;

#[server(tcp, lines)]
impl Third {
    async fn message(self, _line: Bytes) {}
}

#[derive(Clone)]
struct Fourth;

#[server(tcp, lines)]
impl Fourth {
    fn message(&mut self, _replies: &mut Replies, _line: Bytes) {}
}

fn main() {}
