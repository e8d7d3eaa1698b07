//! `rpc(program = ..., version = ...)`: a program without an interface file.

use proc_macro2::Ident;

use super::entries::{Entry, Value};
use super::{Args, Given, ProgramWord};
use crate::errors::Errors;

impl Args {
    pub(super) fn take_program(&mut self, word: Ident, entries: Vec<Entry>, errors: &mut Errors) {
        let mut program = ProgramWord::default();
        for Entry { word, value } in entries {
            let place = match word.to_string().as_str() {
                "program" => Some(&mut program.program),
                "version" => Some(&mut program.version),
                _ => None,
            };
            match (place, value) {
                (Some(place @ None), Value::Expr(value)) => *place = Some(value),
                (Some(Some(_)), Value::Expr(_)) => {
                    errors.at(&word, format_args!("`{word}` is written twice; keep one"));
                }
                _ => errors.at(
                    &word,
                    format_args!(
                        "unknown option `{word}` of `rpc`; write `rpc(program = 0x20000001, version = 1)`"
                    ),
                ),
            }
        }
        self.programs.push(Given {
            word,
            value: program,
        });
    }
}
