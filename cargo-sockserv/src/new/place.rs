//! Where the files go: all of them, or none.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;

/// Returns the crate `sockserv` of a clone of its repository.
pub(super) fn runtime(checkout: &Path) -> Result<PathBuf> {
    let folder = checkout.join("sockserv");
    if !folder.join("Cargo.toml").is_file() {
        let checkout = checkout.display();
        return Err(format!(
            "`{checkout}` is no clone of sockserv: it has no `sockserv/Cargo.toml`"
        )
        .into());
    }
    Ok(fs::canonicalize(folder)?)
}

/// Nothing that is there is ever changed.
pub(super) fn check_is_free(into: &Path, name: &str) -> Result {
    let folder = into.join(name);
    match fs::symlink_metadata(&folder) {
        Ok(_) => Err(format!(
            "`{}` is there already; choose another name, or another folder with `--into`",
            folder.display()
        )
        .into()),
        Err(_) => Ok(()),
    }
}

/// Writes the files beside their place, and moves them there when they are complete.
pub(super) fn put(into: &Path, name: &str, files: &[(PathBuf, String)]) -> Result<PathBuf> {
    let failed = |error| format!("cannot make a folder in `{}`: {error}", into.display());
    let beside = tempfile::Builder::new()
        .prefix(".cargo-sockserv-")
        .tempdir_in(into)
        .map_err(failed)?;
    let made = beside.path().join(name);
    for (path, text) in files {
        let path = made.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&made)).map_err(failed)?;
        fs::write(path, text).map_err(failed)?;
    }
    let folder = into.join(name);
    check_is_free(into, name)?;
    fs::rename(&made, &folder).map_err(failed)?;
    Ok(folder)
}

/// Says what cargo has against a crate inside of a workspace that does not name it.
pub(super) fn outside_its_workspace(folder: &Path) -> Option<String> {
    let output = cargo()
        .args(["locate-project", "--workspace"])
        .current_dir(folder)
        .output()
        .ok()?;
    if output.status.success() {
        return None;
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Some(said.trim_start_matches("error: ").trim_end().to_owned())
}

/// The cargo whose subcommand this is.
pub(super) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}
