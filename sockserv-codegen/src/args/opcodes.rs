//! `opcode(u8, at = 0)`: where the opcode of a message stands.

use proc_macro2::Ident;

use super::entries::{Entry, Value};
use super::{Args, Given, OpcodeWord};
use crate::errors::Errors;

impl Args {
    pub(super) fn take_opcode(&mut self, word: Ident, value: Value, errors: &mut Errors) {
        let mut place = OpcodeWord::default();
        match value {
            Value::Framed(width, entries) => {
                place.width = width;
                for entry in entries {
                    take_entry(&mut place, entry, errors);
                }
            }
            Value::Nothing | Value::Skipped => {}
            _ => errors.at(
                &word,
                "`opcode` takes its width in parentheses; write `opcode(u8)`",
            ),
        }
        self.opcodes.push(Given { word, value: place });
    }
}

fn take_entry(place: &mut OpcodeWord, entry: Entry, errors: &mut Errors) {
    let Entry { word, value } = entry;
    match value {
        Value::Expr(_) if word == "at" && place.at.is_some() => {
            errors.at(&word, "`at` is written twice; keep one");
        }
        Value::Expr(value) if word == "at" => place.at = Some(value),
        _ => errors.at(
            &word,
            format_args!("unknown option `{word}` of `opcode`; write `opcode(u8, at = 2)`"),
        ),
    }
}
