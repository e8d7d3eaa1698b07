//! Names that cargo takes, and the Rust names that follow from them.

use std::env;
use std::process::Command;

use crate::Result;

pub(crate) struct CrateName(String);

impl CrateName {
    /// Asks cargo itself, in a folder that nobody else sees.
    ///
    /// # Errors
    ///
    /// Cargo's reason for refusing the name.
    pub(crate) fn new(name: &str) -> Result<Self> {
        let scratch = tempfile::tempdir()?;
        let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["init", "--quiet", "--vcs", "none", "--bin", "--name", name])
            .current_dir(&scratch)
            .output()
            .map_err(|error| format!("cannot run cargo: {error}"))?;
        if output.status.success() {
            return Ok(Self(name.to_owned()));
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let reason = said.lines().find_map(|line| line.strip_prefix("error: "));
        Err(reason.unwrap_or(&said).into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The handler's name: `line-counter` and `line-counter-server` are a `LineCounter`, which makes a `LineCounterServer`.
    pub(crate) fn handler(&self) -> String {
        let words = self.0.split(['-', '_']).filter(|word| !word.is_empty());
        let words: Vec<&str> = words.collect();
        let words = match words.as_slice() {
            [first @ .., "server"] if !first.is_empty() => first,
            words => words,
        };
        words.iter().map(|word| capitalized(word)).collect()
    }
}

fn capitalized(word: &str) -> String {
    let mut chars = word.chars();
    let first = chars.next().into_iter().flat_map(char::to_uppercase);
    first.chain(chars).collect()
}
