//! What stands between the parentheses, typed.

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::discouraged::Speculative;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Expr, Lit, LitStr, Path, Token, Type, Visibility, parenthesized, token};

use crate::errors::Errors;
use crate::options::{OPTIONS, Owner, Rule, Transport};
use crate::words;

/// The arguments of the attribute, in the user's order.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) transports: Vec<Given<Transport>>,
    pub(crate) models: Vec<Given<Model>>,
    pub(crate) options: Vec<Given<Setting>>,
    pub(crate) listeners: Vec<Given<Type>>,
    pub(crate) addrs: Vec<Given<Expr>>,
    pub(crate) names: Vec<Given<Ident>>,
    pub(crate) visibilities: Vec<Given<Visibility>>,
    pub(crate) crates: Vec<Given<Path>>,
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
pub(crate) enum Model {
    Sync,
    Threading(Vec<Given<Setting>>),
    Forking(Vec<Given<Setting>>, Option<UnsafeWord>),
    Own(Box<Type>),
    /// A word that is not built yet; it expands as the default.
    Unbuilt,
}

/// The models that are built.
const MODELS: [&str; 3] = ["sync", "threading", "forking"];

impl Model {
    /// Returns what stands between the model's own parentheses.
    pub(crate) fn options(&self) -> &[Given<Setting>] {
        match self {
            Self::Threading(options) | Self::Forking(options, _) => options,
            Self::Sync | Self::Own(_) | Self::Unbuilt => &[],
        }
    }
}

/// The user's own `unsafe(...)`.
pub(crate) struct UnsafeWord {
    pub(crate) token: Token![unsafe],
    pub(crate) paren: token::Paren,
}

/// An option of the table and what was written behind `=`; nothing if the word stands alone.
pub(crate) struct Setting {
    pub(crate) rule: &'static Rule,
    pub(crate) value: Option<Expr>,
}

/// One entry of the list, before anybody asks what the word means.
struct Entry {
    word: Ident,
    value: Value,
}

enum Value {
    Nothing,
    Expr(Expr),
    Type(Type),
    Ident(Ident),
    Visibility(Visibility),
    Path(Path),
    List(Vec<Entry>),
    /// `unsafe(forking)`
    Promise(UnsafeWord, Vec<Entry>),
    /// Parentheses where none belong.
    Parenthesized,
    /// Not built yet, or already reported.
    Skipped,
}

