use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;
use sockserv_tests::Folder;

use crate::client::{SOCAT, VALGRIND};
use crate::server::{Example, program};
use crate::{Outcome, plain, with_client};

const MODELS: [&str; 3] = ["sync", "threading", "forking"];
/// Whom memcheck watches, which does not know how children are watched.
const WATCHED: [(&str, &str); 4] = [
    ("tcp", "pool"),
    ("udp", "sync"),
    ("unix", "threading"),
    ("unix_datagram", "pool"),
];
const TRANSPORTS: [&str; 6] = ["tcp", "udp", "unix", "unix_datagram", "tcp+udp", "unix+udp"];

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![plain(
        "matrix::a_wrong_word_is_named",
        a_wrong_word_is_named,
    )];
    for transport in TRANSPORTS {
        for model in MODELS {
            let name = format!("matrix::socat_talks_to_{transport}_{model}");
            trials.push(with_client(SOCAT, &name, move || {
                answers(transport, model, &mut Command::new(program("matrix")))
            }));
        }
    }
    for (transport, model) in WATCHED {
        let name = format!("matrix::valgrind_finds_nothing_in_{transport}_{model}");
        trials.push(with_client(VALGRIND, &name, move || {
            answers(transport, model, memcheck().arg(program("matrix")))
        }));
    }
    trials
}

/// Ends with 9 if memory was lost, or read or written where it must not be.
fn memcheck() -> Command {
    let known = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/valgrind.supp");
    let mut memcheck = Command::new(VALGRIND.name);
    memcheck.args(["--quiet", "--error-exitcode=9", "--leak-check=full"]);
    memcheck.arg("--errors-for-leak-kinds=definite");
    memcheck.arg("--show-leak-kinds=definite");
    memcheck.arg(format!("--suppressions={}", known.display()));
    memcheck
}

fn answers(transport: &str, model: &str, command: &mut Command) -> Outcome {
    let folder = Folder::new();
    let path = format!("unix:{}", folder.join("server").display());
    let addrs = match transport {
        "tcp" | "udp" | "tcp+udp" => vec!["127.0.0.1:0"],
        "unix+udp" => vec![path.as_str(), "127.0.0.1:0"],
        _ => vec![path.as_str()],
    };
    let listeners = transport.split('+').count();
    let server = Example::spawn(command.args([transport, model]).args(addrs), listeners)?;
    for endpoint in server.endpoints() {
        let to = match endpoint.split_once(':').expect("a scheme and an address") {
            ("tcp", addr) => format!("TCP:{}", addr.trim_start_matches("//")),
            ("udp", addr) => format!("UDP:{}", addr.trim_start_matches("//")),
            ("unix", path) => format!("UNIX-CONNECT:{path}"),
            (_, path) => format!(
                "UNIX-SENDTO:{path},bind={}",
                folder.join("client").display()
            ),
        };
        // Over a datagram socket there is no end of file: socat waits a second for more.
        let output = SOCAT.run(&["-t1", "-", &to], b"one\ntwo\n")?;
        assert_eq!(output.success(), "one\ntwo\n", "{endpoint}");
    }
    Ok(server.stop()?)
}

fn a_wrong_word_is_named() -> Outcome {
    for (arguments, message) in [
        (
            &["tcp", "magic", "127.0.0.1:0"][..],
            "there is no cell `tcp magic`",
        ),
        (
            &["tcp", "sync", "127.0.0.1:0", "--speed", "9"],
            "unknown option `--speed`",
        ),
        (&["tcp"], "write: matrix TRANSPORT MODEL ADDR..."),
    ] {
        let mut command = Command::new(program("matrix"));
        let output = crate::client::run(command.args(arguments), b"")?;
        assert!(
            !output.status.success() && output.stderr.contains(message),
            "{output:#?}"
        );
    }
    Ok(())
}
