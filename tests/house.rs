//! The house keeps its order: imports run one way, files stay short, and unsafe code lives in `sys`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The runtime's modules from the bottom to the top: each may name only those before it.
const RUNTIME: &[&str] = &[
    "sys",
    "named",
    "address",
    "error",
    "notify",
    "codec",
    "guard",
    "credentials",
    "transport",
    "drain",
    "capacity",
    "observer",
    "options",
    "signals",
    "limits",
    "requests",
    "upgrade",
    "listener",
    "admin",
    "request",
    "message",
    "command",
    "rpc",
    "handler",
    "hooks",
    "concurrency",
    "server",
    "cli",
    "__private",
    "testing",
    "guide",
];

/// The macro's, likewise.
const MACROS: &[&str] = &[
    "errors",
    "units",
    "options",
    "address",
    "network",
    "words",
    "hooks",
    "rpc",
    "args",
    "handler",
    "plan",
    "interface",
    "expand",
    "inspect",
];

/// How many lines of code a file may have.
const LINES: usize = 500;

#[test]
fn imports_run_one_way() {
    check_order("sockserv/src", RUNTIME);
    check_order("sockserv-codegen/src", MACROS);
}

#[test]
fn files_are_short() {
    let long: Vec<String> = [
        "sockserv/src",
        "sockserv-codegen/src",
        "cargo-sockserv",
        "examples",
        "tests",
    ]
    .iter()
    .flat_map(|folder| sources(folder))
    .map(|file| (code(&file).lines().count(), file))
    .filter(|(lines, _)| *lines > LINES)
    .map(|(lines, file)| format!("{}: {lines} lines of code", file.display()))
    .collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn unsafe_code_lives_in_sys() {
    let outside: Vec<PathBuf> = ["sockserv/src", "sockserv-codegen/src", "examples"]
        .iter()
        .flat_map(|folder| sources(folder))
        .filter(|file| !file.components().any(|part| part.as_os_str() == "sys"))
        .filter(|file| {
            ["unsafe {", "unsafe fn", "unsafe impl"]
                .iter()
                .any(|word| code(file).contains(word))
        })
        .filter(|file| !file.ends_with("expand/structure.rs") && !is_test(file))
        .collect();
    assert!(outside.is_empty(), "{outside:#?}");
}

/// One place alone may look, wait a moment and look again.
#[test]
fn tests_wait_on_events() {
    let sleepers: Vec<PathBuf> = sources("tests")
        .into_iter()
        .filter(|file| code(file).contains(concat!("sleep", "("))) // Not the whole word, or this file has it, too.
        .collect();
    assert_eq!(sleepers.len(), 1, "{sleepers:#?}");
    assert!(sleepers[0].ends_with("tests/src/wait.rs"), "{sleepers:#?}");
}

#[test]
fn published_crates_have_their_licences() {
    for krate in [
        "sockserv",
        "sockserv-macros",
        "sockserv-codegen",
        "cargo-sockserv",
    ] {
        for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
            let path = root().join(krate).join(licence);
            assert!(path.is_file(), "{} is missing", path.display());
        }
    }
}

/// The gallery lists every example once. Each says in the same four lines what it is, how to run it, how to talk to it and what
/// one sees then.
#[test]
fn examples_stand_in_the_gallery() {
    let gallery = text(&root().join("examples/README.md"));
    let rows = gallery.lines().filter_map(|line| line.strip_prefix("| [`"));
    let mut listed: Vec<&str> = rows
        .filter_map(|row| row.split_once('`'))
        .map(|(name, _)| name)
        .collect();
    listed.sort_unstable();
    let examples: BTreeMap<String, PathBuf> = sources("examples")
        .into_iter()
        .map(|file| {
            (
                file.file_stem().expect("a name").display().to_string(),
                file,
            )
        })
        .collect();
    assert!(
        listed.iter().eq(examples.keys()),
        "examples/README.md lists {listed:?}, and there are {:?}",
        examples.keys()
    );
    for (name, file) in examples {
        let code = text(&file);
        let [what, run, talk, see, blank] =
            [0, 1, 2, 3, 4].map(|n| code.lines().nth(n).unwrap_or("..."));
        assert!(
            what.starts_with("//! ")
                && run.starts_with("//! Run:  `cargo run ")
                && run.contains(&format!("--example {name}"))
                && talk.starts_with("//! Talk: `")
                && see.starts_with("//! See:  ")
                && blank.is_empty(),
            "{} begins with other lines than `//! what it is`, `//! Run:  ...`, `//! Talk: ...`, `//! See:  ...` and a blank one",
            file.display()
        );
    }
}

