//! Asking for what was not said: on a terminal only.

use std::fmt::Display;
use std::io::{self, IsTerminal};

use clap::{Args, Command, FromArgMatches, ValueEnum};
use dialoguer::{Input, MultiSelect, Select};

use super::Operation;
use super::choice::{Protocol, Transport, described, entry};
use crate::Result;

/// Asks, and answers go, by stderr and stdin: what is on stdout may go to a file.
fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

pub(super) fn name() -> Result<String> {
    if !can_ask() {
        return Err("a name is missing; write `cargo sockserv new NAME`".into());
    }
    Ok(Input::new().with_prompt("name").interact_text()?)
}

/// The default where nobody can be asked.
pub(super) fn choose<V>(what: &str, default: V, fits: impl Fn(V) -> bool) -> Result<V>
where
    V: ValueEnum + Copy + PartialEq,
{
    if !can_ask() {
        return Ok(default);
    }
    let values = V::value_variants().iter().copied();
    let values: Vec<V> = values.filter(|&value| fits(value)).collect();
    let texts: Vec<String> = values.iter().map(described).collect();
    let first = values.iter().position(|&value| value == default);
    Ok(values[select(what, &texts, first.unwrap_or(0))?])
}

/// Of those only that work over this transport.
pub(super) fn protocol(transport: Transport) -> Result<Protocol> {
    if !can_ask() {
        return Ok(Protocol::Raw);
    }
    let mut fitting: Vec<Protocol> = Protocol::PLAIN.into();
    fitting.retain(|protocol| protocol.check(transport).is_ok());
    let names = fitting.iter().map(Protocol::name).chain(["rpc"]);
    let chosen = select("protocol", &names.collect::<Vec<_>>(), 0)?;
    if chosen == fitting.len() {
        let file: String = Input::new().with_prompt("interface file").interact_text()?;
        return Ok(Protocol::Rpc(file.into()));
    }
    Ok(fitting.swap_remove(chosen))
}

/// None, unless they are chosen: they are read as if they had been typed.
pub(super) fn operation(transport: Transport) -> Result<Operation> {
    if !can_ask() {
        return Ok(Operation::default());
    }
    let flags = Operation::augment_args(Command::new("new").no_binary_name(true));
    let read = |names: &[&str]| {
        let typed = names.iter().map(|name| format!("--{name}"));
        Operation::from_arg_matches(&flags.clone().try_get_matches_from(typed)?)
    };
    let mut fitting = Vec::new();
    for flag in flags.get_arguments() {
        let name = flag.get_id().as_str();
        if read(&[name])?.check(transport).is_ok() {
            fitting.push((name, entry(name, flag.get_help())));
        }
    }
    let texts = fitting.iter().map(|(_, text)| text);
    let chosen = MultiSelect::new()
        .with_prompt("for its operator (space chooses, none by default)")
        .items(texts)
        .interact()?;
    let names: Vec<&str> = chosen.iter().map(|&at| fitting[at].0).collect();
    Ok(read(&names)?)
}

fn select(what: &str, texts: &[impl Display], first: usize) -> Result<usize> {
    let select = Select::new().with_prompt(what).items(texts).default(first);
    Ok(select.interact()?)
}
