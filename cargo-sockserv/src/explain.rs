//! `cargo sockserv explain`: what is settled, by whom, and what it means.

use std::io::{self, Write};

use clap::Args;
use sockserv_codegen::Setting;

use crate::Result;
use crate::book;
use crate::source::{Found, Source};

/// Prints the settings of each server, defaults included
#[derive(Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    source: Source,
}

impl Explain {
    pub(crate) fn run(&self) -> Result {
        let mut out = io::stdout();
        for (count, found) in self.source.servers()?.iter().enumerate() {
            let before = if count > 0 { "\n" } else { "" };
            write!(out, "{before}{}", explanation(found))?;
        }
        Ok(())
    }
}

fn explanation(found: &Found) -> String {
    let server = &found.server;
    let mut text = format!("{}: `{}`\n\n", found.place, server.handler);
    for transport in &server.transports {
        text += &entry(transport, book::transport(transport));
    }
    match server.model {
        Some(model) => {
            text += &entry(
                model,
                &format!("a request runs {}", book::model(model).unwrap_or_default()),
            )
        }
        None => text += &entry("model", "requests run as a model of your own says"),
    }
    if let Some(framing) = server.framing {
        let first = server.first.as_ref();
        text += &entry(
            &first.map_or_else(|| framing.to_owned(), |first| format!("{framing}({first})")),
            &format!("a message {}", book::framing(framing).unwrap_or_default()),
        );
    }
    for (word, written) in &server.words {
        text += &entry(written, &book::word(word).unwrap_or_default());
    }
    for setting in &server.settings {
        text += &entry(&title(setting), &book::option(setting).unwrap_or_default());
    }
    text
}

fn title(setting: &Setting) -> String {
    let name = match setting.owner {
        Some(owner) => format!("{owner}({})", setting.name),
        None => setting.name.to_owned(),
    };
    match &setting.written {
        Some(value) => format!("{name} = {value}"),
        None => format!(
            "{name}: {}, by default",
            book::default(setting).unwrap_or_default()
        ),
    }
}

fn entry(title: &str, sentence: &str) -> String {
    format!("  {title}\n      {sentence}\n")
}
