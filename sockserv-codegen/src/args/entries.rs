//! The list of the attribute, read entry by entry: what is grammar, before anything is meant.

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::discouraged::Speculative;
use syn::parse::{Parse, ParseStream};
use syn::{Expr, Lit, LitStr, Path, Token, Type, Visibility, parenthesized, token};

use super::UnsafeWord;
use crate::errors::Errors;
use crate::options::{Framing, Kind, Model, OPTIONS, Rule};
use crate::words;

/// One entry of the list, before anybody asks what the word means.
pub(super) struct Entry {
    pub(super) word: Ident,
    pub(super) value: Value,
}

pub(super) enum Value {
    Nothing,
    Expr(Expr),
    Type(Type),
    Ident(Ident),
    Visibility(Visibility),
    Path(Path),
    Text(LitStr),
    List(Vec<Entry>),
    /// `delimited(b"\0", max = 80)`: what stands first, and the rest.
    Framed(Option<Expr>, Vec<Entry>),
    /// `unsafe(forking)`
    Promise(UnsafeWord, Vec<Entry>),
    /// Parentheses where none belong.
    Parenthesized,
    /// Not built yet, or already reported.
    Skipped,
}

/// Reads the list to its end; an entry that cannot be read is reported and skipped. `example` shows an option of this list.
pub(super) fn entries(input: ParseStream<'_>, example: &str, errors: &mut Errors) -> Vec<Entry> {
    let mut entries = Vec::new();
    while !input.is_empty() {
        let entry = entry(input, example, errors);
        entries.extend(errors.take(entry).flatten());
        if !input.is_empty() && !input.peek(Token![,]) {
            skip_to_comma(input);
        }
        let _comma: Option<Token![,]> = input.parse().ok();
    }
    entries
}

fn entry(input: ParseStream<'_>, example: &str, errors: &mut Errors) -> syn::Result<Option<Entry>> {
    if input.peek(Lit) {
        let literal: Lit = input.parse()?;
        errors.at(
            literal,
            format_args!("a value needs its option; write `{example}`"),
        );
        skip_to_comma(input);
        return Ok(None);
    }
    if input.peek(Token![unsafe]) && input.peek2(token::Paren) {
        let token = input.parse()?;
        let content;
        let paren = parenthesized!(content in input);
        let inner = entries(&content, "unsafe(forking)", errors);
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
            "`unsafe` stands before a word in parentheses; write `unsafe(forking)` or `unsafe(prefork)`",
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
    let is_empty_vis = word == "vis" && input.peek(token::Group); // A `$vis:vis` that matched nothing.
    if (input.is_empty() || input.peek(Token![,])) && !is_empty_vis {
        needs_value(word, &Value::Nothing, errors);
        return Value::Skipped;
    }
    typed(word, input).unwrap_or_else(|| {
        let bad = skip_to_comma(input);
        let meant = syn::parse2::<LitStr>(bad.clone()).and_then(|text| text.parse::<Ident>());
        let meant = meant.ok().filter(|_| word == "name");
        let example = meant
            .as_ref()
            .map_or_else(|| example(word).to_owned(), Ident::to_string);
        errors.at(
            bad,
            format_args!("not a value of `{word}`; write `{word} = {example}`"),
        );
        meant.map_or(Value::Skipped, Value::Ident)
    })
}

/// Reads the options of a model; other words have none.
fn list(word: &Ident, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<Value> {
    let content;
    parenthesized!(content in input);
    if let Some(model) = Model::from_word(&word.to_string()) {
        return Ok(Value::List(entries(&content, &model.example(), errors)));
    }
    if let Some(framing) = Framing::from_word(&word.to_string()) {
        let first = framing.first().and_then(|_| first(&content));
        let rule = framing.rules().next();
        let example = rule.map_or_else(|| framing.example(), |rule| framing.example_with(rule));
        return Ok(Value::Framed(first, entries(&content, &example, errors)));
    }
    if word == "rpc" {
        let example = "rpc(program = 0x20000001, version = 1)";
        return Ok(Value::List(entries(&content, example, errors)));
    }
    if word == "opcode" {
        let first = first(&content);
        return Ok(Value::Framed(
            first,
            entries(&content, "opcode(u16_be, at = 2)", errors),
        ));
    }
    content.parse::<TokenStream>()?;
    Ok(Value::Parenthesized)
}

/// Reads a value that has no name, with the comma behind it.
fn first(input: ParseStream<'_>) -> Option<Expr> {
    let fork = input.fork();
    let value: Expr = fork.parse().ok()?;
    if matches!(value, Expr::Assign(_)) {
        return None; // An option.
    }
    if !fork.is_empty() {
        fork.parse::<Token![,]>().ok()?; // A name perhaps, with its value.
    }
    input.advance_to(&fork);
    Some(value)
}

/// Reads a value up to the next comma, or nothing at all.
fn typed(word: &Ident, input: ParseStream<'_>) -> Option<Value> {
    let fork = input.fork();
    let is_type = |rule: &Rule| word == rule.name && rule.kind == Kind::Type;
    let value = match word.to_string().as_str() {
        "model" | "listener" | "codec" => fork.parse().map(Value::Type),
        _ if OPTIONS.iter().any(is_type) => fork.parse().map(Value::Type),
        "name" => fork.parse().map(Value::Ident),
        "vis" => fork.parse().map(Value::Visibility),
        "crate" => fork.call(Path::parse_mod_style).map(Value::Path),
        "rpc" => fork.parse().map(Value::Text),
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

/// Says how the word is written with a value, unless one was written that was reported already.
pub(super) fn needs_value(word: &Ident, value: &Value, errors: &mut Errors) {
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
        "codec" => "MyCodec",
        "rpc" => "\"interface.x\"",
        _ => Rule::named(&word).next().map_or("...", |rule| rule.example),
    }
}
