//! `cargo sockserv new`, as it is typed.

mod tool;

use std::fs;
use std::io;
use std::path::Path;

use tool::{Terminal, checkout, entries, sockserv};

const UP: &str = "\x1b[A";
const DOWN: &str = "\x1b[B";

/// Runs it where nobody can be asked, and returns what it complains of.
fn refused(into: &Path, arguments: &[&str]) -> io::Result<String> {
    let output = sockserv(into).arg("new").args(arguments).output()?;
    assert!(!output.status.success(), "{arguments:?} was taken");
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn makes_a_crate_of_the_name() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let output = sockserv(folder.path())
        .args(["new", "line-counter-server"])
        .output()?;
    assert!(output.status.success(), "{output:?}");
    let made = folder.path().join("line-counter-server");
    assert_eq!(
        entries(&made),
        [".gitignore", "Cargo.toml", "README.md", "src", "tests"]
    );
    let manifest = fs::read_to_string(made.join("Cargo.toml"))?;
    assert!(
        manifest.contains(&format!("sockserv = \"{}\"", env!("CARGO_PKG_VERSION"))),
        "{manifest}"
    );
    let program = fs::read_to_string(made.join("src/main.rs"))?;
    assert!(program.contains("impl LineCounter {"), "{program}");
    assert!(
        program.contains("#[server(tcp, threading, addr = \"127.0.0.1:7007\")]"),
        "{program}"
    );
    Ok(())
}

#[test]
fn an_operator_has_flags() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let output = sockserv(folder.path())
        .args(["new", "ready", "--systemd", "--docker", "--kubernetes"])
        .output()?;
    assert!(output.status.success(), "{output:?}");
    let read = |name: &str| fs::read_to_string(folder.path().join("ready").join(name));
    let (manifest, program) = (read("Cargo.toml")?, read("src/main.rs")?);
    let features = "features = [\"admin\", \"cli\"]";
    assert!(manifest.contains(features), "{manifest}");
    assert!(program.contains(".args()?"), "{program}");
    let readme = read("README.md")?;
    for line in [
        "cargo run --release -- --print-unit > ready.units",
        "cargo run --release -- --print-dockerfile > Dockerfile",
        "cargo run --release -- --print-kubernetes > ready.yaml",
    ] {
        assert!(readme.lines().any(|other| other == line), "{readme}");
    }
    Ok(())
}

/// They differ in what the README says, and nowhere else.
#[test]
fn each_flag_makes_the_same_program() -> io::Result<()> {
    for transport in ["tcp", "udp", "unix", "unix-datagram", "tcp+udp"] {
        let mut first = None;
        for flag in ["--cli", "--systemd", "--docker", "--kubernetes"] {
            let folder = tempfile::tempdir()?;
            let mut new = sockserv(folder.path());
            let output = new
                .args(["new", "a", "--transport", transport, flag])
                .output()?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(said.contains("needs a port"), "{transport} {flag}: {said}");
                continue;
            }
            let files = [
                "Cargo.toml",
                "src/main.rs",
                "src/tests.rs",
                "tests/server.rs",
            ];
            let read = |name| fs::read_to_string(folder.path().join("a").join(name));
            let texts: Vec<String> = files.into_iter().map(read).collect::<io::Result<_>>()?;
            assert!(texts[0].contains("\"admin\", \"cli\""), "{}", texts[0]);
            assert_eq!(
                &texts,
                first.get_or_insert(texts.clone()),
                "{transport} {flag}"
            );
        }
    }
    Ok(())
}

#[test]
fn leaves_what_is_there() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    fs::create_dir(folder.path().join("empty"))?;
    fs::write(folder.path().join("file"), "mine")?;
    std::os::unix::fs::symlink("nowhere", folder.path().join("link"))?;
    for name in ["empty", "file", "link"] {
        let said = refused(folder.path(), &[name])?;
        assert!(
            said.contains(&format!("{name}` is there already")),
            "{said}"
        );
    }
    assert_eq!(entries(folder.path()), ["empty", "file", "link"]);
    assert!(entries(&folder.path().join("empty")).is_empty());
    assert_eq!(fs::read_to_string(folder.path().join("file"))?, "mine");
    Ok(())
}

#[test]
fn refuses_names_with_the_reason() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    for (name, reason) in [
        ("fn", "it is a Rust keyword"),
        ("test", "it conflicts with Rust's built-in test library"),
        ("deps", "it conflicts with cargo's build directory names"),
        ("1st", "the name cannot start with a digit"),
        ("a b", "characters must be Unicode XID characters"),
        ("../up", "invalid character `.`"),
        ("", "package name cannot be empty"),
        ("café", "rustc takes ASCII only"),
        ("sockserv", "the crate would depend on itself"),
    ] {
        let said = refused(folder.path(), &[name])?;
        assert!(said.contains(reason), "{name:?}: {said}");
    }
    assert!(entries(folder.path()).is_empty());
    Ok(())
}

