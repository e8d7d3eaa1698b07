//! One `#[server]` as a tool shows it: what is settled, and what the expansion is made of.

use std::path::Path;
use std::time::Duration;

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;

use crate::args::{self, Args, FramingWord, Given, ModelWord, Written};
use crate::errors::Errors;
use crate::expand::{self, Piece};
use crate::handler::{Handler, Item};
use crate::options::{OPTIONS, Owner, Rule};
use crate::plan::{ChosenModel, Codec, Plan, Setter, Value};

/// One `#[server]`, understood.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The name of the handler's type.
    pub handler: String,
    /// The words for where requests come from; none for an own listener.
    pub transports: Vec<&'static str>,
    /// The word for the model; nothing for an own one.
    pub model: Option<&'static str>,
    /// The word for where messages end, if there are messages; nothing for an own codec.
    pub framing: Option<&'static str>,
    /// What stands first between its parentheses, if anything does.
    pub first: Option<String>,
    /// What is no option, and how it is written or what it is by default: `addr`, `opcode` and so on.
    pub words: Vec<(String, String)>,
    /// Every option that fits, written or not.
    pub settings: Vec<Setting>,
    /// What follows the item.
    pub parts: Vec<Part>,
    /// What does not compile.
    pub mistakes: Vec<syn::Error>,
}

/// An option.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The word between whose parentheses it stands, if it does: `pool`, `lines`.
    pub owner: Option<&'static str>,
    /// Its word.
    pub name: &'static str,
    /// How it is written; nothing if it is not.
    pub written: Option<String>,
    /// How much that is, where the text says it.
    pub amount: Option<Amount>,
}

/// What a literal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// A number, or a number of bytes.
    Number(u64),
    /// How long.
    Time(Duration),
}

/// Some items of the expansion, and what in the source they come from.
#[derive(Clone, Debug)]
pub struct Part {
    /// As in ``"`tcp`, `threading`, `addr`"``.
    pub cause: String,
    /// The items.
    pub code: TokenStream,
}

/// Looks at the arguments of an attribute and the item that it stands on. The folder is that of the manifest.
///
/// Nothing if no server can be made of the item.
///
/// # Examples
///
/// ```
/// use std::path::Path;
///
/// use quote::quote;
/// use sockserv_codegen::Amount;
///
/// let handler = quote!(impl Echo { fn handle(&mut self, stream: &mut Stream) {} });
/// let args = quote!(tcp, pool(workers = 3), max_line = "1 KiB");
/// let echo = sockserv_codegen::inspect(args, handler, Path::new(".")).unwrap();
/// assert_eq!((&*echo.handler, echo.model), ("Echo", Some("pool")));
/// let max_line = echo.settings.iter().find(|one| one.name == "max_line").unwrap();
/// assert_eq!(max_line.amount, Some(Amount::Number(1024)));
/// assert_eq!(echo.parts[0].cause, "`tcp`, `pool`, `max_line`");
/// ```
#[must_use]
pub fn inspect(args: TokenStream, item: TokenStream, folder: &Path) -> Option<Inspection> {
    let mut errors = Errors::default();
    let mut args = Args::new(args, &mut errors);
    args.folder = Some(folder.to_owned());
    let handler = Item::new(item, &mut errors).handler?;
    let plan = Plan::new(&args, &handler, &mut errors);
    let pieces = expand::pieces(&plan).into_iter();
    let parts = pieces
        .filter(|(_, code)| !code.is_empty())
        .map(|(piece, code)| Part {
            cause: cause(piece, &args, &handler, &plan),
            code,
        });
    Some(Inspection {
        handler: handler.name.to_string(),
        transports: args
            .transports
            .iter()
            .map(|given| given.value.word())
            .collect(),
        model: match &plan.model {
            ChosenModel::Built(model, _) => Some(model.word()),
            ChosenModel::Own(_) => None,
        },
        framing: framing(&plan),
        first: first(&args),
        words: words(&args, &plan),
        settings: settings(&args, &plan),
        parts: parts.collect(),
        mistakes: errors.into_vec(),
    })
}

