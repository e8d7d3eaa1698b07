//! Values, checked down to the literal. What is no literal is left to the compiler.

use std::time::Duration;

use proc_macro2::{Ident, Span};
use syn::spanned::Spanned;
use syn::{Expr, Lit, LitInt, Type, UnOp};

use super::texts;
use crate::address::Family;
use crate::args::{Given, Setting, Written};
use crate::errors::Errors;
use crate::options::{Kind, Rule, Transport, Width, Zero};
use crate::{address, units};

/// One call on `Options`.
pub(crate) struct Setter<'a> {
    pub(crate) word: &'a Ident,
    pub(crate) value: Value<'a>,
}

/// What is handed to it.
pub(crate) enum Value<'a> {
    Expr(&'a Expr),
    /// An expression of this type, said aloud: an expression of literals has none of its own.
    Typed(&'a Expr, Width),
    Number(u64, Width, Span),
    Duration(Duration, Span),
    Flag(bool, Span),
    /// The word `none`.
    Nothing(Span),
    /// A variant of the runtime's type of that name.
    Variant(&'static str, &'static str, Span),
    Text(String, Span),
    /// Bytes whose number is no part of their type.
    Slice(&'a Expr),
    List(Vec<&'a Expr>, Span),
    /// What the type's `Default` makes.
    Default(&'a Type),
}

/// Reads the value; a wrong one is reported and the option left out.
pub(super) fn setter<'a>(option: &'a Given<Setting>, errors: &mut Errors) -> Option<Setter<'a>> {
    let setter = written(option, errors)?;
    check_feature(option.value.rule, setter.word, errors).then_some(setter)
}

fn written<'a>(option: &'a Given<Setting>, errors: &mut Errors) -> Option<Setter<'a>> {
    let Given {
        word,
        value: Setting { rule, value },
    } = option;
    let expr = match value {
        Some(Written::Expr(expr)) => Some(expr),
        Some(Written::Type(ty)) => {
            return Some(Setter {
                word,
                value: Value::Default(ty),
            });
        }
        None => None,
    };
    let Some(expr) = expr else {
        if rule.kind == Kind::Flag {
            return Some(Setter {
                word,
                value: Value::Flag(true, word.span()),
            });
        }
        errors.at(
            word,
            format_args!("`{word}` needs a value; write `{word} = {}`", rule.example),
        );
        return None;
    };
    if matches!(rule.kind, Kind::Networks | Kind::Endpoints) && !is_none(expr) {
        return texts::list(rule, expr, errors).map(|value| Setter { word, value });
    }
    match read(rule, expr) {
        Ok(value) => Some(Setter { word, value }),
        Err(message) => {
            errors.at(expr, message);
            None
        }
    }
}

/// The runtime lacks the call while its feature is off.
fn check_feature(rule: &Rule, word: &Ident, errors: &mut Errors) -> bool {
    let Some(feature) = rule.missing_feature() else {
        return true;
    };
    let dependency = format!("sockserv = {{ version = \"...\", features = [\"{feature}\"] }}");
    errors.at(
        word,
        format_args!(
            "option `{word}` needs the feature `{feature}`; write `{dependency}` in Cargo.toml"
        ),
    );
    false
}

pub(super) fn read<'a>(rule: &Rule, expr: &'a Expr) -> Result<Value<'a>, String> {
    let Rule { name, example, .. } = rule;
    if let Expr::Unary(unary) = ungroup(expr)
        && matches!(unary.op, UnOp::Neg(_))
        && literal(&unary.expr).is_some()
    {
        return Err(format!(
            "`{name}` cannot be negative; write `{name} = {example}`"
        ));
    }
    if is_none(expr) {
        return none(rule, expr);
    }
    let Some(literal) = literal(expr) else {
        if let Kind::Choice(name, choices) = rule.kind {
            if let (Some(variant), "ending") = (texts::any(choices, expr), rule.name) {
                return Ok(Value::Variant(name, variant, expr.span()));
            }
            texts::check_quotes(rule, choices, expr)?;
        }
        return Ok(width(rule.kind).map_or(Value::Expr(expr), |width| Value::Typed(expr, width)));
    };
    match rule.kind {
        Kind::Number(_, min, max) => number(rule, literal, min, max),
        Kind::Size(min) => size(rule, literal, min),
        Kind::Duration(zero) | Kind::Timeout(zero) => duration(rule, literal, zero),
        Kind::Flag => flag(rule, literal),
        Kind::Mode => mode(literal),
        Kind::Rate => rate(rule, literal),
        Kind::Choice(name, choices) => texts::choice(rule, name, choices, literal),
        Kind::Bytes => texts::bytes(rule, expr, literal),
        Kind::Account => texts::account(rule, expr, literal),
        Kind::Networks | Kind::Endpoints | Kind::Type => Ok(Value::Expr(expr)), // Read before.
    }
}

