//! The server whose operator has not seen its source: flags, variables, `--help`, `--check`.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use libtest_mimic::Trial;
use rustix::process::Signal;
use sockserv_tests::Folder;

use crate::client::{HAPROXY, Output, PRLIMIT, Peer, SYSTEMD_ANALYZE, run};
use crate::server::{Example, program_with};
use crate::{Outcome, plain, with_client};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        plain("echo_cli::a_flag_overrides_a_variable", flag_and_variable),
        plain("echo_cli::check_says_where_each_value_comes_from", check),
        plain("echo_cli::help_lists_what_fits", help),
        plain("echo_cli::a_mistake_ends_it_with_code_2", mistake),
        plain("echo_cli::containers_agree_with_the_settings", containers),
        with_client(
            SYSTEMD_ANALYZE,
            "echo_cli::systemd_accepts_the_units",
            units,
        ),
        with_client(
            HAPROXY,
            "echo_cli::haproxy_accepts_its_configuration",
            haproxy,
        ),
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

/// What it is told beside the wish to print: all of it must come back.
const TOLD: [&str; 6] = [
    "--lame-duck=1500ms",
    "--shutdown-grace=20s",
    "--timeout=30s",
    r#"--banner=100% "busy"\r\n"#,
    "--addr",
    "127.0.0.1:7008,[::1]:7008",
];

fn printed(wish: &str) -> std::io::Result<String> {
    Ok(output(&[&[wish], &TOLD[..]].concat())?.success())
}

fn expect_lines(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(
            text.lines().any(|other| other.trim() == *line),
            "`{line}` is not in {text}"
        );
    }
}

fn units() -> Outcome {
    let text = printed("--print-unit")?;
    expect_lines(
        &text,
        &[
            "ListenStream=127.0.0.1:7008",
            "ListenStream=[::1]:7008",
            "Backlog=4096",
            "TimeoutStopSec=24s",
            "LimitNOFILE=532",
        ],
    );
    assert!(
        text.contains("--max-connections=500"),
        "a variable is a flag of the unit: {text}"
    );
    let folder = Folder::new();
    let mut files = Vec::new();
    for part in text.split("# /etc/systemd/system/").skip(1) {
        let (name, unit) = part.split_once('\n').expect("a unit behind its name");
        let path = folder.join(name);
        std::fs::write(&path, unit)?;
        files.push(path.display().to_string());
    }
    assert_eq!(files.len(), 2, "a socket and a service");
    let verified = SYSTEMD_ANALYZE.run(&[&["verify".to_owned()], &files[..]].concat(), b"")?;
    assert!(
        verified.status.success() && verified.stderr.is_empty(),
        "{verified:#?}"
    );
    Ok(())
}

fn haproxy() -> Outcome {
    let text = printed("--print-haproxy")?;
    expect_lines(
        &text,
        &[
            "bind :7008",
            "timeout client 30s",
            "default-server check inter 500ms fall 2 rise 2 maxconn 500",
        ],
    );
    let folder = Folder::new();
    let path = folder.join("haproxy.cfg").display().to_string();
    std::fs::write(&path, text)?;
    let checked = HAPROXY.run(&["-c", "-V", "-f", &path], b"")?;
    let said = checked.success();
    assert!(said.contains("valid"), "{said}");
    Ok(())
}

fn containers() -> Outcome {
    let text = printed("--print-kubernetes")?;
    expect_lines(
        &text,
        &[
            "terminationGracePeriodSeconds: 24",
            "- {containerPort: 7008, protocol: TCP}",
            "tcpSocket: {port: 7008}",
        ],
    );
    assert!(!text.contains("preStop"), "the lame duck does that: {text}");
    let text = printed("--print-dockerfile")?;
    expect_lines(&text, &["EXPOSE 7008/tcp", "STOPSIGNAL SIGTERM"]);
    assert!(
        text.contains(r#"CMD ["[::]:7008", "--max-connections=500""#),
        "{text}"
    );
    assert!(text.contains("--stop-timeout 24"), "{text}");
    let nowhere = output(&["--print-kubernetes", "127.0.0.1:0"])?;
    assert!(
        !nowhere.status.success() && nowhere.stderr.contains("not known where"),
        "{nowhere:#?}"
    );
    Ok(())
}
