//! `cargo sockserv expand`, `explain` and `check`, as they are typed.

mod tool;

use std::fs;
use std::io;
use std::path::Path;
use std::process::Output;

use tool::{checkout, limited, sockserv};

const PROGRAM: &str = r#"
use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

mod inner {
    #[server(tcp, threading(max = 90), addr = "127.0.0.1:0", max_connections = 900, timeout = "30s")]
    impl super::Echo {
        fn handle(&mut self, stream: &mut Stream) {}

        fn verify_request(&self, peer: &Address) -> bool {
            true
        }
    }
}
"#;

/// Runs a command of the tool over a file with this program.
fn over(program: &str, command: &str) -> io::Result<Output> {
    let folder = tempfile::tempdir()?;
    fs::create_dir(folder.path().join("src"))?;
    fs::write(folder.path().join("src/main.rs"), program)?;
    sockserv(folder.path()).arg(command).output()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn complained(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn expands_each_item_with_its_cause() -> io::Result<()> {
    let text = said(&over(PROGRAM, "expand")?);
    assert!(text.starts_with("// src/main.rs:8: `Echo`\n"), "{text}");
    for (cause, item) in [
        (
            "`tcp`, `threading`, `addr`, `max_connections`, `timeout`",
            "impl ::sockserv::__private::Declaration for super::Echo {",
        ),
        (
            "`fn handle`",
            "impl ::sockserv::__private::StreamHandler for super::Echo {",
        ),
        (
            "`fn verify_request`",
            "impl ::sockserv::__private::Hooks for super::Echo {",
        ),
    ] {
        let together = format!("// From {cause}.\n#[automatically_derived]\n{item}\n");
        assert!(text.contains(&together), "{cause}:\n{text}");
    }
    assert!(text.contains("\nstruct EchoServer {\n"), "{text}");
    Ok(())
}

/// What is printed is what the compiler would get: it parses, and no item is missing.
#[test]
fn expands_every_example() -> io::Result<()> {
    let text = said(
        &sockserv(&checkout())
            .args(["expand", "examples"])
            .output()?,
    );
    let file = syn::parse_file(&text).map_err(io::Error::other)?;
    assert_eq!(file.items.len(), text.matches("// From ").count());
    assert!(
        text.contains("// From `rpc = \"calculator.x\"`.\n"),
        "{text}"
    );
    Ok(())
}

#[test]
fn explains_what_is_written_and_what_is_not() -> io::Result<()> {
    let text = said(&over(PROGRAM, "explain")?);
    for entry in [
        "  tcp\n      a byte stream over IP\n",
        "  threading\n      a request runs in a thread of its own; idle ones are reused\n",
        "  timeout = \"30s\"\n      how long one read or write may wait, or `none`\n",
        "  backlog: 4096, by default\n      how many connections the kernel may queue\n",
        "  threading(max) = 90\n      how many requests may have a thread at once\n",
    ] {
        assert!(text.contains(entry), "{entry}{text}");
    }
    assert!(!text.contains("max_packet_size"), "{text}"); // That is for packets.
    Ok(())
}

const PROTOCOLS: &str = r#"
use sockserv::prelude::*;

#[server(tcp, codec = Resp<'static>, ignore_case)]
impl Store {
    #[command("GET")]
    fn get(&mut self, key: &str) {}

    fn command_error(&mut self, error: &CommandError, replies: &mut Replies<Resp<'static>>) {}
}

#[server(tcp, length_prefixed(u16_be), opcode(u16_le, at = 2))]
impl Gauge {
    #[opcode(1)]
    fn read(&mut self) {}
}

#[server(tcp, rpc(program = 0x2000_0001, version = 1))]
impl Sum {
    #[procedure(1)]
    fn add(&mut self, numbers: Vec<i32>) -> i32 { 0 }
}
"#;

#[test]
fn explains_how_messages_are_read() -> io::Result<()> {
    let text = said(&over(PROTOCOLS, "explain")?);
    for entry in [
        "  codec = Resp < 'static >\n      a message is what a decoder of your own makes",
        "  ignore_case\n      whether the case of the verbs does not count\n",
        "  quoting: off, by default\n      whether a word in quotes may have spaces\n",
        "  length_prefixed(u16_be)\n      a message follows its length",
        "  opcode(u16_le, at = 2)\n      how the number is written that calls a method, and",
        "  rpc(program = 0x2000_0001, version = 1)\n      the procedures are the methods",
    ] {
        assert!(text.contains(entry), "{entry}{text}");
    }
    assert_eq!(text.matches("quoting").count(), 1, "{text}"); // Only commands have words.
    Ok(())
}

fn checked(folder: &Path, limits: &str) -> io::Result<String> {
    let mut check = sockserv(folder);
    check.arg("check");
    limited(&check, limits).output().map(|output| said(&output))
}

#[test]
fn checks_against_this_machine() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("echo.rs");
    fs::write(&file, PROGRAM)?;
    let text = checked(folder.path(), "ulimit -n 500")?;
    assert!(
        text.contains("warning: echo.rs:8: descriptors: 932 needed, 500 there; `ulimit -n 932`"),
        "{text}"
    );
    let greedy = PROGRAM
        .replace(
            "threading(max = 90)",
            "threading(stack_size = \"1000 GiB\"), backlog = 2000000000",
        )
        .replace(
            "timeout",
            "max_connections_per_peer = 900, request_timeout = \"1s\", timeout",
        );
    fs::write(&file, greedy)?;
    let text = checked(folder.path(), "ulimit -n 932")?;
    for warning in [
        "connections in the kernel's queue: 2000000000 needed, ",
        "900 threads with 1000 GiB of stack each may use ",
        "`max_connections_per_peer = 900` keeps nobody out",
        "`timeout` is never reached",
    ] {
        assert!(text.contains(warning), "{warning}\n{text}");
    }
    assert!(!text.contains("descriptors"), "{text}");
    Ok(())
}

#[test]
fn checks_how_long_an_end_takes() -> io::Result<()> {
    let ends = |grace: &str| {
        let timeout = format!("shutdown_grace = \"{grace}\", timeout");
        over(&PROGRAM.replace("timeout", &timeout), "check").map(|output| said(&output))
    };
    let text = ends("8s")?;
    assert!(!text.contains("Docker"), "{text}");
    let text = ends("9s")?;
    assert!(
        text.contains("an end needs up to 11 s, and Docker kills after 10 s; write `docker run --stop-timeout 11`"),
        "{text}"
    );
    Ok(())
}

#[test]
fn says_where_it_does_not_compile() -> io::Result<()> {
    let text = complained(&over(
        &PROGRAM.replace("timeout = ", "time_out = "),
        "explain",
    )?);
    assert!(
        text.starts_with("error: src/main.rs:8: unknown option `time_out`; "),
        "{text}"
    );
    let text = complained(&over("fn main() {", "expand")?);
    assert!(text.contains("there is no `#[server]` in `.`"), "{text}");
    let text = complained(&over("#[server(tcp)] impl", "expand")?);
    assert!(text.starts_with("error: src/main.rs:1: "), "{text}");
    Ok(())
}
