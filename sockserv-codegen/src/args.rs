//! What stands between the parentheses, typed.

mod entries;
mod framings;
mod models;
mod opcodes;
mod programs;

use std::path::PathBuf;

use proc_macro2::{Ident, TokenStream};
use syn::parse::{ParseStream, Parser};
use syn::{Expr, LitStr, Path, Token, Type, Visibility, token};

use crate::errors::Errors;
use crate::options::{Framing, Model, OPTIONS, Owner, Rule, Transport};
use crate::words;
use entries::{Entry, Value, needs_value};

/// The arguments of the attribute, in the user's order.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) transports: Vec<Given<Transport>>,
    pub(crate) models: Vec<Given<ModelWord>>,
    pub(crate) options: Vec<Given<Setting>>,
    pub(crate) listeners: Vec<Given<Type>>,
    pub(crate) addrs: Vec<Given<Expr>>,
    pub(crate) names: Vec<Given<Ident>>,
    pub(crate) visibilities: Vec<Given<Visibility>>,
    pub(crate) crates: Vec<Given<Path>>,
    pub(crate) interfaces: Vec<Given<LitStr>>,
    /// Where they are, if not in the folder of the manifest that is compiled.
    pub(crate) folder: Option<PathBuf>,
    pub(crate) framings: Vec<Given<FramingWord>>,
    pub(crate) opcodes: Vec<Given<OpcodeWord>>,
    pub(crate) programs: Vec<Given<ProgramWord>>,
    /// `ignore_case` and `quoting`.
    pub(crate) manners: Vec<Given<bool>>,
    /// Whether `rpc` was written, with a good value or not.
    pub(crate) is_rpc: bool,
    /// Whether a word was written that would have been a transport, had it been a good one.
    pub(crate) transport_is_unclear: bool,
    /// Whether anything could not be understood: perhaps it was the address.
    pub(crate) is_unclear: bool,
}

/// A value and the word that introduced it, for errors that must point.
pub(crate) struct Given<T> {
    pub(crate) word: Ident,
    pub(crate) value: T,
}

/// How requests meet CPUs.
pub(crate) enum ModelWord {
    Built {
        model: Model,
        /// What stands between the model's own parentheses.
        options: Vec<Given<Setting>>,
        promise: Option<UnsafeWord>,
    },
    Own(Box<Type>),
    /// A word that is not built yet; it expands as the default.
    Unbuilt,
}

impl ModelWord {
    /// Returns what stands between the model's own parentheses.
    pub(crate) fn options(&self) -> &[Given<Setting>] {
        match self {
            Self::Built { options, .. } => options,
            Self::Own(_) | Self::Unbuilt => &[],
        }
    }
}

/// Where one message ends and the next begins.
pub(crate) enum FramingWord {
    Built {
        framing: Framing,
        /// What stands first between its parentheses.
        first: Option<Box<Expr>>,
        options: Vec<Given<Setting>>,
    },
    /// `codec = MyCodec`
    Own(Box<Type>),
}

impl FramingWord {
    /// Returns what stands between the framing's own parentheses.
    pub(crate) fn options(&self) -> &[Given<Setting>] {
        match self {
            Self::Built { options, .. } => options,
            Self::Own(_) => &[],
        }
    }
}

/// `rpc(program = 1, version = 1)`
#[derive(Default)]
pub(crate) struct ProgramWord {
    pub(crate) program: Option<Expr>,
    pub(crate) version: Option<Expr>,
}

/// `opcode(u8, at = 0)`
#[derive(Default)]
pub(crate) struct OpcodeWord {
    pub(crate) width: Option<Expr>,
    pub(crate) at: Option<Expr>,
}

/// The user's own `unsafe(...)`.
pub(crate) struct UnsafeWord {
    pub(crate) token: Token![unsafe],
    pub(crate) paren: token::Paren,
}

/// An option of the table and what was written behind `=`; nothing if the word stands alone.
pub(crate) struct Setting {
    pub(crate) rule: &'static Rule,
    pub(crate) value: Option<Written>,
}

/// What stands behind `=`.
pub(crate) enum Written {
    Expr(Expr),
    Type(Type),
}

