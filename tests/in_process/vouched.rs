//! `unsafe(forking)`: a server that forks although its process has other threads, because its author vouches for it. D12.
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    reason = "the word of the attribute, and no comment reaches the block that it becomes"
)]

use sockserv::prelude::*;
use sockserv_tests::Process;

use crate::Test;
use crate::alone::somebody_else;
use crate::echo::echo;

pub(crate) fn alone() -> Vec<Test> {
    vec![(
        "d12_vouched_forking_serves_beside_other_threads",
        beside_threads,
    )]
}

#[derive(Clone)]
struct Vouched {
    errors: std::sync::mpsc::Sender<String>,
}

// A child of this handler takes no lock that another thread of the test holds.
#[server(tcp, unsafe(forking))]
impl Vouched {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        let mut line = String::new();
        while stream.rfile.read_line(&mut line)? > 0 {
            match line.trim_end() {
                "abort" => std::process::abort(),
                "pid" => writeln!(stream.wfile, "{}", std::process::id())?,
                _ => stream.wfile.write_all(line.as_bytes())?,
            }
            line.clear();
        }
        Ok(())
    }

    fn handle_error(&mut self, error: &RequestError, _peer: &Address) {
        // Only while the test waits for it.
        let _ = self.errors.send(error.to_string());
    }
}

fn beside_threads() {
    let own = Process(std::process::id());
    let (done, thread) = somebody_else();
    let before = own.descriptors();
    let (errors, told) = std::sync::mpsc::channel();
    let running = VouchedServer::bind_to("127.0.0.1:0", Vouched { errors })
        .expect("a free port")
        .spawn()
        .expect("a thread");
    let mut bystander = running.connect().expect("it listens");
    let child = crate::echo::ask(&mut bystander, "pid");
    assert_ne!(child, own.0.to_string(), "a child of its own");
    for _ in 0..10 {
        echo(&mut running.connect().expect("it listens"), "here");
        let mut client = running.connect().expect("it listens");
        client.write_all(b"abort\n").expect("it reads");
        // The end of a child that crashes may be a reset.
        assert!(!matches!(client.read(&mut [0]), Ok(1..)), "no answer");
        let error = told
            .recv_timeout(sockserv_tests::DEADLINE)
            .expect("the crash is reported");
        assert!(error.contains("SIGABRT"), "{error}");
    }
    echo(&mut bystander, "still here");
    drop(bystander);
    let report = running.shutdown().expect("a good end");
    assert_eq!(report.cut(), 0);
    assert_eq!(own.children(), [], "no child, not even a dead one");
    assert_eq!(own.descriptors(), before);
    drop(done);
    thread.join().expect("it does not panic");
}
