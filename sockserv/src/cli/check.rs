//! `--check`: what is in effect, where it comes from, and whether the machine has room for it.

use std::io::{self, Write};

use crate::capacity::{Machine, Need};
use crate::cli::Parsed;
use crate::concurrency::Model;
use crate::options::Options;
use crate::server::declare::{Attribute, Declaration, Transport};

/// The stack of a thread, unless the option or `RUST_MIN_STACK` says otherwise: std's.
const STACK: usize = 2 << 20;

/// One option as it is in effect.
pub(super) struct Setting {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) origin: String,
}

/// Prints everything, and ends the process.
pub(super) fn print_and_exit<H: Declaration>(attribute: &Attribute, parsed: &Parsed) -> ! {
    let text = text(
        attribute,
        &parsed.settings,
        &need::<H>(&parsed.options),
        &Machine::here(),
    );
    // Who closed stdout does not want to know.
    let _ = io::stdout().write_all(text.as_bytes());
    std::process::exit(0)
}

/// Says what is short, one line each.
pub(super) fn warn<H: Declaration>(attribute: &Attribute, options: &Options) {
    for item in need::<H>(options).of(&Machine::here()) {
        if item.is_short() {
            crate::error::note(&format!("{}: {item}", attribute.name));
        }
    }
}

/// What a server with these options may come to need.
fn need<H: Declaration>(options: &Options) -> Need {
    let wide = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let most = <H::Model as Model<H>>::most(options).unwrap_or(usize::MAX);
    let (threads, processes) = <H::Model as Model<H>>::tasks(options);
    let kinds = <H::Transport as Transport<H>>::KINDS;
    let is_stream = kinds.iter().any(|kind| kind.is_stream());
    Need {
        connections: wide(options.max_connections.min(most)),
        threads: wide(threads),
        processes: wide(processes),
        stack: wide(options.stack_size.unwrap_or(STACK)),
        buffers: wide(options.rbufsize.saturating_add(options.wbufsize)),
        backlog: if is_stream { options.backlog.into() } else { 0 },
    }
}

fn text(attribute: &Attribute, settings: &[Setting], need: &Need, machine: &Machine) -> String {
    let width = |of: fn(&Setting) -> usize| settings.iter().map(of).max().unwrap_or(0);
    let (names, values) = (
        width(|setting| setting.name.len()),
        width(|setting| setting.value.chars().count()).min(40),
    );
    let mut text = format!("{}, {}\n", attribute.name, attribute.model);
    for Setting {
        name,
        value,
        origin,
    } in settings
    {
        text.push_str(&format!("  {name:names$}  {value:values$}  ({origin})\n"));
    }
    text.push_str("capacity\n");
    for item in need.of(machine) {
        let mark = if item.is_short() { "!" } else { " " };
        text.push_str(&format!("{mark} {item}\n"));
    }
    text
}
