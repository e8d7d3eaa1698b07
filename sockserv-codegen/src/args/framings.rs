//! A framing and what stands between its parentheses.

use proc_macro2::Ident;
use syn::{Expr, ExprLit, Lit};

use super::entries::{Entry, Value};
use super::models::alternatives;
use super::{Args, FramingWord, Given, Setting, setting};
use crate::errors::Errors;
use crate::options::{Framing, Rule};
use crate::words;

impl Args {
    pub(super) fn take_framing(
        &mut self,
        framing: Framing,
        word: Ident,
        value: Value,
        errors: &mut Errors,
    ) {
        let (first, entries) = match value {
            Value::Nothing => (None, Vec::new()),
            Value::Framed(first, entries) => (first, entries),
            value => {
                if !matches!(value, Value::Skipped) {
                    let example = framing.full_example();
                    errors.at(
                        &word,
                        format_args!(
                            "`{word}` takes its options in parentheses; write `{example}`"
                        ),
                    );
                }
                // So that no second error follows.
                (
                    framing.first().and_then(|first| syn::parse_str(first).ok()),
                    Vec::new(),
                )
            }
        };
        let mut options = Vec::new();
        for entry in entries {
            options.extend(framing_setting(framing, entry, errors));
        }
        let value = FramingWord::Built {
            framing,
            first: first.map(Box::new),
            options,
        };
        self.framings.push(Given { word, value });
    }
}

impl Args {
    /// How commands are read.
    pub(super) fn take_manner(&mut self, word: Ident, value: &Value, errors: &mut Errors) {
        let value = match value {
            Value::Nothing => true,
            Value::Expr(Expr::Lit(ExprLit {
                lit: Lit::Bool(flag),
                ..
            })) => flag.value,
            _ => {
                errors.at(
                    &word,
                    format_args!("`{word}` is a flag; write `{word}` alone, or leave it out"),
                );
                return;
            }
        };
        self.manners.push(Given { word, value });
    }
}

/// An option between the parentheses of a framing.
fn framing_setting(framing: Framing, entry: Entry, errors: &mut Errors) -> Option<Given<Setting>> {
    let Entry { word, value } = entry;
    let name = word.to_string();
    if let Some(rule) = framing.rules().find(|rule| rule.name == name) {
        return setting(rule, word, value, errors);
    }
    let owner = framing.word();
    let list = alternatives(framing.rules().map(|rule| format!("`{}`", rule.name)));
    if let Some(Rule { example, .. }) = Rule::of_server(&name) {
        errors.at(
            &word,
            format_args!(
                "`{name}` is an option of the server; write `{}, {name} = {example}`",
                framing.example()
            ),
        );
    } else if list.is_empty() {
        errors.at(
            &word,
            format_args!("`{owner}` takes no options; write `{}`", framing.example()),
        );
    } else {
        let meant = words::meant_of_framing(framing, &name);
        let meant = meant.map_or(list, |meant| format!("`{meant}`"));
        errors.at(
            &word,
            format_args!("unknown option `{name}` of `{owner}`; write {meant}"),
        );
    }
    None
}

/// Tells whether a word that stands outside belongs to a framing: to one that was written, or to nobody else.
pub(super) fn is_outside(word: &Ident, written: &[Given<FramingWord>]) -> bool {
    let name = word.to_string();
    let mut owners = Rule::of_framings(&name);
    match Rule::of_models(&name).next() {
        Some(_) => owners.any(|(framing, _)| is_written(framing, written)),
        None => owners.next().is_some(),
    }
}

fn is_written(framing: Framing, written: &[Given<FramingWord>]) -> bool {
    written.iter().any(|given| given.word == framing.word())
}

/// Says where an option belongs that stands outside of every framing: in the one that was written, if that takes it.
pub(super) fn outside_of_its_framing(
    word: &Ident,
    written: &[Given<FramingWord>],
    errors: &mut Errors,
) {
    let name = word.to_string();
    let mut owners = Rule::of_framings(&name);
    let owner = owners.find(|(framing, _)| is_written(*framing, written));
    let Some((framing, rule)) = owner.or_else(|| Rule::of_framings(&name).next()) else {
        return;
    };
    let place = framing.example_with(rule);
    errors.at(
        word,
        format_args!("`{name}` is an option of the framing; write `{place}`"),
    );
}
