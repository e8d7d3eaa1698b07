//! `cargo sockserv new`: a crate that compiles, with tests that pass.

mod ask;
mod choice;
mod crate_name;
mod interface;
mod place;
mod render;
mod script;

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use crate::Result;
use choice::{Model, Protocol, Transport};
use crate_name::CrateName;

/// Starts a crate with a server, its tests and a README
///
/// On a terminal it asks for what is missing.
#[derive(Args)]
pub(crate) struct New {
    /// What the crate is called, and its folder
    name: Option<String>,
    /// What carries the bytes [default: tcp]
    #[arg(long, value_enum)]
    transport: Option<Transport>,
    /// How requests meet processors [default: threading]
    #[arg(long, value_enum)]
    model: Option<Model>,
    /// What the bytes mean: raw, lines, commands, length-prefixed, http or rpc=FILE.x [default: raw]
    #[arg(long)]
    protocol: Option<Protocol>,
    #[command(flatten)]
    operation: Operation,
    /// Where the crate's folder is made
    #[arg(long, value_name = "DIR", default_value = ".")]
    into: PathBuf,
    /// Depend on sockserv in this clone of its repository
    #[arg(long, value_name = "CHECKOUT")]
    local: Option<PathBuf>,
}

/// What its operator has; each of the others needs the command line.
#[derive(Args, Clone, Copy, Default)]
struct Operation {
    /// Every option is a flag and a variable of the environment
    #[arg(long)]
    cli: bool,
    /// The README says how its units are printed
    #[arg(long)]
    systemd: bool,
    /// The README says how its Dockerfile is printed
    #[arg(long)]
    docker: bool,
    /// The README says how its Deployment is printed
    #[arg(long)]
    kubernetes: bool,
}

impl Operation {
    fn has_flags(self) -> bool {
        self.cli || self.systemd || self.docker || self.kubernetes
    }

    fn check(self, transport: Transport) -> Result {
        let containers = [(self.docker, "docker"), (self.kubernetes, "kubernetes")];
        match containers.into_iter().find(|(is_asked, _)| *is_asked) {
            Some((_, word)) if transport.is_unix() => Err(format!(
                "`--{word}` needs a port, by which a container is reached; choose `--transport tcp` or `--transport udp`"
            )
            .into()),
            _ => Ok(()),
        }
    }
}

/// What the crate is to be.
struct Blueprint {
    name: CrateName,
    transport: Transport,
    model: Model,
    protocol: Protocol,
    operation: Operation,
    /// The folder of the crate `sockserv`, if it is not to come from the registry.
    local: Option<PathBuf>,
}

impl New {
    pub(crate) fn run(self) -> Result {
        let into = self.into.clone();
        let blueprint = self.blueprint()?;
        let files = render::files(&blueprint)?;
        let folder = place::put(&into, blueprint.name.as_str(), &files)?;
        let mut out = io::stdout();
        writeln!(out, "made `{}`; now:", folder.display())?;
        writeln!(out, "    cd {}", folder.display())?;
        writeln!(out, "    cargo test")?;
        writeln!(out, "    cargo run")?;
        if let Some(reason) = place::outside_its_workspace(&folder) {
            writeln!(io::stderr(), "warning: {reason}")?;
        }
        Ok(())
    }

    fn blueprint(self) -> Result<Blueprint> {
        let local = self.local.as_deref().map(place::runtime).transpose()?;
        let name = self.name.map_or_else(ask::name, Ok)?;
        let name = CrateName::new(&name)?;
        place::check_is_free(&self.into, name.as_str())?;
        let transport = match self.transport {
            Some(transport) => transport,
            None => ask::choose("transport", Transport::Tcp, |transport| {
                let protocol = self.protocol.as_ref();
                protocol.is_none_or(|protocol| protocol.check(transport).is_ok())
                    && self.operation.check(transport).is_ok()
            })?,
        };
        let model = match self.model {
            Some(model) => model,
            None => ask::choose("model", Model::Threading, |_| true)?,
        };
        let protocol = match self.protocol {
            Some(protocol) => protocol,
            None => ask::protocol(transport)?,
        };
        protocol.check(transport)?;
        let operation = match self.operation.has_flags() {
            true => self.operation,
            false => ask::operation(transport)?,
        };
        operation.check(transport)?;
        Ok(Blueprint {
            name,
            transport,
            model,
            protocol,
            operation,
            local,
        })
    }
}