/// Returns the integer that the runtime takes, if it takes one.
fn width(kind: Kind) -> Option<Width> {
    match kind {
        Kind::Number(width, ..) => Some(width),
        Kind::Mode => Some(Width::U32),
        Kind::Rate => Some(Width::U64),
        Kind::Size(_) => Some(Width::Usize),
        _ => None,
    }
}

fn none<'a>(rule: &Rule, expr: &Expr) -> Result<Value<'a>, String> {
    let Rule { name, example, .. } = rule;
    match rule.kind {
        Kind::Timeout(_) => Ok(Value::Nothing(expr.span())),
        Kind::Flag => Err(format!("`{name}` is a flag; write `{name} = false`")),
        _ => Err(format!(
            "`{name}` has no `none`; leave it out or write `{name} = {example}`"
        )),
    }
}

fn number<'a>(rule: &Rule, literal: &Lit, min: u64, max: u64) -> Result<Value<'a>, String> {
    let Rule { name, example, .. } = rule;
    let Lit::Int(int) = literal else {
        return Err(format!(
            "`{name}` is a whole number; write `{name} = {example}`"
        ));
    };
    match int.base10_parse::<u64>() {
        Ok(value) if value < min => Err(format!(
            "`{name}` has to be at least {min}; write `{name} = {example}`"
        )),
        Ok(value) if value <= max => Ok(number_of(rule, value, literal)),
        _ => Err(format!(
            "`{name}` is at most {max}; write `{name} = {example}`"
        )),
    }
}

fn number_of<'a>(rule: &Rule, number: u64, literal: &Lit) -> Value<'a> {
    Value::Number(
        number,
        width(rule.kind).unwrap_or(Width::Usize),
        literal.span(),
    )
}

fn size<'a>(rule: &Rule, literal: &Lit, min: u64) -> Result<Value<'a>, String> {
    let Rule { name, example, .. } = rule;
    let bytes = match literal {
        Lit::Int(int) => int.base10_parse::<u64>().ok(),
        Lit::Str(text) => units::size(&text.value()),
        _ => None,
    };
    match bytes {
        Some(bytes) if bytes < min => Err(format!(
            "`{name}` has to be at least {min}; write `{name} = {example}`"
        )),
        Some(bytes) => Ok(number_of(rule, bytes, literal)),
        None => Err(format!(
            "no size; write `{name} = {example}`, with `B`, `KiB`, `MiB` or `GiB`"
        )),
    }
}

fn rate<'a>(rule: &Rule, literal: &Lit) -> Result<Value<'a>, String> {
    let Rule { name, example, .. } = rule;
    let bytes = match literal {
        Lit::Int(int) => int.base10_parse::<u64>().ok(),
        Lit::Str(text) => units::rate(&text.value()),
        _ => None,
    };
    match bytes {
        Some(0) => Err(format!(
            "no bytes at all are no rate; write `{name} = {example}`, or leave it out"
        )),
        Some(bytes) => Ok(number_of(rule, bytes, literal)),
        None => Err(format!(
            "no rate; write `{name} = {example}`: bytes a second, with `B`, `KiB`, `MiB` or `GiB`"
        )),
    }
}

