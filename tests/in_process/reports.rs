//! What the default `handle_error` writes, however many requests fail in however many processes: a log must not fill the disk.

use std::io::{Read as _, Write as _};
use std::time::Instant;

use libtest_mimic::{Failed, Trial};

use crate::Test;
use crate::served::{Served, connect};

/// How many requests fail: more than one server may say in the time that they take.
const FAILURES: u64 = 60;

/// How many lines a second may have.
const LINES: u64 = 10;

const REFUSE: &str = "reports_refuse";

macro_rules! models {
    ($($model:ident)*) => {
        pub(crate) fn trials() -> Vec<Trial> {
            vec![
                $(Trial::test(
                    concat!("p02_a_second_has_so_many_lines_of_", stringify!($model)),
                    || counts(concat!("reports_", stringify!($model))),
                ),)*
                Trial::test("p02_a_second_has_one_line_of_full_workers", refuse),
            ]
        }

        pub(crate) fn served() -> Vec<Test> {
            vec![
                $((concat!("reports_", stringify!($model)), $model::run),)*
                (REFUSE, refusing::run),
            ]
        }

        $(mod $model {
            use sockserv::prelude::*;

            #[derive(Clone)]
            struct Fails;

            #[server($model, tcp, addr = "127.0.0.1:0")]
            impl Fails {
                fn handle(&mut self, _stream: &mut Stream) -> io::Result<()> {
                    Err(io::Error::other("as it was asked to"))
                }
            }

            pub(super) fn run() {
                crate::served::ended(FailsServer::bind(Fails).and_then(FailsServer::run));
            }
        })*
    };
}
models!(threading pool forking prefork);

mod refusing {
    use sockserv::prelude::*;

    #[derive(Clone)]
    struct Echo;

    #[server(
        prefork(workers = 8),
        tcp,
        addr = "127.0.0.1:0",
        max_connections = 1,
        on_full = "refuse"
    )]
    impl Echo {
        fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
            io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
        }
    }

    pub(super) fn run() {
        crate::served::ended(EchoServer::bind(Echo).and_then(EchoServer::run));
    }
}

/// Workers that have no place for anybody say so together, once a second.
fn refuse() -> Result<(), Failed> {
    let mut server = Served::start(REFUSE)?;
    let at = server.at()?;
    let mut first = connect(&at)?;
    first.write_all(b"!")?;
    first.read_exact(&mut [0])?;
    let began = Instant::now();
    for _ in 0..FAILURES {
        assert_eq!(connect(&at)?.read_to_end(&mut Vec::new())?, 0);
    }
    drop(first);
    let said = server.stop()?;
    let most = began.elapsed().as_secs() + 2;
    let (lines, most) = (said.len() as u64, most.min(FAILURES));
    assert!((1..=most).contains(&lines), "{lines} lines: {said:#?}");
    Ok(())
}

fn counts(name: &str) -> Result<(), Failed> {
    let mut server = Served::start(name)?;
    let at = server.at()?;
    let began = Instant::now();
    for _ in 0..FAILURES {
        connect(&at)?.read_to_end(&mut Vec::new())?;
    }
    let said = server.stop()?;
    // The first second and the last one may both have begun in the middle.
    let most = LINES * (began.elapsed().as_secs() + 2);
    let (lines, most) = (said.len() as u64, most.min(FAILURES));
    assert!((LINES..=most).contains(&lines), "{lines} lines: {said:#?}");
    Ok(())
}
