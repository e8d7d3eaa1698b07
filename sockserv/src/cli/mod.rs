//! Options from the command line and the environment, for who runs a program and has not written it.
//!
//! With the feature `cli` every server has `from_args`. It begins with what the attribute says; a variable of the
//! environment overrides that, and a flag overrides both.
//!
//! ```no_run
//! use sockserv::prelude::*;
//!
//! #[derive(Clone)]
//! struct Echo;
//!
//! #[server(tcp, threading, addr = "127.0.0.1:7007", timeout = "30s")]
//! impl Echo {
//!     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
//!         io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
//!     }
//! }
//!
//! fn main() -> io::Result<()> {
//!     EchoServer::from_args(Echo)?.run()
//! }
//! ```
//!
//! | | |
//! |---|---|
//! | `--max-connections 500` | the option `max_connections` |
//! | `ECHO_MAX_CONNECTIONS=500` | the same; the variable begins with the server's name without its `Server` |
//! | `--addr A --addr B`, `--addr A,B`, or just `A B` | where to listen, in place of the attribute's addresses |
//! | `--nodelay=false` | a flag that is on |
//! | `--timeout none` | what may be without |
//! | `--help` | all options that fit the transport and the model, as the [`Builder`] documents them |
//! | `--check` | prints what is in effect, where each value comes from, and what the machine has to say to it: see [`capacity`](crate::capacity) |
//!
//! Values are written as in the attribute, without quotes: `30s`, `64 KiB`, `refuse`. In `banner` the line's end is `\r\n`.
//! `--help`, `--check`, `--version` and mistakes end the process, as is the custom.
//!
//! Without the feature there is no `from_args`, and no weight.

mod check;
mod flags;
mod values;
#[rustfmt::skip] // The attribute's own reader of durations and sizes: a link to the macro crate's file.
mod units;

use std::ffi::OsString;
use std::{env, io};

use clap::builder::ValueParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::options::Options;
use crate::server::builder::Builder;
use crate::server::declare::{Attribute, Declaration};
use check::Setting;
use flags::{Flag, flags};

/// The words that are not options.
const CHECK: &str = "check";
const ADDRS: &str = "ADDR";
const ADDR: &str = "addr";

impl<H: Declaration, S> Builder<H, S> {
    /// Takes the options that the program's arguments and environment set, over those that were set so far: see
    /// [`cli`](crate::cli). `EchoServer::from_args(handler)` is `EchoServer::builder(handler).args()?.bind()`.
    ///
    /// Ends the process after `--help`, `--version`, `--check` and mistakes.
    ///
    /// # Errors
    ///
    /// That two options contradict one another.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use sockserv::prelude::*;
    /// # #[derive(Clone)] struct Echo;
    /// # #[server(tcp, threading, addr = "127.0.0.1:7007")] impl Echo { fn handle(&mut self, _: &mut Stream) {} }
    /// # fn main() -> io::Result<()> {
    /// EchoServer::builder(Echo).max_connections(200).args()?.bind()?.run()
    /// # }
    /// ```
    pub fn args(mut self) -> io::Result<Self> {
        let attribute = H::attribute();
        let parsed = parse(&attribute, &H::options(), &self.options, env::args_os());
        let parsed = parsed.unwrap_or_else(|error| error.exit());
        if parsed.check {
            check::print_and_exit::<H>(&attribute, &parsed);
        }
        check::warn::<H>(&attribute, &parsed.options);
        self.options = parsed.options;
        Ok(self)
    }
}

/// What the arguments and the environment say.
struct Parsed {
    options: Options,
    settings: Vec<Setting>,
    check: bool,
}

