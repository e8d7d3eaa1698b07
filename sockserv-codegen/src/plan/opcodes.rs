//! `#[opcode(0x01)]`: the numbers of a method, and what its parameters take of a message.

use proc_macro2::Span;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Expr, Lit, Token, Type};

use super::messages::{WIDTHS, command_error, width};
use super::methods::Kind;
use super::values::{self, Value, literal};
use super::verbs::{self, attr, check_is_a_method, check_one, is_bytes, is_taken};
use crate::args::{Args, Given, OpcodeWord};
use crate::errors::Errors;
use crate::handler::{Handler, Method, last_word, ungroup};
use crate::options::{self, Owner, Rule};

/// The opcodes of a message handler.
pub(crate) struct Opcodes<'a> {
    pub(crate) opcodes: Vec<Opcode<'a>>,
    /// The runtime's word for how they are written.
    pub(crate) width: &'static str,
    /// How many bytes stand before them.
    pub(crate) at: Option<Value<'a>>,
    /// `command_error`; several if `#[cfg]` chooses between them.
    pub(crate) error: Vec<&'a Method>,
}

/// A method and what it is called by.
pub(crate) struct Opcode<'a> {
    pub(crate) method: &'a Method,
    pub(crate) numbers: Vec<Number>,
    pub(crate) parts: Vec<(Part, &'a Type)>,
    /// A mistake was reported: call nothing, so that no second error follows.
    pub(crate) is_broken: bool,
}

/// What calls a method.
pub(crate) enum Number {
    Literal(u64, Span),
    /// A constant.
    Expr(Box<Expr>),
}

/// What a parameter takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// What stands behind the opcode, and whether it is borrowed.
    Payload(bool),
    /// What stands before it, likewise.
    Head(bool),
    Stream,
    Replies,
}

/// Finds them; nothing if there are none.
pub(super) fn opcodes<'a>(
    args: &'a Args,
    handler: &'a Handler,
    kind: Kind,
    errors: &mut Errors,
) -> Option<Opcodes<'a>> {
    let methods = verbs::methods(handler, "opcode");
    let place = args.opcodes.first();
    let Some(first) = methods.first() else {
        for Given { word, .. } in &args.opcodes {
            errors.at(word, "`opcode` says where the number of a method stands, and there is none; write `#[opcode(0x01)]` on a method");
        }
        return None;
    };
    let attr = attr(first, "opcode");
    if args.framings.is_empty() && !args.is_unclear {
        errors.at(attr, "an opcode needs to know where a message ends; write a framing in the `#[server(...)]`, as `length_prefixed(u16_be)`");
    }
    if place.is_none() && !args.is_unclear {
        errors.at(
            attr,
            "an opcode needs to know how it is written; write `opcode(u8)` in the `#[server(...)]`",
        );
    }
    for message in handler.named("message") {
        errors.at(
            &message.sig.ident,
            "the opcodes take the messages; leave out `message`",
        );
    }
    let (width, limit, at) = place.map_or((WIDTHS[0].1, WIDTHS[0].3, None), |given| {
        self::place(given, errors)
    });
    let opcodes = methods.into_iter();
    let opcodes: Vec<_> = opcodes
        .map(|method| opcode(method, kind, limit, errors))
        .collect();
    check_numbers_once(&opcodes, errors);
    Some(Opcodes {
        opcodes,
        width,
        at,
        error: command_error(handler, errors),
    })
}

/// Reads `opcode(u8, at = 2)`.
fn place<'a>(
    given: &'a Given<OpcodeWord>,
    errors: &mut Errors,
) -> (&'static str, u64, Option<Value<'a>>) {
    const AT: Rule = Rule {
        name: "at",
        kind: options::Kind::Number(options::Width::Usize, 0, 65_535),
        fits: options::ANY,
        owner: Owner::Server,
        example: "2",
    };
    let Given { word, value } = given;
    let (_, variant, _, limit) = width(word, value.width.as_ref(), errors);
    let at = value
        .at
        .as_ref()
        .and_then(|at| match values::read(&AT, at) {
            Ok(value) => Some(value),
            Err(message) => {
                errors.at(at, message);
                None
            }
        });
    (variant, limit, at)
}