fn framing(plan: &Plan<'_>) -> Option<&'static str> {
    match &plan.messages.as_ref()?.codec {
        Codec::Built { framing, .. } => Some(framing.word()),
        Codec::Own(_) => None,
    }
}

fn first(args: &Args) -> Option<String> {
    match &args.framings.first()?.value {
        FramingWord::Built { first, .. } => first.as_ref().map(text),
        FramingWord::Own(_) => None,
    }
}

/// What has a value of its own kind.
fn words(args: &Args, plan: &Plan<'_>) -> Vec<(String, String)> {
    let mut words = Vec::new();
    words.extend(args.addrs.iter().map(word));
    words.extend(args.listeners.iter().map(word));
    words.extend(args.names.iter().map(word));
    words.extend(args.visibilities.iter().map(word));
    words.extend(args.interfaces.iter().map(word));
    words.extend(args.programs.iter().map(|Given { word, value }| {
        let program = value.program.iter().map(|value| named("program", value));
        let version = value.version.iter().map(|value| named("version", value));
        call(word, program.chain(version))
    }));
    words.extend(args.crates.iter().map(word));
    words.extend(
        args.framings
            .iter()
            .filter_map(|framing| match &framing.value {
                FramingWord::Own(codec) => Some(assigned(&framing.word, codec)),
                FramingWord::Built { .. } => None,
            }),
    );
    words.extend(args.opcodes.iter().map(|Given { word, value }| {
        let width = value.width.iter().map(text);
        call(word, width.chain(value.at.iter().map(|at| named("at", at))))
    }));
    words.extend(manners(plan));
    words
}

/// How the words of commands are read, if there are commands.
fn manners(plan: &Plan<'_>) -> Vec<(String, String)> {
    let messages = plan.messages.as_ref();
    let Some(commands) = messages.and_then(|messages| messages.commands.as_ref()) else {
        return Vec::new();
    };
    let manners = [
        ("ignore_case", commands.ignores_case),
        ("quoting", commands.quotes),
    ];
    let written = |(word, is_on): (&str, bool)| match is_on {
        true => (word.to_owned(), word.to_owned()),
        false => (word.to_owned(), format!("{word}: off, by default")),
    };
    manners.map(written).into()
}

fn word(given: &Given<impl ToTokens>) -> (String, String) {
    assigned(&given.word, &given.value)
}

fn assigned(word: &Ident, value: &impl ToTokens) -> (String, String) {
    (word.to_string(), named(&word.to_string(), value))
}

fn named(name: &str, value: &impl ToTokens) -> String {
    format!("{name} = {}", text(value))
}

fn call(word: &Ident, values: impl Iterator<Item = String>) -> (String, String) {
    let values = values.collect::<Vec<_>>().join(", ");
    (word.to_string(), format!("{word}({values})"))
}

fn text(tokens: &impl ToTokens) -> String {
    tokens.to_token_stream().to_string()
}

fn settings(args: &Args, plan: &Plan<'_>) -> Vec<Setting> {
    let columns = plan.source.columns();
    let fits = |rule: &&Rule| match rule.owner {
        Owner::Server => true,
        Owner::Model(model) => matches!(&plan.model, ChosenModel::Built(ours, _) if *ours == model),
        Owner::Framing(ours) => framing(plan) == Some(ours.word()),
    };
    let rules = OPTIONS
        .iter()
        .filter(|rule| rule.fits & columns != 0)
        .filter(fits);
    rules.map(|rule| setting(rule, args, plan)).collect()
}

fn setting(rule: &'static Rule, args: &Args, plan: &Plan<'_>) -> Setting {
    let (owner, written): (_, Vec<&Given<args::Setting>>) = match rule.owner {
        Owner::Model(model) => {
            let options = args.models.iter().flat_map(|model| model.value.options());
            (Some(model.word()), options.collect())
        }
        Owner::Framing(framing) => {
            let options = args
                .framings
                .iter()
                .flat_map(|framing| framing.value.options());
            (Some(framing.word()), options.collect())
        }
        _ => (None, args.options.iter().collect()),
    };
    let written = written.into_iter().find(|given| given.word == rule.name);
    Setting {
        owner,
        name: rule.name,
        written: written.map(|given| match &given.value.value {
            Some(Written::Expr(expr)) => text(expr),
            Some(Written::Type(ty)) => text(ty),
            None => "true".to_owned(),
        }),
        amount: written.and_then(|given| amount(&given.word, plan)),
    }
}

/// The very word is looked for: two owners may have options of one name.
fn amount(word: &Ident, plan: &Plan<'_>) -> Option<Amount> {
    let framed = plan
        .messages
        .iter()
        .flat_map(|messages| match &messages.codec {
            Codec::Built { setters, .. } => setters.as_slice(),
            Codec::Own(_) => &[],
        });
    let mut setters = plan.setters.iter().chain(framed);
    let is_it = |setter: &&Setter<'_>| std::ptr::eq(setter.word, word);
    match setters.find(is_it)?.value {
        Value::Number(number, ..) => Some(Amount::Number(number)),
        Value::Duration(time, _) => Some(Amount::Time(time)),
        _ => None,
    }
}

/// Returns the words of the source that a piece comes from.
fn cause(piece: Piece, args: &Args, handler: &Handler, plan: &Plan<'_>) -> String {
    let methods =
        |names: &mut dyn Iterator<Item = String>| listed(names.map(|name| format!("fn {name}")));
    match piece {
        Piece::Declaration => declared(args),
        Piece::Handlers | Piece::Messages => match &plan.messages {
            _ if plan.rpc.is_some() || plan.by_hand.is_some() => "`rpc`".to_owned(),
            Some(messages) => format!("`{}`", messages.word),
            None => {
                let life = plan.forwards.iter().flat_map(|forwards| &forwards.life);
                methods(&mut life.map(|one| one.method.sig.ident.to_string()))
            }
        },
        Piece::Procedures => {
            let file = args.interfaces.first().map(|given| given.value.value());
            file.map_or("`rpc`".to_owned(), |file| format!("`rpc = \"{file}\"`"))
        }
        Piece::Hooks => {
            let hooks = plan.forwards.iter().flat_map(|forwards| &forwards.hooks);
            methods(&mut hooks.map(|one| one.hook.name().to_owned()))
        }
        Piece::Promise => "`unsafe`".to_owned(),
        Piece::Server if args.names.is_empty() => format!("`{}`", handler.name),
        Piece::Server => "`name`".to_owned(),
    }
}

fn declared(args: &Args) -> String {
    let mut words: Vec<String> = Vec::new();
    words.extend(args.transports.iter().map(|given| given.word.to_string()));
    words.extend(args.listeners.iter().map(|given| given.word.to_string()));
    words.extend(args.models.iter().map(|given| match &given.value {
        ModelWord::Built { model, .. } => model.word().to_owned(),
        ModelWord::Own(_) | ModelWord::Unbuilt => given.word.to_string(),
    }));
    words.extend(args.addrs.iter().map(|given| given.word.to_string()));
    words.extend(args.options.iter().map(|given| given.word.to_string()));
    listed(words.into_iter())
}

fn listed(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.map(|word| format!("`{word}`")).collect();
    words.join(", ")
}