impl Args {
    /// Never fails: what cannot be understood is reported and left out.
    pub(crate) fn new(tokens: TokenStream, errors: &mut Errors) -> Self {
        let before = errors.len();
        let entries = (|input: ParseStream<'_>| {
            Ok(entries::entries(input, "addr = \"127.0.0.1:7007\"", errors))
        })
        .parse2(tokens);
        let mut args = Self::default();
        for entry in entries.unwrap_or_default() {
            args.take(entry, errors);
        }
        args.is_unclear = errors.len() > before;
        args
    }

    fn take(&mut self, entry: Entry, errors: &mut Errors) {
        let Entry { word, value } = entry;
        let name = word.to_string();
        if let Some(transport) = Transport::from_word(&name) {
            let takes_no_value = matches!(value, Value::Nothing);
            if !takes_no_value {
                errors.at(
                    &word,
                    format_args!("`{name}` takes no value; write `{name}, addr = \"...\"`"),
                );
            }
            self.transports.push(Given {
                word,
                value: transport,
            });
            return;
        }
        if let Some(model) = Model::from_word(&name) {
            return self.take_model(model, word, None, value, errors);
        }
        if let Some(framing) = Framing::from_word(&name) {
            return self.take_framing(framing, word, value, errors);
        }
        self.is_rpc |= name == "rpc";
        match (name.as_str(), value) {
            (_, Value::Promise(promise, inner)) => self.take_promise(promise, inner, errors),
            ("model", Value::Type(value)) => self.models.push(Given {
                word,
                value: ModelWord::Own(Box::new(value)),
            }),
            ("listener", Value::Type(value)) => self.listeners.push(Given { word, value }),
            ("codec", Value::Type(value)) => self.framings.push(Given {
                word,
                value: FramingWord::Own(Box::new(value)),
            }),
            ("opcode", value) => self.take_opcode(word, value, errors),
            ("ignore_case" | "quoting", value) => self.take_manner(word, &value, errors),
            ("addr", Value::Expr(value)) => self.addrs.push(Given { word, value }),
            ("name", Value::Ident(value)) => self.names.push(Given { word, value }),
            ("vis", Value::Visibility(value)) => self.visibilities.push(Given { word, value }),
            ("crate", Value::Path(value)) => self.crates.push(Given { word, value }),
            ("rpc", Value::List(entries)) => self.take_program(word, entries, errors),
            ("rpc", Value::Text(value)) => self.interfaces.push(Given { word, value }),
            ("model" | "listener" | "codec" | "addr" | "name" | "vis" | "crate" | "rpc", value) => {
                self.transport_is_unclear |= name == "listener";
                needs_value(&word, &value, errors);
            }
            (_, value) => self.take_option(word, value, errors),
        }
    }

    /// The words of the table, and words that are no words of ours.
    fn take_option(&mut self, word: Ident, value: Value, errors: &mut Errors) {
        let name = word.to_string();
        if let Some(rule) = Rule::of_server(&name) {
            self.options.extend(setting(rule, word, value, errors));
        } else if framings::is_outside(&word, &self.framings) {
            framings::outside_of_its_framing(&word, &self.framings, errors);
        } else if Rule::of_models(&name).next().is_some() {
            models::outside_of_its_model(&word, &self.models, errors);
        } else {
            self.refuse(&word, matches!(value, Value::Nothing), errors);
        }
    }

    /// Answers a word that cannot be used, as helpfully as possible.
    fn refuse(&mut self, word: &Ident, alone: bool, errors: &mut Errors) {
        let name = word.to_string();
        let sort = if alone { "word" } else { "option" };
        if let Some(instead) = words::unbuilt(&name) {
            errors.at(word, format_args!("`{name}` is not built yet; {instead}"));
            if name == "multiplexing" {
                self.models.push(Given {
                    word: word.clone(),
                    value: ModelWord::Unbuilt,
                });
            }
            return;
        }
        self.transport_is_unclear |= alone;
        if let Some(instead) = words::foreign(&name) {
            errors.at(word, format_args!("unknown {sort} `{name}`; {instead}"));
        } else if let Some(guess) = words::guess(&name) {
            errors.at(
                word,
                format_args!("unknown {sort} `{name}`; did you mean `{guess}`?"),
            );
        } else if alone {
            let models = Model::ALL.map(|model| format!("`{}`", model.word()));
            errors.at(
                word,
                format_args!(
                    "unknown word `{name}`; write a transport (`tcp`, `udp`, `unix`, `unix_datagram`), \
                     a model ({}) or `option = value`",
                    models.join(", ")
                ),
            );
        } else {
            let options = OPTIONS.iter().filter(|rule| rule.owner == Owner::Server);
            let list = options
                .map(|rule| rule.name)
                .collect::<Vec<_>>()
                .join("`, `");
            errors.at(
                word,
                format_args!("unknown option `{name}`; write one of `addr`, `{list}`"),
            );
        }
    }
}

fn setting(
    rule: &'static Rule,
    word: Ident,
    value: Value,
    errors: &mut Errors,
) -> Option<Given<Setting>> {
    let value = match value {
        Value::Nothing => None,
        Value::Expr(value) => Some(Written::Expr(value)),
        Value::Type(value) => Some(Written::Type(value)),
        Value::Skipped => return None,
        _ => {
            errors.at(
                &word,
                format_args!(
                    "`{word}` takes its value behind `=`; write `{word} = {}`",
                    rule.example
                ),
            );
            return None;
        }
    };
    Some(Given {
        word,
        value: Setting { rule, value },
    })
}
