//! `cargo sockserv`: starts a tested server of your own, and looks into what the attribute makes of it.
#![forbid(unsafe_code)]

mod book;
mod check;
mod expand;
mod explain;
mod new;
mod source;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Cargo calls its subcommands by their names.
#[derive(Parser)]
#[command(name = "cargo", bin_name = "cargo")]
enum Cargo {
    /// Starts a tested server with sockserv, and looks into servers
    #[command(version)]
    Sockserv {
        #[command(subcommand)]
        command: Command,
    },
}

#[derive(Subcommand)]
enum Command {
    New(new::New),
    Expand(expand::Expand),
    Explain(explain::Explain),
    Check(check::Check),
}

/// What went wrong, as a sentence for whoever typed the command.
type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

fn main() -> ExitCode {
    let Cargo::Sockserv { command } = Cargo::parse();
    let result = match command {
        Command::New(new) => new.run(),
        Command::Expand(expand) => expand.run(),
        Command::Explain(explain) => explain.run(),
        Command::Check(check) => check.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Who reads the output has seen enough.
fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
