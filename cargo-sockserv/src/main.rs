//! `cargo sockserv`: starts a tested server of your own.

mod new;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Cargo calls its subcommands by their names.
#[derive(Parser)]
#[command(name = "cargo", bin_name = "cargo")]
enum Cargo {
    /// Starts a tested server with sockserv
    #[command(version)]
    Sockserv {
        #[command(subcommand)]
        command: Command,
    },
}

#[derive(Subcommand)]
enum Command {
    New(new::New),
}

/// What went wrong, as a sentence for whoever typed the command.
type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

fn main() -> ExitCode {
    let Cargo::Sockserv { command } = Cargo::parse();
    let result = match command {
        Command::New(new) => new.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}