#[test]
fn refuses_what_does_not_work() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    for (arguments, reason) in [
        (
            &["a", "--protocol", "http", "--transport", "udp"][..],
            "protocol `http` does not work over `udp`",
        ),
        (
            &["a", "--protocol", "http", "--transport", "tcp+udp"],
            "protocol `http` does not work over `tcp+udp`",
        ),
        (
            &["a", "--docker", "--transport", "unix"],
            "`--docker` needs a port",
        ),
        (&["a", "--protocol", "gopher"], "there are `raw`, `lines`"),
        (
            &["a", "--local", "."],
            "`.` is no clone of sockserv: it has no `sockserv/Cargo.toml`",
        ),
        (
            &["a", "--into", "nowhere"],
            "cannot make a folder in `nowhere`: No such file or directory",
        ),
        (&[], "write `cargo sockserv new NAME`"),
    ] {
        let said = refused(folder.path(), arguments)?;
        assert!(said.contains(reason), "{arguments:?}: {said}");
    }
    assert!(entries(folder.path()).is_empty());
    Ok(())
}

/// No file may be longer than 4 KiB, and that one is.
#[test]
fn leaves_nothing_behind_when_it_fails() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut limited = tool::limited(&sockserv(folder.path()), "trap '' XFSZ; ulimit -f 4");
    let output = limited
        .args(["new", "greeter", "--protocol", "http"])
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("File too large"), "{said}");
    assert!(entries(folder.path()).is_empty());
    Ok(())
}

#[test]
fn tells_of_a_workspace_that_does_not_know_the_crate() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let workspace = "[workspace]\nresolver = \"3\"\nmembers = []\n";
    fs::write(folder.path().join("Cargo.toml"), workspace)?;
    let output = sockserv(folder.path()).args(["new", "greeter"]).output()?;
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("warning: current package believes it's in a workspace when it's not"),
        "{said}"
    );
    Ok(())
}

/// Runs it where somebody can be asked.
fn asked(into: &Path, arguments: &[&str]) -> io::Result<Terminal> {
    let mut new = sockserv(into);
    new.arg("new").args(arguments);
    Terminal::start(new)
}

/// The program and the README of a crate `greeter`.
fn made(into: &Path) -> io::Result<(String, String)> {
    let read = |path| fs::read_to_string(into.join("greeter").join(path));
    Ok((read("src/main.rs")?, read("README.md")?))
}

#[test]
fn asks_on_a_terminal() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let local = checkout().display().to_string();
    let mut terminal = asked(folder.path(), &["--local", &local])?;
    terminal.answer("name", "greeter\r")?;
    terminal.answer("transport", &format!("{DOWN}{DOWN}\r"))?; // unix
    terminal.answer("model", &format!("{DOWN}\r"))?; // pool
    terminal.answer("protocol", &format!("{DOWN}\r"))?; // lines
    terminal.answer("operator", &format!("{UP} \r"))?; // systemd: a container has no Unix sockets.
    assert!(terminal.end()?.success());
    let (program, readme) = made(folder.path())?;
    assert!(program.contains("#[server(unix, pool, "), "{program}");
    assert!(program.contains("lines(max ="), "{program}");
    assert!(program.contains(".args()?"), "{program}");
    assert_eq!(readme.matches("--print-").count(), 1, "{readme}");
    assert!(readme.contains("--print-unit"), "{readme}");
    Ok(())
}

#[test]
fn asks_only_for_what_is_missing_and_works() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let said = ["greeter", "--transport", "udp", "--model", "sync"];
    let mut terminal = asked(folder.path(), &said)?;
    terminal.answer("protocol", &format!("{UP}{UP}\r"))?; // The one before `rpc`, and that is not HTTP.
    terminal.answer("operator", "\r")?;
    assert!(terminal.end()?.success());
    let (program, _) = made(folder.path())?;
    assert!(program.contains("length_prefixed("), "{program}");
    assert!(program.contains(".addrs(std::env::args()"), "{program}");
    Ok(())
}

/// Nothing is asked that was said, and nothing is offered that does not go with it.
#[test]
fn asks_for_a_port_where_a_container_needs_one() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let said = ["greeter", "--docker", "--model", "sync", "--protocol=raw"];
    let mut terminal = asked(folder.path(), &said)?;
    terminal.answer("transport", &format!("{UP}{UP}\r"))?; // udp: without Unix sockets it is the last but one.
    assert!(terminal.end()?.success());
    let (program, readme) = made(folder.path())?;
    assert!(program.contains("#[server(udp, sync, "), "{program}");
    assert_eq!(readme.matches("--print-").count(), 1, "{readme}");
    Ok(())
}