fn opcode<'a>(method: &'a Method, kind: Kind, limit: u64, errors: &mut Errors) -> Opcode<'a> {
    let begin = errors.len();
    let mut numbers = Vec::new();
    if let Some(attr) = attr(method, "opcode") {
        let list = attr.parse_args_with(Punctuated::<Expr, Token![,]>::parse_terminated);
        let list = list.unwrap_or_default();
        if list.is_empty() {
            errors.at(attr, "an opcode is a number; write `#[opcode(0x01)]`");
        }
        for expr in list {
            numbers.extend(number(expr, limit, errors));
        }
    }
    check_one(
        method,
        "opcode",
        "a method has one `#[opcode(...)]`; write all its numbers into one, as `#[opcode(0x01, 0x02)]`",
        errors,
    );
    let name = &method.sig.ident;
    let wanted = format!("fn {name}(&mut self, payload: Bytes) -> Bytes");
    check_is_a_method(method, "an opcode calls", &wanted, errors);
    let typed = verbs::parameters(method).map(|typed| &*typed.ty);
    let mut parts: Vec<(Part, &Type)> = Vec::new();
    for ty in typed {
        let count = parts
            .iter()
            .filter(|(part, _)| matches!(part, Part::Payload(_) | Part::Head(_)))
            .count();
        parts.push((part(ty, kind, count, errors), ty));
    }
    Opcode {
        method,
        numbers,
        parts,
        is_broken: errors.len() > begin,
    }
}

fn number(expr: Expr, limit: u64, errors: &mut Errors) -> Option<Number> {
    let value = match literal(&expr) {
        None if matches!(expr, Expr::Unary(_)) => None,
        None => return Some(Number::Expr(Box::new(expr))),
        Some(Lit::Byte(byte)) => Some(u64::from(byte.value())),
        Some(Lit::Int(int)) => int.base10_parse().ok(),
        Some(_) => None,
    };
    match value {
        Some(value) if value <= limit => Some(Number::Literal(value, expr.span())),
        Some(_) => {
            errors.at(
                &expr,
                format_args!("an opcode of this width is at most {limit:#x}; write a wider one in the `#[server(...)]`"),
            );
            None
        }
        None => {
            errors.at(&expr, "an opcode is a number; write `#[opcode(0x01)]`");
            None
        }
    }
}

/// Says what a parameter of this type takes, when so many before it take bytes.
fn part(ty: &Type, kind: Kind, before: usize, errors: &mut Errors) -> Part {
    let bytes = |borrowed| match before {
        0 => Part::Payload(borrowed),
        _ => Part::Head(borrowed),
    };
    let part = match ungroup(ty) {
        Type::Reference(reference) => {
            let word = last_word(&reference.elem).map(ToString::to_string);
            match (word.as_deref(), reference.mutability.is_some()) {
                (Some("Stream"), true) if kind == Kind::Stream => return Part::Stream,
                (Some("Replies"), true) => return Part::Replies,
                (None, false) if is_bytes(&reference.elem) => Some(bytes(true)),
                _ => None,
            }
        }
        ty if last_word(ty).is_some_and(|word| word == "Bytes") => Some(bytes(false)),
        _ => None,
    };
    part.filter(|_| before < 2).unwrap_or_else(|| {
        errors.at(ty, "a method of an opcode takes the payload as `Bytes` or `&[u8]`, then what stands before the opcode, then `&mut Replies` or (on streams) `&mut Stream`");
        Part::Replies
    })
}

fn check_numbers_once(opcodes: &[Opcode<'_>], errors: &mut Errors) {
    let mut called = Vec::new();
    for opcode in opcodes {
        for number in &opcode.numbers {
            let Number::Literal(number, span) = number else {
                continue;
            };
            if is_taken(&mut called, *number, opcode.method) {
                errors.at_span(
                    *span,
                    format_args!("the opcode {number:#04x} calls another method already; keep one"),
                );
            }
        }
    }
}