fn duration<'a>(rule: &Rule, literal: &Lit, zero: Zero) -> Result<Value<'a>, String> {
    let Rule { name, example, .. } = rule;
    let time = match literal {
        Lit::Str(text) => units::duration(&text.value()),
        _ => None,
    };
    match time {
        Some(Duration::ZERO) if zero == Zero::CannotWork => {
            let without = match rule.kind {
                Kind::Timeout(_) => format!(", or `{name} = none`"),
                _ => String::new(),
            };
            Err(format!(
                "no time at all cannot work; write `{name} = {example}`{without}"
            ))
        }
        Some(time) => Ok(Value::Duration(time, literal.span())),
        None => {
            let seconds = match literal {
                Lit::Int(int) if int.suffix().is_empty() => Some(format!("\"{int}s\"")),
                _ => None,
            };
            Err(format!(
                "no duration; write `{name} = {}`, with `ms`, `s`, `min` or `h`",
                seconds.as_deref().unwrap_or(example)
            ))
        }
    }
}

fn flag<'a>(rule: &Rule, literal: &Lit) -> Result<Value<'a>, String> {
    match literal {
        Lit::Bool(flag) => Ok(Value::Flag(flag.value, flag.span())),
        _ => Err(format!(
            "`{0}` is a flag; write `{0} = true` or `{0} = false`",
            rule.name
        )),
    }
}

/// Decimal digits would be misread: `660` is `0o1224`.
fn mode<'a>(literal: &Lit) -> Result<Value<'a>, String> {
    let octal = |int: &&LitInt| int.to_string().starts_with("0o");
    let int = match literal {
        Lit::Int(int) => Some(int).filter(octal),
        _ => None,
    };
    let Some(int) = int else {
        return Err("a mode is octal; write `mode = 0o660`".to_owned());
    };
    match int.base10_parse::<u64>() {
        Ok(mode @ ..=0o777) => Ok(Value::Number(mode, Width::U32, int.span())),
        _ => Err("a mode is at most `0o777`; write `mode = 0o660`".to_owned()),
    }
}

/// Returns the addresses of a list, or the one that is no list.
pub(super) fn elements(expr: &Expr) -> Vec<&Expr> {
    match ungroup(expr) {
        Expr::Array(array) => array.elems.iter().collect(),
        Expr::Reference(reference) if matches!(ungroup(&reference.expr), Expr::Array(_)) => {
            elements(&reference.expr)
        }
        one => vec![one],
    }
}

/// Judges an address literal for these transports.
pub(super) fn address(expr: &Expr, transports: &[Transport]) -> Result<(), String> {
    let text = match literal(expr) {
        Some(Lit::Str(text)) => text.value(),
        Some(_) => return Err("an address is text; write `addr = \"127.0.0.1:7007\"`".to_owned()),
        None => return Ok(()),
    };
    let family = address::read(&text)?;
    if transports.iter().any(|transport| family.fits(*transport)) {
        return Ok(());
    }
    let words: Vec<_> = transports
        .iter()
        .map(|transport| format!("`{}`", transport.word()))
        .collect();
    let example = if transports.iter().all(|transport| transport.is_unix()) {
        "unix:/run/name.sock"
    } else {
        "127.0.0.1:7007"
    };
    Err(format!(
        "`{text}` is no address of {}; write one as in `{example}`",
        words.join(" or ")
    ))
}

/// Returns what a good address literal can belong to.
pub(super) fn family(expr: &Expr) -> Option<Family> {
    match literal(expr)? {
        Lit::Str(text) => address::read(&text.value()).ok(),
        _ => None,
    }
}

pub(super) fn literal(expr: &Expr) -> Option<&Lit> {
    match ungroup(expr) {
        Expr::Lit(literal) => Some(&literal.lit),
        _ => None,
    }
}

fn is_none(expr: &Expr) -> bool {
    matches!(ungroup(expr), Expr::Path(path) if path.path.is_ident("none"))
}

/// Takes off parentheses and the invisible groups of `macro_rules!`.
pub(super) fn ungroup(mut expr: &Expr) -> &Expr {
    loop {
        expr = match expr {
            Expr::Group(group) => &group.expr,
            Expr::Paren(paren) => &paren.expr,
            _ => return expr,
        };
    }
}
