//! `cargo sockserv expand`: what the attribute has generated.

use std::io::{self, Write};

use clap::Args;

use crate::Result;
use crate::source::{Found, Source};

/// Prints what the attribute generates, each item with the words that it comes from
#[derive(Args)]
pub(crate) struct Expand {
    #[command(flatten)]
    source: Source,
}

impl Expand {
    pub(crate) fn run(&self) -> Result {
        let mut out = io::stdout();
        for (count, found) in self.source.servers()?.iter().enumerate() {
            let before = if count > 0 { "\n" } else { "" };
            writeln!(
                out,
                "{before}// {}: `{}`",
                found.place, found.server.handler
            )?;
            write!(out, "{}", expansion(found)?)?;
        }
        Ok(())
    }
}

fn expansion(found: &Found) -> Result<String> {
    let mut text = String::new();
    for part in &found.server.parts {
        let mut file: syn::File = syn::parse2(part.code.clone())?;
        for item in std::mem::take(&mut file.items) {
            file.items = vec![item];
            text += &format!(
                "\n// From {}.\n{}",
                part.cause,
                prettyplease::unparse(&file)
            );
        }
    }
    Ok(text)
}