impl Args {
    /// Never fails: what cannot be understood is reported and left out.
    pub(crate) fn new(tokens: TokenStream, errors: &mut Errors) -> Self {
        let before = errors.len();
        let entries = (|input: ParseStream<'_>| Ok(entries(input, errors))).parse2(tokens);
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
        match (name.as_str(), value) {
            (_, Value::Promise(promise, inner)) => self.take_promise(promise, inner, errors),
            (name, value) if MODELS.contains(&name) => self.take_model(word, None, value, errors),
            ("model", Value::Type(value)) => self.models.push(Given {
                word,
                value: Model::Own(Box::new(value)),
            }),
            ("listener", Value::Type(value)) => self.listeners.push(Given { word, value }),
            ("addr", Value::Expr(value)) => self.addrs.push(Given { word, value }),
            ("name", Value::Ident(value)) => self.names.push(Given { word, value }),
            ("vis", Value::Visibility(value)) => self.visibilities.push(Given { word, value }),
            ("crate", Value::Path(value)) => self.crates.push(Given { word, value }),
            ("model" | "listener" | "addr" | "name" | "vis" | "crate", value) => {
                self.transport_is_unclear |= name == "listener";
                needs_value(&word, &value, errors);
            }
            (_, value) => self.take_option(word, value, errors),
        }
    }

    /// The words of the table, and words that are no words of ours.
    fn take_option(&mut self, word: Ident, value: Value, errors: &mut Errors) {
        let name = word.to_string();
        match Rule::find(&name) {
            Some(rule) if rule.owner == Owner::Server => {
                self.options.extend(setting(rule, word, value, errors))
            }
            Some(rule) => {
                let Rule {
                    name,
                    example,
                    owner,
                    ..
                } = rule;
                let model = owner.word();
                errors.at(
                    &word,
                    format_args!(
                        "`{name}` is an option of the model; write `{model}({name} = {example})`"
                    ),
                );
            }
            None => self.refuse(&word, matches!(value, Value::Nothing), errors),
        }
    }

    /// Answers a word that cannot be used, as helpfully as possible.
    fn refuse(&mut self, word: &Ident, alone: bool, errors: &mut Errors) {
        let name = word.to_string();
        let sort = if alone { "word" } else { "option" };
        if let Some(instead) = words::unbuilt(&name) {
            errors.at(word, format_args!("`{name}` is not built yet; {instead}"));
            if matches!(name.as_str(), "pool" | "prefork" | "multiplexing") {
                self.models.push(Given {
                    word: word.clone(),
                    value: Model::Unbuilt,
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
            errors.at(
                word,
                format_args!(
                    "unknown word `{name}`; write a transport (`tcp`, `udp`, `unix`, `unix_datagram`), \
                     a model (`sync`, `threading`, `forking`) or `option = value`"
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

    fn take_promise(&mut self, promise: UnsafeWord, inner: Vec<Entry>, errors: &mut Errors) {
        let mut inner = inner.into_iter();
        match (inner.next(), inner.next()) {
            (Some(Entry { word, value }), None) if word == "forking" => {
                self.take_model(word, Some(promise), value, errors)
            }
            (Some(Entry { word, value }), None) => {
                if words::unbuilt(&word.to_string()).is_none() {
                    errors.at(
                        promise.token,
                        format_args!("`{word}` promises nothing; write it without `unsafe`"),
                    );
                }
                self.take(Entry { word, value }, errors);
            }
            (None, _) => errors.at(
                promise.token,
                "`unsafe` needs the word that it is about; write `unsafe(forking)`",
            ),
            (Some(_), Some(second)) => {
                errors.at(
                    second.word,
                    "`unsafe` is about one word; write `unsafe(forking)` and the rest behind it",
                );
            }
        }
    }

    fn take_model(
        &mut self,
        word: Ident,
        promise: Option<UnsafeWord>,
        value: Value,
        errors: &mut Errors,
    ) {
        let entries = match value {
            Value::Nothing => Vec::new(),
            Value::List(entries) => entries,
            _ => {
                errors.at(
                    &word,
                    format_args!("`{word}` takes no value; write the word alone"),
                );
                Vec::new()
            }
        };
        let mut settings = Vec::new();
        for entry in entries {
            settings.extend(model_setting(&word, entry, errors));
        }
        let value = match word.to_string().as_str() {
            "threading" => Model::Threading(settings),
            "forking" => Model::Forking(settings, promise),
            _ => Model::Sync,
        };
        self.models.push(Given { word, value });
    }
}

/// An option between the parentheses of a model.
fn model_setting(model: &Ident, entry: Entry, errors: &mut Errors) -> Option<Given<Setting>> {
    let Entry { word, value } = entry;
    let name = word.to_string();
    let rules = || OPTIONS.iter().filter(|rule| model == rule.owner.word());
    if let Some(rule) = rules().find(|rule| rule.name == name) {
        return setting(rule, word, value, errors);
    }
    let list = rules()
        .map(|rule| format!("`{}`", rule.name))
        .collect::<Vec<_>>()
        .join(" or ");
    match Rule::find(&name) {
        Some(Rule {
            owner: Owner::Server,
            example,
            ..
        }) => {
            errors.at(
                &word,
                format_args!(
                    "`{name}` is an option of the server; write `{model}, {name} = {example}`"
                ),
            );
        }
        _ if list.is_empty() => errors.at(
            &word,
            format_args!("`{model}` takes no options; write `{model}` alone"),
        ),
        Some(Rule { owner, .. }) => {
            let owner = owner.word();
            errors.at(
                &word,
                format_args!("`{name}` is an option of `{owner}`; for `{model}` write {list}"),
            );
        }
        None => errors.at(
            &word,
            format_args!("unknown option `{name}` of `{model}`; write {list}"),
        ),
    }
    None
}

fn setting(
    rule: &'static Rule,
    word: Ident,
    value: Value,
    errors: &mut Errors,
) -> Option<Given<Setting>> {
    let value = match value {
        Value::Nothing => None,
        Value::Expr(value) => Some(value),
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

fn needs_value(word: &Ident, value: &Value, errors: &mut Errors) {
    if !matches!(value, Value::Skipped) {
        errors.at(
            word,
            format_args!("`{word}` needs a value; write `{word} = {}`", example(word)),
        );
    }
}

/// A value that shows how the word is written.
fn example(word: &Ident) -> &'static str {
    let word = word.to_string();
    match word.as_str() {
        "addr" => "\"127.0.0.1:7007\"",
        "name" => "MyServer",
        "vis" => "pub",
        "crate" => "::sockserv",
        "listener" => "MyListener",
        "model" => "MyModel",
        _ => Rule::find(&word).map_or("...", |rule| rule.example),
    }
}

/// Reads the list to its end; an entry that cannot be read is reported and skipped.
fn entries(input: ParseStream<'_>, errors: &mut Errors) -> Vec<Entry> {
    let mut entries = Vec::new();
    while !input.is_empty() {
        let entry = entry(input, errors);
        entries.extend(errors.take(entry).flatten());
        if !input.is_empty() && !input.peek(Token![,]) {
            skip_to_comma(input);
        }
        let _comma: Option<Token![,]> = input.parse().ok();
    }
    entries
}

fn entry(input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<Option<Entry>> {
    if input.peek(Lit) {
        let literal: Lit = input.parse()?;
        errors.at(
            literal,
            "a value needs its option; write `addr = \"127.0.0.1:7007\"`",
        );
        skip_to_comma(input);
        return Ok(None);
    }
    if input.peek(Token![unsafe]) && input.peek2(token::Paren) {
        let token = input.parse()?;
        let content;
        let paren = parenthesized!(content in input);
        let inner = entries(&content, errors);
        let word = Ident::new("unsafe", paren.span.join());
        return Ok(Some(Entry {
            word,
            value: Value::Promise(UnsafeWord { token, paren }, inner),
        }));
    }
    let word = input.call(Ident::parse_any).map_err(|error| {
        syn::Error::new(
            error.span(),
            "no word of `#[server]`; write a transport, a model or `option = value`",
        )
    })?;
    if word == "unsafe" {
        errors.at(
            word,
            "`unsafe` stands before a word in parentheses; write `unsafe(forking)`",
        );
        skip_to_comma(input);
        return Ok(None);
    }
    let value = value(&word, input, errors);
    if !input.is_empty() && !input.peek(Token![,]) {
        let rest: TokenTree = input.parse()?;
        errors.at(
            rest,
            format_args!("unexpected after `{word}`; write a comma between two words"),
        );
    }
    Ok(Some(Entry { word, value }))
}

/// Reads what follows a word. How it is read depends on the word: not everything is an expression.
fn value(word: &Ident, input: ParseStream<'_>, errors: &mut Errors) -> Value {
    if words::unbuilt(&word.to_string()).is_some() {
        let alone = input.is_empty() || input.peek(Token![,]);
        skip_to_comma(input);
        return if alone {
            Value::Nothing
        } else {
            Value::Skipped
        };
    }
    if input.peek(token::Paren) {
        let list = list(word, input, errors);
        return errors.take(list).unwrap_or(Value::Skipped);
    }
    if input.parse::<Token![=]>().is_err() {
        return Value::Nothing;
    }
    if input.is_empty() || input.peek(Token![,]) {
        needs_value(word, &Value::Nothing, errors);
        return Value::Skipped;
    }
    typed(word, input).unwrap_or_else(|| {
        let bad = skip_to_comma(input);
        let meant = syn::parse2::<LitStr>(bad.clone()).and_then(|text| text.parse());
        errors.at(
            bad,
            format_args!(
                "not a value of `{word}`; write `{word} = {}`",
                example(word)
            ),
        );
        meant
            .ok()
            .filter(|_| word == "name")
            .map_or(Value::Skipped, Value::Ident)
    })
}

/// Reads the options of a model; other words have none.
fn list(word: &Ident, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<Value> {
    let content;
    parenthesized!(content in input);
    if MODELS.iter().any(|model| word == model) {
        return Ok(Value::List(entries(&content, errors)));
    }
    content.parse::<TokenStream>()?;
    Ok(Value::Parenthesized)
}

/// Reads a value up to the next comma, or nothing at all.
fn typed(word: &Ident, input: ParseStream<'_>) -> Option<Value> {
    let fork = input.fork();
    let value = match word.to_string().as_str() {
        "model" | "listener" => fork.parse().map(Value::Type),
        "name" => fork.parse().map(Value::Ident),
        "vis" => fork.parse().map(Value::Visibility),
        "crate" => fork.call(Path::parse_mod_style).map(Value::Path),
        _ => fork.parse().map(Value::Expr),
    };
    let ends = fork.is_empty() || fork.peek(Token![,]);
    let value = value.ok().filter(|_| ends)?;
    input.advance_to(&fork);
    Some(value)
}

/// Leaves out everything up to the next comma, and returns it.
fn skip_to_comma(input: ParseStream<'_>) -> TokenStream {
    let mut skipped = TokenStream::new();
    while !input.is_empty() && !input.peek(Token![,]) {
        skipped.extend(TokenTree::parse(input));
    }
    skipped
}
