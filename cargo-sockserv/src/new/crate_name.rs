//! Names that cargo takes, and the Rust names that follow from them.

use crate::Result;
use crate::new::place::cargo;

/// What the program of a template names without a path.
const TAKEN: [&str; 32] = [
    "Address",
    "Asked",
    "Box",
    "BufRead",
    "Bytes",
    "Clone",
    "Datagram",
    "DatagramHandler",
    "Drop",
    "Endpoint",
    "Err",
    "Fault",
    "From",
    "Hooks",
    "Into",
    "None",
    "Ok",
    "Option",
    "Outcome",
    "Read",
    "Refusal",
    "Replies",
    "Request",
    "RequestError",
    "Result",
    "Self",
    "Some",
    "Stream",
    "StreamHandler",
    "String",
    "Vec",
    "Write",
];

pub(super) struct CrateName(String);

impl CrateName {
    /// Asks cargo itself, in a folder that nobody else sees.
    ///
    /// # Errors
    ///
    /// Cargo's reason for refusing the name, or what would keep the crate from compiling.
    pub(super) fn new(name: &str) -> Result<Self> {
        let scratch = tempfile::tempdir()?;
        let output = cargo()
            .args(["init", "--vcs", "none", "--bin", "--name", name])
            .current_dir(&scratch)
            .output()
            .map_err(|error| format!("cannot run cargo: {error}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            let reason = said.lines().find_map(|line| line.strip_prefix("error: "));
            return Err(reason.unwrap_or(&said).into());
        }
        if !name.is_ascii() {
            return Err(format!(
                "invalid package name `{name}`: rustc takes ASCII only in the name of a crate"
            )
            .into());
        }
        if matches!(name, "sockserv" | "sockserv-macros" | "sockserv-codegen") {
            return Err(
                format!("invalid package name `{name}`: the crate would depend on itself").into(),
            );
        }
        Ok(Self(name.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The handler's name: `line-counter` and `line-counter-server` are a `LineCounter`, which makes a
    /// `LineCounterServer`.
    pub(super) fn handler(&self) -> String {
        let words: Vec<&str> = self
            .0
            .split(['-', '_'])
            .filter(|word| !word.is_empty())
            .collect();
        let words = match words.as_slice() {
            [first @ .., "server"] if !first.is_empty() => first,
            words => words,
        };
        let name: String = words.iter().map(|word| capitalized(word)).collect();
        if TAKEN.contains(&&*name) {
            return format!("{name}Service");
        }
        if name.starts_with(|first: char| first.is_alphabetic()) {
            name
        } else {
            format!("Service{name}")
        }
    }
}

fn capitalized(word: &str) -> String {
    let mut chars = word.chars();
    let first = chars.next().into_iter().flat_map(char::to_uppercase);
    first.chain(chars).collect()
}
