//! A model that refuses requests. F37.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use sockserv::prelude::*;
use sockserv::{Model, Unit};

use crate::Test;

pub(super) fn tests() -> Vec<Test> {
    vec![
        ("f37_an_own_model_runs_every_request", own_model),
        ("f37_what_a_model_refuses_is_reported", refusing_model),
    ]
}

/// A model that runs its requests, or every other one.
#[derive(Debug, Default)]
struct Odd {
    count: usize,
    refuses: bool,
}

impl<H> Model<H> for Odd {
    fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
        self.count += 1;
        if self.refuses && self.count.is_multiple_of(2) {
            return Err(unit.refuse(format!("{} is even", self.count)));
        }
        unit.run();
        Ok(())
    }

    fn drain(&mut self, _until: Instant) {}
}

/// What was reported: the phase and the text.
type Errors = Arc<Mutex<Vec<(sockserv::Phase, String)>>>;

#[derive(Clone, Default)]
struct Told {
    errors: Errors,
}

#[server(tcp, model = Odd)]
impl Told {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        stream.wfile.write_all(b"ran\n")
    }

    fn handle_error(&mut self, error: &RequestError, _peer: &Address) {
        self.errors
            .lock()
            .expect("nobody panics")
            .push((error.phase(), error.to_string()));
    }
}

fn own_model() {
    let running = ToldServer::bind_to("127.0.0.1:0", Told::default())
        .expect("a free port")
        .spawn()
        .expect("a thread");
    for _ in 0..4 {
        assert_eq!(
            io::read_to_string(running.connect().expect("it listens")).expect("an end"),
            "ran\n"
        );
    }
    assert_eq!(running.shutdown().expect("a good end").cut(), 0);
}

fn refusing_model() {
    let told = Told::default();
    let model = Odd {
        count: 0,
        refuses: true,
    };
    let running = ToldServer::builder(told.clone())
        .addr("127.0.0.1:0")
        .model(model)
        .bind()
        .expect("a free port")
        .spawn()
        .expect("a thread");
    for expected in ["ran\n", "", "ran\n", ""] {
        assert_eq!(
            io::read_to_string(running.connect().expect("it listens")).expect("an end"),
            expected
        );
    }
    let stats = running.handle().stats();
    running.shutdown().expect("a good end");
    let errors = told.errors.lock().expect("nobody panics");
    assert_eq!(
        *errors,
        [2, 4].map(|count| (
            sockserv::Phase::Dispatch,
            format!("dispatch: {count} is even")
        ))
    );
    assert_eq!((stats.finished, stats.active), (2, 0));
}
