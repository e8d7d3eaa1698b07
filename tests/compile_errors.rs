//! Compile errors are documentation: every message has a case, and every case stands on the page that explains it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The compiler whose words the `.stderr` files repeat; others say the same a little differently.
const COMPILER: &str = "rustc 1.95.0 ";

#[test]
fn every_mistake_is_answered_and_every_right_form_passes() {
    let compiler = compiler();
    if !compiler.starts_with(COMPILER) {
        skip(&compiler);
        return;
    }
    let mistakes = trybuild::TestCases::new();
    for class in classes() {
        mistakes.compile_fail(format!("ui/{class}/*.rs"));
    }
    drop(mistakes); // Alone they are compiled beside each other.
    trybuild::TestCases::new().pass("ui/pass/*.rs");
}

#[allow(
    clippy::print_stderr,
    reason = "a test that does nothing has to say so"
)]
fn skip(compiler: &str) {
    eprintln!(
        "SKIPPED: the compile errors are compared under `{COMPILER}`, and this is `{compiler}`"
    );
}

fn compiler() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output();
    output
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default()
}

#[test]
fn the_page_lists_exactly_these_cases() {
    let page = Page::read();
    let cases = cases();
    let (listed, existing): (Vec<_>, Vec<_>) =
        (page.messages.keys().collect(), cases.keys().collect());
    assert_eq!(
        listed, existing,
        "left: `compile_errors.md`, right: `tests/ui`"
    );
    for (case, errors) in &cases {
        assert_eq!(
            &page.messages[case], errors,
            "left: `compile_errors.md`, right: `tests/ui/{case}.stderr`"
        );
    }
    assert_eq!(
        page.classes,
        classes(),
        "left: `compile_errors.md`, right: the folders of `tests/ui`"
    );
}

#[test]
fn every_message_of_the_macro_has_a_case() {
    let errors: Vec<String> = cases().into_values().flatten().collect();
    let mut missing = Vec::new();
    for message in messages_of_the_macro() {
        if !errors.iter().any(|error| is_made_of(error, &message)) {
            missing.push(message);
        }
    }
    assert!(missing.is_empty(), "no case in `tests/ui` for {missing:#?}");
}

/// Returns the classes of mistakes, in order.
fn classes() -> Vec<String> {
    let folders = entries(&root().join("tests/ui"))
        .into_iter()
        .filter(|path| path.is_dir());
    folders
        .map(|path| stem(&path))
        .filter(|class| class != "pass")
        .collect()
}

/// Returns the errors that the compiler reports for each case.
fn cases() -> BTreeMap<String, Vec<String>> {
    let mut cases = BTreeMap::new();
    for class in classes() {
        for path in entries(&root().join("tests/ui").join(&class)) {
            if path.extension().is_some_and(|extension| extension == "rs") {
                cases.insert(
                    format!("{class}/{}", stem(&path)),
                    errors(&path.with_extension("stderr")),
                );
            }
        }
    }
    cases
}

fn errors(stderr: &Path) -> Vec<String> {
    let said = read(stderr);
    let errors = said.lines().filter(|line| line.starts_with("error"));
    errors
        .filter_map(|line| line.split_once(": "))
        .map(|(_, message)| message.to_owned())
        .collect()
}

/// The page of the documentation.
struct Page {
    classes: Vec<String>,
    /// What stands in the code block under the heading of each case.
    messages: BTreeMap<String, Vec<String>>,
}

impl Page {
    fn read() -> Self {
        let mut page = Self {
            classes: Vec::new(),
            messages: BTreeMap::new(),
        };
        let (mut case, mut quoting) = (None, false);
        for line in read(&root().join("sockserv/src/compile_errors.md")).lines() {
            if let Some(class) = line.strip_prefix("## `") {
                page.classes
                    .extend(class.split_once('`').map(|(class, _)| class.to_owned()));
            } else if let Some(name) = line.strip_prefix("### `") {
                let name = name.trim_end_matches('`').to_owned();
                page.messages.insert(name.clone(), Vec::new());
                case = Some(name);
            } else if line.starts_with("```") {
                quoting = !quoting;
            } else if let (true, Some(case)) = (quoting, &case) {
                page.messages
                    .entry(case.clone())
                    .or_default()
                    .push(line.to_owned());
            }
        }
        page.classes.sort();
        page
    }
}

/// What says nothing about an attribute: the expansion's diagnostics are the compiler's to report, those of an interface file
/// name a line of that file.
const OTHERS: [&str; 4] = ["expand", "inspect", "rpc", "tests"];

/// What is said with the feature `rpc` alone, which is off in the cases: the macro's own tests have it.
const RPC: [&str; 2] = ["plan/by_hand.rs", "plan/rpc/found.rs"];

/// Returns the text literals of the macro's sources that say what is wrong; and what to write.
fn messages_of_the_macro() -> Vec<String> {
    let parts = entries(&root().join("sockserv-codegen/src")).into_iter();
    let sources = parts
        .filter(|part| !OTHERS.contains(&&*stem(part)))
        .flat_map(sources)
        .filter(|file| !RPC.iter().any(|rpc| file.ends_with(rpc)));
    let sources: Vec<_> = sources.map(|file| read(&file)).collect();
    let messages = sources
        .iter()
        .flat_map(|source| literals(source.split("#[cfg(test)]").next().unwrap_or_default()));
    let messages: Vec<_> = messages
        .filter(|text| text.contains("; ") || text.contains('?'))
        .collect();
    assert!(
        messages.len() > 80,
        "only {} messages were found",
        messages.len()
    );
    messages
}

/// Returns a file itself, or the files in a folder.
fn sources(path: PathBuf) -> Vec<PathBuf> {
    match path.is_dir() {
        true => entries(&path).into_iter().flat_map(sources).collect(),
        false => vec![path],
    }
}

/// Returns the text literals of Rust code.
fn literals(code: &str) -> Vec<String> {
    let mut literals = Vec::new();
    let code: String = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| format!("{line}\n"))
        .collect();
    let mut chars = code.chars();
    while let Some(c) = chars.next() {
        if c != '"' {
            continue;
        }
        let mut text = String::new();
        while let Some(c) = chars.next() {
            match c {
                '"' => break,
                '\\' => text.extend(unescape(&mut chars)),
                c => text.push(c),
            }
        }
        literals.push(text);
    }
    literals
}

fn unescape(chars: &mut std::str::Chars<'_>) -> Option<char> {
    match chars.next()? {
        '\n' => {
            let rest = chars.as_str();
            *chars = rest.trim_start().chars();
            None
        }
        'n' => Some('\n'),
        '0' => Some('\0'),
        c => Some(c),
    }
}

/// Tells whether a message has the fixed parts of a format, in order.
fn is_made_of(message: &str, format: &str) -> bool {
    let mut rest = message;
    let mut parts = format
        .split('{')
        .map(|part| part.split_once('}').map_or(part, |(_, fixed)| fixed));
    parts.all(|part| {
        let found = rest.find(part);
        rest = found.map_or("", |at| &rest[at + part.len()..]);
        found.is_some()
    })
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries
        .map(|entry| entry.unwrap_or_else(|error| panic!("{error}")).path())
        .collect();
    paths.sort();
    paths
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default()
}
