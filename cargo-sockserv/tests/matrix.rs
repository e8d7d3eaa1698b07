//! Every crate that `cargo sockserv new` offers compiles without a warning, the models of one differ in a word, and under one
//! model its tests, which try every model, pass at once.
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

/// Of a transport and a protocol: HTTP alone wants a byte stream.
const PAIRS: usize = 5 * 5 + 2;

/// Tests in each crate: in memory, under every model, and of the program.
const EACH: usize = 3;

/// How the name of a crate with flags ends.
const WITH_FLAGS: &str = "-cli";

/// Names that could be taken for something else in the program.
const NAMES: [&str; 10] = [
    "core", "std", "bytes", "httparse", "main", "io", "codec", "stream", "result", "_1",
];

/// A crate to be compiled.
struct Made {
    name: String,
    model: &'static str,
}

#[test]
fn every_combination_is_ready_to_use() -> io::Result<()> {
    let workspace = workspace()?;
    let (mut made, flagged) = every_combination(&workspace)?;
    assert_eq!((made.len(), flagged.len()), (PAIRS, PAIRS));
    for name in NAMES {
        let protocol = if name == "httparse" {
            "http"
        } else {
            "commands"
        };
        assert!(
            make(&workspace, name, "pool", &["--protocol", protocol])?,
            "{name}"
        );
        made.push(Made {
            name: name.to_owned(),
            model: "pool",
        });
    }
    for model in MODELS {
        write_manifest(&workspace, &[format!("{model}/*")])?;
        cargo(&workspace, &["check", "--workspace"])?;
    }
    let members = made.iter().chain(&flagged);
    let members = members.map(|made| format!("{}/{}", made.model, made.name));
    write_manifest(&workspace, &members.collect::<Vec<_>>())?;
    cargo(&workspace, &["fmt", "--all", "--check"])?;
    cargo(&workspace, &["clippy", "--workspace", "--all-targets"])?;
    let with_flags = format!("*{WITH_FLAGS}");
    let plain = ["test", "--workspace", "--exclude", &with_flags];
    check_passed(&cargo(&workspace, &plain)?, EACH * made.len());
    // With flags `main` alone is different, which the tests in `src` do not call.
    let with_flags = ["test", "--test", "server", "--package", &with_flags];
    check_passed(&cargo(&workspace, &with_flags)?, flagged.len());
    flagged
        .iter()
        .try_for_each(|made| check_prints(&workspace, made))
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
fn check_prints(workspace: &Path, Made { name, model }: &Made) -> io::Result<()> {
    let readme = fs::read_to_string(workspace.join(model).join(name).join("README.md"))?;
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
    fs::copy(
        checkout().join("examples/calculator.x"),
        folder.join("calculator.x"),
    )?;
    fs::copy(checkout().join("Cargo.lock"), folder.join("Cargo.lock"))?;
    Ok(folder)
}

fn write_manifest(workspace: &Path, members: &[String]) -> io::Result<()> {
    let manifest = format!(
        "[workspace]\nresolver = \"3\"\nmembers = {members:?}\n\n[profile.dev]\ndebug = 0\nincremental = false\n"
    );
    fs::write(workspace.join("Cargo.toml"), manifest)
}

/// Returns a crate of each pair, and one with flags, the models in turn.
fn every_combination(workspace: &Path) -> io::Result<(Vec<Made>, Vec<Made>)> {
    let (mut made, mut flagged) = (Vec::new(), Vec::new());
    let mut turn = MODELS.into_iter().cycle();
    let mut next = || turn.next().expect("a cycle has no end");
    for transport in TRANSPORTS {
        for protocol in PROTOCOLS {
            let name = format!("{transport}-{protocol}");
            let name = name.replace(['+', '='], "-").replace(".x", "");
            let choices = ["--transport", transport, "--protocol", protocol];
            let offers: Vec<bool> = MODELS
                .iter()
                .map(|model| make(workspace, &name, model, &choices))
                .collect::<io::Result<_>>()?;
            if offers == [false; MODELS.len()] {
                continue;
            }
            assert_eq!(offers, [true; MODELS.len()], "{name}");
            check_differ_in_a_word(workspace, &name)?;
            let with_flags = format!("{name}{WITH_FLAGS}");
            let (plain_model, model) = (next(), next());
            let choices = [&choices, flags(transport)].concat();
            assert!(make(workspace, &with_flags, model, &choices)?, "{name}");
            made.push(Made {
                name,
                model: plain_model,
            });
            flagged.push(Made {
                name: with_flags,
                model,
            });
        }
    }
    Ok((made, flagged))
}

/// The programs of one crate under all models are the same, but for the word in the attribute and for comments.
fn check_differ_in_a_word(workspace: &Path, name: &str) -> io::Result<()> {
    let program = |model: &str| -> io::Result<String> {
        let folder = workspace.join(model).join(name);
        let read = |file| fs::read_to_string(folder.join(file)).map(|text| bare(&text));
        let main = read("src/main.rs")?;
        let (before, after) = main.split_once("#[server(").expect("an attribute");
        let word = format!(",{model},");
        let (transports, rest) = after.split_once(&word).expect("a model");
        Ok([
            before,
            transports,
            rest,
            &read("Cargo.toml")?,
            &read("src/tests.rs")?,
            &read("tests/server.rs")?,
        ]
        .concat())
    };
    let first = program(MODELS[0])?;
    for model in MODELS {
        assert_eq!(program(model)?, first, "{name}, {model}");
    }
    Ok(())
}

/// Without comments, and as it is wherever lines are broken.
fn bare(text: &str) -> String {
    let code = text.lines().map(str::trim);
    let code = code.filter(|line| !line.starts_with("//"));
    let code: String = code.flat_map(str::split_whitespace).collect();
    code.replace(",)", ")")
}

/// Returns whether the tool offers it; for the moment it is the workspace's one member, as cargo looks at all of them.
fn make(workspace: &Path, name: &str, model: &str, choices: &[&str]) -> io::Result<bool> {
    fs::create_dir_all(workspace.join(model))?;
    write_manifest(workspace, &[format!("{model}/{name}")])?;
    let mut new = sockserv(workspace);
    new.args(["new", name, "--into", model, "--model", model, "--local"])
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
