//! `rpc(program = ..., version = ...)`: procedures without an interface file, each with its number on its method.

use proc_macro2::Ident;
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, FnArg, Lit, Token, Type};

use super::methods::check_can_be_called;
use super::values::literal;
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

fn is_procedure(attr: &Attribute) -> bool {
    attr.path().is_ident("procedure")
}

/// Finds them; nothing if there are none, or they are in a file.
pub(super) fn by_hand<'a>(
    args: &'a Args,
    handler: &'a Handler,
    errors: &mut Errors,
) -> Option<ByHand<'a>> {
    let methods = handler.methods().iter();
    let mut methods = methods
        .filter(|method| method.attrs.iter().any(is_procedure))
        .peekable();
    let attr = methods
        .peek()
        .and_then(|method| method.attrs.iter().find(|attr| is_procedure(attr)));
    let Some(Given { word, value }) = args.programs.first() else {
        if !args.interfaces.is_empty() && attr.is_some() {
            errors.at(
                attr,
                "the interface file knows the numbers; leave out `#[procedure]`",
            );
        } else if attr.is_some() && !args.is_unclear {
            errors.at(
                attr,
                format_args!(
                    "a procedure needs its program; write `{RPC}` in the `#[server(...)]`"
                ),
            );
        }
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
    let procedures: Vec<_> = methods.map(|method| numbered(method, errors)).collect();
    check_numbers_once(&procedures, errors);
    Some(ByHand {
        word,
        program,
        version,
        procedures,
    })
}

fn numbered<'a>(method: &'a Method, errors: &mut Errors) -> Numbered<'a> {
    let mut numbers = Vec::new();
    let mut attrs = method.attrs.iter().filter(|attr| is_procedure(attr));
    if let Some(attr) = attrs.next() {
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
    for second in attrs {
        errors.at(
            second,
            "a method has one `#[procedure(...)]`; write all its numbers into one",
        );
    }
    let wanted = format!("fn {}(&mut self, argument: i32) -> i32", method.sig.ident);
    check_can_be_called(&method.sig, &wanted, errors);
    if method.sig.receiver().is_none() {
        errors.at(
            &method.sig.ident,
            format_args!("a procedure is a method of its handler; write `{wanted}`"),
        );
    }
    let typed = method.sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(&*typed.ty),
        FnArg::Receiver(_) => None,
    });
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
    let mut seen = Vec::new();
    for procedure in procedures {
        let may_be_missing = procedure.method.cfgs().next().is_some();
        for number in &procedure.numbers {
            let is_taken =
                |(other, missing): &(&u32, bool)| *other == number && !(*missing && may_be_missing);
            if seen.iter().any(is_taken) {
                let attr = procedure
                    .method
                    .attrs
                    .iter()
                    .find(|attr| is_procedure(attr));
                errors.at(
                    attr,
                    format_args!("procedure {number} is another method already; keep one"),
                );
            }
            seen.push((number, may_be_missing));
        }
    }
}
