//! A model and what stands between its parentheses, with or without a promise around it.

use proc_macro2::Ident;

use super::entries::{Entry, Value};
use super::{Args, Given, ModelWord, Setting, UnsafeWord, setting};
use crate::errors::Errors;
use crate::options::{Model, Rule};
use crate::words;

impl Args {
    pub(super) fn take_promise(
        &mut self,
        promise: UnsafeWord,
        inner: Vec<Entry>,
        errors: &mut Errors,
    ) {
        let mut inner = inner.into_iter();
        match (inner.next(), inner.next()) {
            (Some(Entry { word, value }), None) => {
                let model = Model::from_word(&word.to_string());
                if let Some(model) = model.filter(|model| model.forks()) {
                    return self.take_model(model, word, Some(promise), value, errors);
                }
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
                "`unsafe` needs the word that it is about; write `unsafe(forking)` or `unsafe(prefork)`",
            ),
            (Some(first), Some(second)) => {
                let model = Model::from_word(&first.word.to_string());
                let word = model.filter(|model| model.forks()).unwrap_or(Model::Forking).word();
                errors.at(
                    second.word,
                    format_args!("`unsafe` is about one word; write `unsafe({word})` and the rest behind it"),
                );
            }
        }
    }

    pub(super) fn take_model(
        &mut self,
        model: Model,
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
        let mut options = Vec::new();
        for entry in entries {
            options.extend(model_setting(model, entry, errors));
        }
        let value = ModelWord::Built {
            model,
            options,
            promise,
        };
        self.models.push(Given { word, value });
    }
}

/// An option between the parentheses of a model.
fn model_setting(model: Model, entry: Entry, errors: &mut Errors) -> Option<Given<Setting>> {
    let Entry { word, value } = entry;
    let name = word.to_string();
    if let Some(rule) = model.rules().find(|rule| rule.name == name) {
        return setting(rule, word, value, errors);
    }
    let list = match words::meant_of_model(model, &name) {
        Some(meant) => format!("`{meant}`"),
        None => alternatives(model.rules().map(|rule| format!("`{}`", rule.name))),
    };
    let owners = Rule::of_models(&name).map(|(owner, _)| format!("`{}`", owner.word()));
    let (owners, model) = (owners.collect::<Vec<_>>().join(" and "), model.word());
    if let Some(Rule { example, .. }) = Rule::of_server(&name) {
        errors.at(
            &word,
            format_args!(
                "`{name}` is an option of the server; write `{model}, {name} = {example}`"
            ),
        );
    } else if list.is_empty() {
        errors.at(
            &word,
            format_args!("`{model}` takes no options; write `{model}` alone"),
        );
    } else if !owners.is_empty() {
        errors.at(
            &word,
            format_args!("`{name}` is an option of {owners}; for `{model}` write {list}"),
        );
    } else {
        errors.at(
            &word,
            format_args!("unknown option `{name}` of `{model}`; write {list}"),
        );
    }
    None
}

/// Says where an option belongs that stands outside of every model: in the one that was written, if that takes it.
pub(super) fn outside_of_its_model(
    word: &Ident,
    written: &[Given<ModelWord>],
    errors: &mut Errors,
) {
    let name = word.to_string();
    let is_written =
        |(owner, _): &(Model, &Rule)| written.iter().any(|word| word.word == owner.word());
    let takers: Vec<_> = match Rule::of_models(&name).find(is_written) {
        Some(written) => vec![written],
        None => Rule::of_models(&name).collect(),
    };
    let places = takers.into_iter();
    let places = places.map(|(model, rule)| format!("`{}`", model.example_with(rule)));
    let places = alternatives(places);
    errors.at(
        word,
        format_args!("`{name}` is an option of the model; write {places}"),
    );
}

pub(super) fn alternatives(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(" or ")
}
