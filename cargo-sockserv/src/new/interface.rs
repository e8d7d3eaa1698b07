//! The interface file of Sun RPC that a crate begins with.

use std::fs;
use std::path::Path;

use sockserv_codegen::Interface;

use crate::Result;

/// A file that goes into the crate, and what it says.
pub(super) struct InterfaceFile {
    /// Its name, without the folder.
    pub(super) name: String,
    pub(super) text: String,
    pub(super) means: Interface,
}

impl InterfaceFile {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text =
            fs::read_to_string(path).map_err(|error| format!("cannot read `{shown}`: {error}"))?;
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| format!("`{shown}` is no name of a file"))?;
        let means = Interface::read(name, &text).map_err(|mistakes| mistakes.join("\nerror: "))?;
        if means.programs.is_empty() {
            return Err(format!("`{shown}` has no `program`, so there is nothing to call").into());
        }
        Ok(Self {
            name: name.to_owned(),
            text,
            means,
        })
    }
}
