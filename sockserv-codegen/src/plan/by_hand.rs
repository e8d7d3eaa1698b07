//! `rpc(program = ..., version = ...)`: procedures without an interface file, each with its number on its method.

use proc_macro2::Ident;
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, Lit, Token, Type};

use super::values::literal;
use super::verbs::{self, attr, check_is_a_method, check_one, is_taken};
use crate::args::{Args, Given};
use crate::errors::Errors;
use crate::handler::{Handler, Method, last_word, ungroup};

/// The procedures of one version of one program.
pub(crate) struct ByHand<'a> {
    pub(crate) word: &'a Ident,
    pub(crate) program: &'a Expr,
    pub(crate) version: &'a Expr,
    pub(crate) procedures: Vec<Numbered<'a>>,
}

/// A method and its numbers.
pub(crate) struct Numbered<'a> {
    pub(crate) method: &'a Method,
    pub(crate) numbers: Vec<u32>,
    /// The types of its arguments, as they are written.
    pub(crate) arguments: Vec<&'a Type>,
    /// Whether it wants to know who calls.
    pub(crate) takes_call: bool,
}

/// What is to be written.
const RPC: &str = "rpc(program = 0x20000001, version = 1)";

/// Finds them; nothing if there are none, or they are in a file.
pub(super) fn by_hand<'a>(
    args: &'a Args,
    handler: &'a Handler,
    errors: &mut Errors,
) -> Option<ByHand<'a>> {
    let methods = verbs::methods(handler, "procedure");
    let attr = methods.first().and_then(|one| attr(one, "procedure"));
    let Some(Given { word, value }) = args.programs.first() else {
        check_has_no_program(args, attr, errors);
        return None;
    };
    for file in &args.interfaces {
        errors.at(
            &file.word,
            "the procedures are in a file or written by hand; keep one `rpc`",
        );
    }
    if cfg!(not(feature = "rpc")) {
        errors.at(word, "option `rpc` needs the feature `rpc`; write `sockserv = { version = \"...\", features = [\"rpc\"] }` in Cargo.toml");
        return None;
    }
    let (Some(program), Some(version)) = (&value.program, &value.version) else {
        errors.at(
            word,
            format_args!("`rpc` needs a file, or a program and a version; write `rpc = \"interface.x\"` or `{RPC}`"),
        );
        return None;
    };
    if attr.is_none() {
        errors.at(
            word,
            "`rpc` calls methods by their numbers, and there is none; write `#[procedure(1)]` on a method",
        );
    }
    let procedures = methods.into_iter();
    let procedures: Vec<_> = procedures.map(|method| numbered(method, errors)).collect();
    check_numbers_once(&procedures, errors);
    Some(ByHand {
        word,
        program,
        version,
        procedures,
    })
}

/// A procedure belongs to a program.
fn check_has_no_program(args: &Args, attr: Option<&Attribute>, errors: &mut Errors) {
    if !args.interfaces.is_empty() && attr.is_some() {
        errors.at(
            attr,
            "the interface file knows the numbers; leave out `#[procedure]`",
        );
    } else if attr.is_some() && !args.is_unclear {
        errors.at(
            attr,
            format_args!("a procedure needs its program; write `{RPC}` in the `#[server(...)]`"),
        );
    }
}

fn numbered<'a>(method: &'a Method, errors: &mut Errors) -> Numbered<'a> {
    let mut numbers = Vec::new();
    if let Some(attr) = attr(method, "procedure") {
        let list = attr.parse_args_with(Punctuated::<Expr, Token![,]>::parse_terminated);
        let list = list.unwrap_or_default();
        if list.is_empty() {
            errors.at(
                attr,
                "a procedure is called by its number; write `#[procedure(1)]`",
            );
        }
        numbers.extend(list.iter().filter_map(|expr| number(expr, errors)));
    }
    check_one(
        method,
        "procedure",
        "a method has one `#[procedure(...)]`; write all its numbers into one",
        errors,
    );
    let wanted = format!("fn {}(&mut self, argument: i32) -> i32", method.sig.ident);
    check_is_a_method(method, "a procedure is", &wanted, errors);
    let typed = verbs::parameters(method).map(|typed| &*typed.ty);
    let mut arguments: Vec<_> = typed.collect();
    let takes_call = arguments.last().is_some_and(|ty| is_call(ty));
    arguments.truncate(arguments.len() - usize::from(takes_call));
    Numbered {
        method,
        numbers,
        arguments,
        takes_call,
    }
}

fn is_call(ty: &Type) -> bool {
    match ungroup(ty) {
        Type::Reference(reference) => last_word(&reference.elem).is_some_and(|word| word == "Call"),
        _ => false,
    }
}

fn number(expr: &Expr, errors: &mut Errors) -> Option<u32> {
    let number = match literal(expr) {
        Some(Lit::Int(int)) => int.base10_parse::<u32>().ok(),
        _ => None,
    };
    match number {
        Some(0) => errors.at(expr, "procedure 0 does nothing in every program, and is answered already; write another number"),
        Some(number) => return Some(number),
        None => errors.at(expr, "a procedure's number has 32 bits; write `#[procedure(1)]`"),
    }
    None
}

fn check_numbers_once(procedures: &[Numbered<'_>], errors: &mut Errors) {
    let mut called = Vec::new();
    for procedure in procedures {
        for number in &procedure.numbers {
            if is_taken(&mut called, number, procedure.method) {
                errors.at(
                    attr(procedure.method, "procedure"),
                    format_args!("procedure {number} is another method already; keep one"),
                );
            }
        }
    }
}