/// Reads arguments, the program's name first.
fn parse(
    attribute: &Attribute,
    declared: &Options,
    options: &Options,
    args: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<Parsed, clap::Error> {
    let mut command = command(attribute, options);
    let matches = command.try_get_matches_from_mut(args)?;
    let mut options = options.clone();
    let mut settings = Vec::new();
    for flag in fitting(attribute) {
        let before = (flag.show)(&options);
        let origin = match apply(flag, &matches, &mut options, &mut command)? {
            Some(ValueSource::EnvVariable) => format!("environment, {}", variable(attribute, flag)),
            Some(_) => format!("flag, --{}", flag.long()),
            None if before != (flag.show)(declared) => "program".to_owned(),
            None if attribute.written.contains(&flag.name) => "attribute".to_owned(),
            None => "default".to_owned(),
        };
        settings.push(Setting {
            name: flag.name,
            value: (flag.show)(&options),
            origin,
        });
    }
    Ok(Parsed {
        options,
        settings,
        check: matches.get_flag(CHECK),
    })
}

/// Sets an option as its flag or its variable says; returns which of them did.
fn apply(
    flag: &Flag,
    matches: &ArgMatches,
    options: &mut Options,
    command: &mut Command,
) -> Result<Option<ValueSource>, clap::Error> {
    let mut source = matches.value_source(flag.name);
    let mut values: Vec<&String> = matches.get_many(flag.name).into_iter().flatten().collect();
    if flag.name == ADDR && matches.contains_id(ADDRS) {
        if source == Some(ValueSource::EnvVariable) {
            values.clear(); // What is written overrides it.
        }
        source = matches.value_source(ADDRS);
        values.splice(..0, matches.get_many(ADDRS).into_iter().flatten());
    }
    if !values.is_empty() {
        (flag.clear)(options);
    }
    for value in values {
        let set = (flag.set)(options, value);
        set.map_err(|error| command.error(clap::error::ErrorKind::ValueValidation, error))?;
    }
    Ok(source)
}

fn command(attribute: &Attribute, options: &Options) -> Command {
    let check = Arg::new(CHECK).long(CHECK).action(ArgAction::SetTrue).help(
        "Prints the settings, where each comes from, and what they need of this machine; then ends",
    );
    let addrs = Arg::new(ADDRS)
        .num_args(0..)
        .value_parser(parser(flags::addr()))
        .help("Where to listen, as with --addr");
    Command::new(attribute.name.to_lowercase())
        .version(attribute.version)
        .about(format!("The server `{}`.", attribute.name))
        .arg(addrs)
        .args(fitting(attribute).map(|flag| arg(attribute, flag, options)))
        .arg(check)
}

fn arg(attribute: &Attribute, flag: &'static Flag, options: &Options) -> Arg {
    let (first, all) = flag.help();
    let value = (flag.show)(options);
    let here = match value == (flag.show)(&Options::new()) {
        true => String::new(),
        false => format!(" [this server: {value}]"),
    };
    let arg = Arg::new(flag.name)
        .long(flag.long())
        .env(variable(attribute, flag))
        .hide_env_values(true)
        .value_name(flag.value)
        .value_parser(parser(flag))
        .long_help(all.replacen(&first, &format!("{first}{here}"), 1))
        .help(format!("{first}{here}"));
    match flag.value {
        "true|false" => arg
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
        _ if flag.many => arg.action(ArgAction::Append).value_delimiter(','),
        _ => arg,
    }
}

/// Judges a value as it is set later, so that a mistake is reported with the flag's name.
fn parser(flag: &'static Flag) -> ValueParser {
    ValueParser::from(move |text: &str| {
        (flag.set)(&mut Options::new(), text).map(|()| text.to_owned())
    })
}

/// The options that fit the server's transport and model.
fn fitting(attribute: &Attribute) -> impl Iterator<Item = &'static Flag> {
    flags().filter(|flag| {
        flag.name == ADDR || attribute.fits.is_none_or(|fits| fits.contains(&flag.name))
    })
}

/// `HttpHello` and `max_connections` are `HTTP_HELLO_MAX_CONNECTIONS`.
fn variable(attribute: &Attribute, flag: &Flag) -> String {
    let mut name = String::new();
    let mut was_small = false;
    for letter in attribute.name.chars() {
        if letter.is_uppercase() && was_small {
            name.push('_');
        }
        was_small = letter.is_lowercase() || letter.is_ascii_digit();
        name.extend(letter.to_uppercase());
    }
    format!("{name}_{}", flag.name.to_uppercase())
}

#[cfg(test)]
mod tests;
