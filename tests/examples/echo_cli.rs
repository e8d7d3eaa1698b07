//! The server whose operator has not seen its source: flags, variables, `--help`, `--check`.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use libtest_mimic::Trial;
use rustix::process::Signal;

use crate::client::{Output, PRLIMIT, Peer, run};
use crate::server::{Example, program_with};
use crate::{Outcome, plain, with_client};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        plain("echo_cli::a_flag_overrides_a_variable", flag_and_variable),
        plain("echo_cli::check_says_where_each_value_comes_from", check),
        plain("echo_cli::help_lists_what_fits", help),
        plain("echo_cli::a_mistake_ends_it_with_code_2", mistake),
        with_client(
            PRLIMIT,
            "echo_cli::too_few_descriptors_are_worth_a_warning",
            warning,
        ),
    ]
}

fn echo() -> &'static PathBuf {
    static ECHO: OnceLock<PathBuf> = OnceLock::new();
    ECHO.get_or_init(|| program_with("cli", "echo_cli"))
}

fn output(arguments: &[&str]) -> std::io::Result<Output> {
    let mut command = Command::new(echo());
    let command = command.args(arguments).env("ECHO_MAX_CONNECTIONS", "500");
    run(command.env("COLUMNS", "200"), b"")
}

fn flag_and_variable() -> Outcome {
    let mut command = Command::new(echo());
    command
        .arg("--max-connections=7")
        .args(["--banner", "421 busy\\r\\n"])
        .env("ECHO_ADDR", "127.0.0.1:0,[::1]:0")
        .env("ECHO_MAX_CONNECTIONS", "500")
        .env("ECHO_ON_FULL", "refuse")
        .stderr(Stdio::piped());
    let mut server = Example::spawn(&mut command, 2)?;
    let mut peer = Peer::connect(server.addr())?;
    peer.send("hello\n")?;
    assert_eq!(peer.line()?, "hello\n");
    server.signal(Signal::USR1)?;
    let said = BufReader::new(server.stderr().expect("it was asked for"));
    let limits = said
        .lines()
        .map_while(Result::ok)
        .find(|line| line.contains("limits:"));
    assert_eq!(
        limits.as_deref(),
        Some("  limits: max_connections 7, on_full Refuse")
    );
    drop(peer);
    Ok(server.stop()?)
}

fn check() -> Outcome {
    let said = output(&["--check", "--timeout", "none", "[::1]:0"])?.success();
    for (name, value, origin) in [
        ("addr", "[::1]:0", "(flag, --addr)"),
        ("backlog", "4096", "(default)"),
        (
            "max_connections",
            "500",
            "(environment, ECHO_MAX_CONNECTIONS)",
        ),
        ("timeout", "none", "(flag, --timeout)"),
    ] {
        let mut lines = said
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        let words = lines
            .find(|words| words.first() == Some(&name))
            .expect("a line");
        assert_eq!((words[1], words[2..].join(" ").as_str()), (value, origin));
    }
    assert!(said.contains("descriptors: 532 needed"), "{said}");
    let said = output(&["--check"])?.success();
    assert!(
        said.lines()
            .any(|line| line.contains("127.0.0.1:7007") && line.ends_with("(attribute)"))
    );
    Ok(())
}

fn help() -> Outcome {
    let said = output(&["--help"])?.success();
    for line in [
        "--max-connections <NUMBER>",
        "How many requests may be alive at once (1000, and 32 below the limit of descriptors).",
        "[env: ECHO_MAX_CONNECTIONS]",
        "[this server: 127.0.0.1:7007]",
    ] {
        assert!(said.contains(line), "{line} is not in {said}");
    }
    assert!(!said.contains("--max-children"), "that is for `forking`");
    Ok(())
}

fn mistake() -> Outcome {
    let said = output(&["--max-connections", "many"])?;
    assert_eq!(said.status.code(), Some(2));
    assert!(said.stderr.contains("--max-connections"), "{}", said.stderr);
    assert_eq!(said.stdout, "");
    Ok(())
}

fn warning() -> Outcome {
    let mut command = Command::new(PRLIMIT.name);
    command
        .arg("--nofile=100:100")
        .arg(echo())
        .arg("127.0.0.1:0")
        .stderr(Stdio::piped());
    let mut server = Example::spawn(&mut command, 1)?;
    let mut said = String::new();
    BufReader::new(server.stderr().expect("it was asked for")).read_line(&mut said)?;
    let begin = "sockserv: Echo: descriptors: 1032 needed, 100 there; `ulimit -n 1032`";
    assert!(said.starts_with(begin), "{said}");
    Ok(server.stop()?)
}
