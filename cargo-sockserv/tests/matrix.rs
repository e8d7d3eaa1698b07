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

/// Names that could be taken for something else in the program.
const NAMES: [&str; 10] = [
    "core", "std", "bytes", "httparse", "main", "io", "codec", "stream", "result", "_1",
];

#[test]
fn every_combination_is_ready_to_use() -> io::Result<()> {
    let workspace = workspace()?;
    let mut made = every_combination(&workspace)?;
    assert_eq!(made.len(), COMBINATIONS);
    // Models differ in one word of the program: clippy has nothing else to say.
    let mut alike: Vec<String> = made.clone();
    alike.retain(|name| !name.ends_with("-threading"));
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
    let said = cargo(&workspace, &["test", "--workspace"])?;
    let passed = said
        .lines()
        .filter(|line| line.ends_with(" ... ok"))
        .count();
    let fewest = EACH * made.len();
    assert!(passed >= fewest, "only {passed} tests were run");
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
fn every_combination(workspace: &Path) -> io::Result<Vec<String>> {
    let mut made = Vec::new();
    for transport in TRANSPORTS {
        for protocol in PROTOCOLS {
            for model in MODELS {
                let name = format!("{transport}-{protocol}-{model}").replace(['+', '='], "-");
                let name = name.replace(".x", "");
                let choices = [
                    "--transport",
                    transport,
                    "--protocol",
                    protocol,
                    "--model",
                    model,
                ];
                if make(workspace, &name, &choices)? {
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

/// Returns what it says, which is no warning.
fn cargo(workspace: &Path, arguments: &[&str]) -> io::Result<String> {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(workspace)
        .env("CARGO_TARGET_DIR", workspace.with_file_name("made-target"))
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
