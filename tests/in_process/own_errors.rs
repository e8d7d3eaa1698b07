//! An error is a value of the user's, and nothing that its methods do harms the server. Promise 2.

use std::error::Error;
use std::fmt;
use std::panic::panic_any;

use sockserv::prelude::*;
use sockserv_tests::wait_until;

use crate::Test;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("p02_whatever_an_error_does_sync_serves_on", || {
            serves_on(sync::start)
        }),
        ("p02_whatever_an_error_does_threading_serves_on", || {
            serves_on(threading::start)
        }),
        ("p02_whatever_an_error_does_pool_serves_on", || {
            serves_on(pool::start)
        }),
        (
            "p02_a_worker_whose_error_cannot_be_shown_is_missed",
            misses_a_worker,
        ),
    ]
}

/// Does in each of its methods what it is named for.
#[derive(Debug)]
enum Hostile {
    SourcePanics,
    SourceIsItself,
    DisplayPanics,
    DropPanics,
}

/// Even what it panics with does.
struct Payload;

impl Drop for Payload {
    fn drop(&mut self) {
        panic!("a payload that does not want to end");
    }
}

impl Error for Hostile {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::SourcePanics => panic_any(Payload),
            Self::SourceIsItself => Some(self),
            _ => None,
        }
    }
}

impl fmt::Display for Hostile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DisplayPanics => panic_any(Payload),
            _ => write!(f, "{self:?}"),
        }
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        if matches!(self, Self::DropPanics) {
            panic_any(Payload);
        }
    }
}

/// Answers the name of an error by failing with it.
fn fail(stream: &mut Stream) -> Outcome {
    let mut name = String::new();
    stream.read_to_string(&mut name)?;
    Err(match &*name {
        "source panics" => Hostile::SourcePanics.into(),
        "source is itself" => Hostile::SourceIsItself.into(),
        "display panics" => Hostile::DisplayPanics.into(),
        "drop panics" => Hostile::DropPanics.into(),
        _ => return Ok(stream.wfile.write_all(name.as_bytes())?),
    })
}

macro_rules! servers {
    ($($model:ident $(($($options:tt)*))?;)*) => {$(
        mod $model {
            use sockserv::prelude::*;
            use sockserv::Running;

            #[derive(Clone)]
            struct Fails;

            #[server(tcp, $model $(($($options)*))?, addr = "127.0.0.1:0")]
            impl Fails {
                fn handle(&mut self, stream: &mut Stream) -> Outcome {
                    super::fail(stream)
                }
            }

            pub(super) fn start() -> Running {
                FailsServer::bind(Fails).and_then(FailsServer::spawn).expect("a free port")
            }
        }
    )*};
}
servers! {
    sync;
    threading;
    pool(workers = 1);
}

fn serves_on(start: fn() -> sockserv::Running) {
    let running = start();
    let say = |text: &str| {
        let mut client = running.connect().expect("it listens");
        client.write_all(text.as_bytes()).expect("it reads");
        client
            .shutdown(std::net::Shutdown::Write)
            .expect("it is open");
        io::read_to_string(client).expect("an end")
    };
    let names = [
        "source panics",
        "source is itself",
        "display panics",
        "drop panics",
    ];
    for name in names {
        assert_eq!(say(name), "", "{name}");
        assert_eq!(say("an honest one"), "an honest one", "after {name}");
    }
    wait_until(|| running.handle().stats().active == 0);
    let stats = running.handle().stats();
    assert_eq!((stats.finished, stats.failed), (4, 4), "{stats:?}");
}

#[derive(Clone)]
struct Hindered;

#[server(tcp, pool(workers = 2), addr = "127.0.0.1:0", accept_timeout = "1ms")]
impl Hindered {
    fn handle(&mut self, _: &mut Stream) {}

    fn worker_start(&mut self, worker: usize) -> io::Result<()> {
        match worker {
            0 => Ok(()),
            _ => Err(io::Error::other(Hostile::DisplayPanics)),
        }
    }
}

fn misses_a_worker() {
    let mut server = HinderedServer::bind(Hindered).expect("a free port");
    let error = server.handle_request().expect_err("one worker is missing");
    let error = error.to_string();
    assert!(error.starts_with("`worker_start` of worker 1: "), "{error}");
}