/// Every chapter is in the table of the guide, and rendered.
#[test]
fn the_guide_has_every_chapter() {
    let table = text(&root().join("sockserv/src/guide/mod.rs"));
    for page in files("sockserv/src/guide", "md") {
        let name = page.file_stem().expect("a name").display().to_string();
        for line in [
            format!("//! | [`{name}`] |"),
            format!("pub mod {name} {{}}"),
        ] {
            assert!(table.contains(&line), "guide/mod.rs has no `{line}`");
        }
    }
}

/// What the guide says a thing costs is what was measured last.
#[test]
fn the_guide_quotes_measured_figures() {
    let measured = text(&root().join("benches/results/figures.md"));
    for page in files("sockserv/src/guide", "md") {
        let guide = text(&page);
        let words: Vec<&str> = guide.split_whitespace().collect();
        for pair in words.windows(2) {
            let (number, unit) = (pair[0], pair[1].trim_end_matches([',', '.', ';', ':']));
            if unit == "µs" || (unit == "KiB" && number.contains('.')) {
                let cost = format!(" {number} {unit} ");
                assert!(
                    measured.contains(&cost),
                    "{} says `{number} {unit}`, benches/results/figures.md does not",
                    page.display()
                );
            }
        }
    }
}

fn is_test(file: &Path) -> bool {
    file.components().any(|part| {
        ["tests", "tests.rs"]
            .iter()
            .any(|name| part.as_os_str() == *name)
    })
}

fn check_order(folder: &str, order: &[&str]) {
    let rank: BTreeMap<&str, usize> = order
        .iter()
        .enumerate()
        .map(|(rank, name)| (*name, rank))
        .collect();
    let mut climbs = Vec::new();
    for file in sources(folder).into_iter().filter(|file| !is_test(file)) {
        let Some(own) = module(folder, &file) else {
            continue;
        };
        let Some(&own) = rank.get(&*own) else {
            panic!("`{own}` of {folder} has no place in the house");
        };
        for name in named(&code(&file)) {
            if rank.get(&*name).is_some_and(|other| *other > own) {
                climbs.push(format!("{} names `{name}`", file.display()));
            }
        }
    }
    assert!(
        climbs.is_empty(),
        "imports that climb the house: {climbs:#?}"
    );
}

/// The top-level module that a file belongs to, unless it is the root or a test.
fn module(folder: &str, file: &Path) -> Option<String> {
    let path = file
        .strip_prefix(root().join(folder))
        .expect("a file of the folder");
    let name = path
        .components()
        .next()?
        .as_os_str()
        .to_str()?
        .trim_end_matches(".rs");
    (name != "lib" && name != "tests").then(|| name.to_owned())
}

/// The modules that a file names by `crate::`.
fn named(code: &str) -> Vec<String> {
    let names = code.split("crate::").skip(1);
    names
        .map(|rest| {
            rest.chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect()
        })
        .collect()
}

/// A file's code, without comments and blank lines, up to its unit tests.
fn code(file: &Path) -> String {
    let text = text(file);
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with("//"));
    lines.map(|line| format!("{line}\n")).collect()
}

fn text(file: &Path) -> String {
    fs::read_to_string(file).expect("a readable file")
}

fn sources(folder: &str) -> Vec<PathBuf> {
    files(folder, "rs")
}

fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            match path.is_dir() {
                true if path.ends_with("ui") => {} // Programs that must not compile.
                true => folders.push(path),
                false
                    if path
                        .extension()
                        .is_some_and(|extension| extension == ending) =>
                {
                    files.push(path)
                }
                false => {}
            }
        }
    }
    files.sort();
    files
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
        .to_owned()
}
