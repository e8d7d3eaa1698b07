//! Options from the command line and the environment, for who runs a program and has not written it.
//!
//! With the feature `cli` every server has `from_args`. It begins with what the attribute says; a variable of the
//! environment overrides that, and a flag overrides both.
//!
//! ```
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
//! #     if true {
//! #         // Not at its own port, which may be taken.
//! #         let server = EchoServer::bind_to("127.0.0.1:0", Echo)?.spawn()?;
//! #         sockserv::testing::Client::connect(&server).send("hello\n").expect_line("hello");
//! #         return Ok(());
//! #     }
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
//! | `--print-unit`, `--print-haproxy`, `--print-kubernetes`, `--print-dockerfile` | prints what those need, made of the settings in effect: run it with the flags that the server is to have: see [deploying](crate::guide::deploying) |
//! | `--check` | prints what is in effect, where each value comes from, and what the machine has to say to it: see [`capacity`](crate::capacity) |
//!
//! With the feature `admin` and `--admin-public 0.0.0.0:9100` what is printed asks `/readyz` whether a server is ready.
//!
//! Values are written as in the attribute, without quotes: `30s`, `64 KiB`, `refuse`. In `banner` the line's end is `\r\n`.
//! `--help`, `--version`, `--check`, `--print-...` and mistakes end the process, as is the custom.
//!
//! Without the feature there is no `from_args`, and no weight.

mod check;
mod flags;
mod print;
mod values;
#[rustfmt::skip] // The attribute's own reader of durations and sizes: a link to the macro's file.
mod units;

use std::ffi::OsString;
use std::io::Write;
use std::{env, io, process};

use clap::builder::ValueParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command};

use crate::capacity::Machine;
use crate::options::Options;
use crate::server::builder::Builder;
use crate::server::declare::{Attribute, Declaration};
use check::{Origin, Setting};
use flags::{Flag, flags};
use print::Deployment;

/// At most one of these.
const WISH: &str = "wish";

/// Where to listen, without a flag and with it.
const ADDRS: &str = "ADDR";
const ADDR: &str = "addr";

impl<H: Declaration, S> Builder<H, S> {
    /// Takes the options that the program's arguments and environment set, over those that were set so far: see
    /// [`cli`](crate::cli). `EchoServer::from_args(handler)` is `EchoServer::builder(handler).args()?.bind()`.
    ///
    /// Ends the process after `--help`, `--version`, `--check`, `--print-...` and mistakes.
    ///
    /// # Errors
    ///
    /// That what is to be printed cannot be made of these settings.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sockserv::prelude::*;
    /// # #[derive(Clone)] struct Echo;
    /// # #[server(tcp, threading, addr = "127.0.0.1:0")] impl Echo { fn handle(&mut self, _: &mut Stream) {} }
    /// # fn main() -> io::Result<()> {
    /// let server = EchoServer::builder(Echo).max_connections(200).args()?.bind()?;
    /// # server.handle().shutdown();
    /// server.run()
    /// # }
    /// ```
    pub fn args(mut self) -> io::Result<Self> {
        let attribute = H::attribute();
        let parsed = parse(&attribute, &H::options(), &self.options, env::args_os());
        let parsed = parsed.unwrap_or_else(|error| error.exit());
        if let Some(wish) = parsed.wish {
            let text = wish.answer::<H>(&attribute, &parsed)?;
            // Who closed stdout does not want to know.
            let _ = io::stdout().write_all(text.as_bytes());
            process::exit(0);
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
    wish: Option<Wish>,
}

/// What is to be printed, in place of serving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Check,
    Unit,
    Haproxy,
    Kubernetes,
    Dockerfile,
}

impl Wish {
    const ALL: [Self; 5] = [
        Self::Check,
        Self::Unit,
        Self::Haproxy,
        Self::Kubernetes,
        Self::Dockerfile,
    ];

    fn flag(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Unit => "print-unit",
            Self::Haproxy => "print-haproxy",
            Self::Kubernetes => "print-kubernetes",
            Self::Dockerfile => "print-dockerfile",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::Check => {
                "Prints the settings, where each comes from, and what they need of this machine"
            }
            Self::Unit => "Prints a systemd socket and service with these settings",
            Self::Haproxy => "Prints a configuration of HAProxy for two such servers",
            Self::Kubernetes => "Prints a Deployment and a Service for two such servers",
            Self::Dockerfile => "Prints a Dockerfile with these settings",
        }
    }

    fn answer<H: Declaration>(self, attribute: &Attribute, parsed: &Parsed) -> io::Result<String> {
        let need = check::need::<H>(&parsed.options);
        if self == Self::Check {
            return Ok(check::text(attribute, parsed, &need, &Machine::here()));
        }
        let deployment = Deployment::new::<H>(attribute, parsed, need)?;
        match self {
            Self::Unit | Self::Check => Ok(deployment.unit()),
            Self::Haproxy => deployment.haproxy(),
            Self::Kubernetes => deployment.kubernetes(),
            Self::Dockerfile => deployment.dockerfile(),
        }
    }
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
            Some(ValueSource::EnvVariable) => Origin::Environment(variable(attribute, flag)),
            Some(_) => Origin::Flag(flag.long()),
            None if before != (flag.show)(declared) => Origin::Program,
            None if attribute.written.contains(&flag.name) => Origin::Attribute,
            None => Origin::Default,
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
        wish: Wish::ALL
            .into_iter()
            .find(|wish| matches.get_flag(wish.flag())),
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
    let wish = |wish: Wish| {
        Arg::new(wish.flag())
            .long(wish.flag())
            .action(ArgAction::SetTrue)
            .help(wish.help())
            .group(WISH)
            .help_heading("In place of serving")
    };
    let addrs = Arg::new(ADDRS)
        .num_args(0..)
        .value_parser(parser(flags::addr()))
        .help("Where to listen, as with --addr");
    Command::new(attribute.name.to_lowercase())
        .version(attribute.version)
        .about(format!("The server `{}`.", attribute.name))
        .arg(addrs)
        .args(fitting(attribute).map(|flag| arg(attribute, flag, options)))
        .group(ArgGroup::new(WISH))
        .args(Wish::ALL.map(wish))
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
    let name = snake(attribute.name);
    format!("{name}_{}", flag.name).to_uppercase()
}

/// `HttpHello` is `Http_Hello`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    let mut was_small = false;
    for letter in name.chars() {
        if letter.is_uppercase() && was_small {
            snake.push('_');
        }
        was_small = letter.is_lowercase() || letter.is_ascii_digit();
        snake.push(letter);
    }
    snake
}

#[cfg(test)]
mod tests;
