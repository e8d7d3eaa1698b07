//! Every crate that `cargo sockserv new` offers compiles without a warning, and its tests pass at once.
//!
//! They are members of one workspace, so that what they depend on is compiled once. It is kept below `target`.

mod tool;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tool::{checkout, sockserv};

const TRANSPORTS: [&str; 5] = ["tcp", "udp", "unix", "unix-datagram", "tcp+udp"];
const MODELS: [&str; 5] = ["sync", "threading", "pool", "forking", "prefork"];
const PROTOCOLS: [&str; 6] = [
    "raw",
    "lines",
    "commands",
    "length-prefixed",
    "http",
    "rpc=calculator.x",
];

/// HTTP alone wants a byte stream.
const COMBINATIONS: usize = (5 * 5 + 2) * MODELS.len();

/// Tests in each crate: in memory, under every model, and of the program.
const EACH: usize = 3;

/// How the name of a crate with flags ends.
const WITH_FLAGS: &str = "-cli";

/// Names that could be taken for something else in the program.
const NAMES: [&str; 10] = [
    "core", "std", "bytes", "httparse", "main", "io", "codec", "stream", "result", "_1",
];

#[test]
fn every_combination_is_ready_to_use() -> io::Result<()> {
    let workspace = workspace()?;
    let mut made = every_combination(&workspace, "", |_| &[])?;
    assert_eq!(made.len(), COMBINATIONS);
    let flagged = every_combination(&workspace, WITH_FLAGS, flags)?;
    assert_eq!(flagged.len(), COMBINATIONS);
    // Models differ in one word of the program: clippy has nothing else to say.
    let alike = made.iter().chain(&flagged).cloned();
    let alike: Vec<String> = alike.filter(|name| !name.contains("-threading")).collect();
    for name in NAMES {
        let protocol = if name == "httparse" {
            "http"
        } else {
            "commands"
        };
        assert!(make(&workspace, name, &["--protocol", protocol])?, "{name}");
        made.push(name.to_owned());
    }
    cargo(&workspace, &["fmt", "--all", "--check"])?;
    let mut clippy = vec!["clippy", "--workspace", "--all-targets"];
    clippy.extend(alike.iter().flat_map(|name| ["--exclude", name]));
    cargo(&workspace, &clippy)?;
    let with_flags = format!("*{WITH_FLAGS}");
    let plain = ["test", "--workspace", "--exclude", &with_flags];
    check_passed(&cargo(&workspace, &plain)?, EACH * made.len());
    // With flags `main` alone is different, which the tests in `src` do not call.
    let with_flags = ["test", "--test", "server", "--package", &with_flags];
    check_passed(&cargo(&workspace, &with_flags)?, flagged.len());
    flagged
        .iter()
        .try_for_each(|name| check_prints(&workspace, name))
}

/// Those that go together; each of them, and `--cli`, makes the same program, as the tests of `new` see to.
fn flags(transport: &str) -> &'static [&'static str] {
    match transport {
        "unix" | "unix-datagram" => &["--systemd"],
        _ => &["--systemd", "--docker", "--kubernetes"],
    }
}

fn check_passed(said: &str, fewest: usize) {
    let passed = said.lines().filter(|line| line.ends_with(" ... ok"));
    let passed = passed.count();
    assert!(passed >= fewest, "only {passed} tests were run");
}

/// The program prints what its README says that it does.
fn check_prints(workspace: &Path, name: &str) -> io::Result<()> {
    let readme = fs::read_to_string(workspace.join(name).join("README.md"))?;
    let commands = readme
        .lines()
        .filter_map(|line| line.strip_prefix("cargo run --release -- "));
    let wishes: Vec<&str> = commands
        .filter_map(|command| command.split_once(" > ").map(|(wish, _)| wish))
        .collect();
    assert!(!wishes.is_empty(), "{name}: {readme}");
    for wish in wishes {
        let program = target(workspace).join("debug").join(name);
        let output = Command::new(program).arg(wish).output()?;
        assert!(
            output.status.success() && !output.stdout.is_empty(),
            "{name} {wish}: {output:?}"
        );
    }
    Ok(())
}

/// An empty workspace with the versions that this repository has.
fn workspace() -> io::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("made");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let manifest = "[workspace]\nresolver = \"3\"\nmembers = [\"*\"]\n\n[profile.dev]\ndebug = 0\nincremental = false\n";
    fs::write(folder.join("Cargo.toml"), manifest)?;
    fs::copy(
        checkout().join("examples/calculator.x"),
        folder.join("calculator.x"),
    )?;
    fs::copy(checkout().join("Cargo.lock"), folder.join("Cargo.lock"))?;
    Ok(folder)
}

/// Returns what they are called.
fn every_combination(
    workspace: &Path,
    ending: &str,
    flags: fn(&str) -> &'static [&'static str],
) -> io::Result<Vec<String>> {
    let mut made = Vec::new();
    for transport in TRANSPORTS {
        for protocol in PROTOCOLS {
            for model in MODELS {
                let name = format!("{transport}-{protocol}-{model}{ending}");
                let name = name.replace(['+', '='], "-").replace(".x", "");
                let choices = [
                    "--transport",
                    transport,
                    "--protocol",
                    protocol,
                    "--model",
                    model,
                ];
                if make(workspace, &name, &[&choices, flags(transport)].concat())? {
                    made.push(name);
                }
            }
        }
    }
    Ok(made)
}

/// Returns whether the tool offers it.
fn make(workspace: &Path, name: &str, choices: &[&str]) -> io::Result<bool> {
    let mut new = sockserv(workspace);
    new.args(["new", name, "--local"])
        .arg(checkout())
        .args(choices);
    let output = new.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() || said.contains("does not work over"),
        "{name}: {said}"
    );
    assert!(
        !output.status.success() || said.is_empty(),
        "{name}: {said}"
    );
    Ok(output.status.success())
}

fn target(workspace: &Path) -> PathBuf {
    workspace.with_file_name("made-target")
}

/// Returns what it says, which is no warning.
fn cargo(workspace: &Path, arguments: &[&str]) -> io::Result<String> {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(workspace)
        .env("CARGO_TARGET_DIR", target(workspace))
        .stdin(Stdio::null())
        .output()?;
    let (said, complained) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success() && !complained.contains("warning"),
        "cargo {arguments:?}\n{said}\n{complained}"
    );
    Ok(said.into_owned())
}
