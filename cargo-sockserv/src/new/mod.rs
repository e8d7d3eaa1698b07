//! `cargo sockserv new`: a crate that compiles, with tests that pass.

mod choice;
mod crate_name;
mod render;

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use crate::Result;
use choice::{Model, Protocol, Transport};
use crate_name::CrateName;

/// Starts a crate with a server, its tests and a README
#[derive(Args)]
pub(crate) struct New {
    /// What the crate is called, and its folder
    name: String,
    /// What carries the bytes
    #[arg(long, value_enum)]
    transport: Option<Transport>,
    /// How requests meet processors
    #[arg(long, value_enum)]
    model: Option<Model>,
    /// What the bytes mean
    #[arg(long, value_enum)]
    protocol: Option<Protocol>,
    /// The folder that the crate's folder is made in
    #[arg(long, value_name = "DIR", default_value = ".")]
    into: PathBuf,
    /// Depends on sockserv in this clone of its repository
    #[arg(long, value_name = "CHECKOUT")]
    local: Option<PathBuf>,
}

/// What the crate is to be.
struct Blueprint {
    name: CrateName,
    transport: Transport,
    model: Model,
    protocol: Protocol,
    /// The folder of the crate `sockserv`, if it is not to come from the registry.
    local: Option<PathBuf>,
}

impl New {
    pub(crate) fn run(self) -> Result {
        let into = self.into;
        let blueprint = Blueprint {
            name: CrateName::new(&self.name)?,
            transport: self.transport.unwrap_or(Transport::Tcp),
            model: self.model.unwrap_or(Model::Threading),
            protocol: self.protocol.unwrap_or(Protocol::Raw),
            local: self.local.map(|checkout| checkout.join("sockserv")),
        };
        let folder = into.join(&self.name);
        if fs::symlink_metadata(&folder).is_ok() {
            return Err(
                format!("`{}` exists already; nothing was changed", folder.display()).into(),
            );
        }
        // Complete, or not at all: it is made beside its place and moved there at the end.
        let beside = tempfile::Builder::new()
            .prefix(".cargo-sockserv-")
            .tempdir_in(&into)?;
        let made = beside.path().join(&self.name);
        for (path, text) in render::files(&blueprint)? {
            let path = made.join(path);
            fs::create_dir_all(path.parent().unwrap_or(&made))?;
            fs::write(path, text)?;
        }
        fs::rename(&made, &folder)?;
        writeln!(io::stdout(), "made `{}`", folder.display())?;
        Ok(())
    }
}
