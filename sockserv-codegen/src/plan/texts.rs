//! Options whose values are words, names, text or networks.

use std::net::SocketAddr;

use syn::spanned::Spanned;
use syn::{Expr, Lit};

use super::values::{Value, elements, literal, ungroup};
use crate::errors::Errors;
use crate::options::{Kind, Rule, Transport};
use crate::{address, network};

type Choices = &'static [(&'static str, &'static str)];

/// Reads one of the words that the option knows.
pub(super) fn choice<'a>(
    rule: &Rule,
    name: &'static str,
    choices: Choices,
    literal: &Lit,
) -> Result<Value<'a>, String> {
    let chosen = match literal {
        Lit::Str(text) => {
            let text = text.value();
            choices.iter().find(|(word, _)| *word == text)
        }
        _ => None,
    };
    match chosen {
        Some((_, variant)) => Ok(Value::Variant(name, variant, literal.span())),
        None => {
            let words = choices
                .iter()
                .map(|(word, _)| format!("`{} = \"{}\"`", rule.name, word.escape_default()));
            Err(format!(
                "no choice of `{}`; write {}",
                rule.name,
                words.collect::<Vec<_>>().join(" or ")
            ))
        }
    }
}

/// Finds the choice that is the bare word `any`.
pub(super) fn any(choices: Choices, expr: &Expr) -> Option<&'static str> {
    let is_any = matches!(ungroup(expr), Expr::Path(path) if path.path.is_ident("any"));
    let any = choices.iter().find(|(word, _)| is_any && *word == "any");
    any.map(|(_, variant)| *variant)
}

/// A word of ours without its quotes would be a variable that nobody finds.
pub(super) fn check_quotes(rule: &Rule, choices: Choices, expr: &Expr) -> Result<(), String> {
    let Expr::Path(path) = ungroup(expr) else {
        return Ok(());
    };
    let bare = choices.iter().find(|(word, _)| path.path.is_ident(word));
    bare.map_or(Ok(()), |(word, _)| {
        Err(format!(
            "a choice stands in quotes; write `{} = \"{word}\"`",
            rule.name
        ))
    })
}

/// Reads text or bytes.
pub(super) fn bytes<'a>(rule: &Rule, expr: &'a Expr, literal: &Lit) -> Result<Value<'a>, String> {
    let Rule { name, example, .. } = rule;
    let (value, is_empty) = match literal {
        Lit::Str(text) => (Value::Expr(expr), text.value().is_empty()),
        Lit::ByteStr(bytes) => (Value::Slice(expr), bytes.value().is_empty()),
        _ => {
            return Err(format!(
                "`{name}` is text or bytes; write `{name} = {example}`"
            ));
        }
    };
    if is_empty {
        return Err(format!(
            "`{name}` says nothing; write `{name} = {example}`, or leave it out"
        ));
    }
    Ok(value)
}

/// The number behind it means "leave it as it is" to chown(2).
const LAST_ACCOUNT: u32 = u32::MAX - 1;

/// Reads a user or a group, by name or by number.
pub(super) fn account<'a>(rule: &Rule, expr: &'a Expr, literal: &Lit) -> Result<Value<'a>, String> {
    let Rule { name, example, .. } = rule;
    match literal {
        Lit::Str(text) if text.value().is_empty() => {
            Err(format!("the {name} is empty; write `{name} = {example}`"))
        }
        Lit::Str(_) => Ok(Value::Expr(expr)),
        Lit::Int(int) => match int.base10_parse::<u32>() {
            Ok(..=LAST_ACCOUNT) => Ok(Value::Text(int.base10_digits().to_owned(), int.span())),
            _ => Err(format!(
                "`{name}` is at most {LAST_ACCOUNT}; write `{name} = {example}`"
            )),
        },
        _ => Err(format!(
            "`{name}` is a name or a number; write `{name} = {example}`"
        )),
    }
}

/// Reads a network, an endpoint, or a list of such; each that is wrong is reported for itself and left out.
pub(super) fn list<'a>(rule: &Rule, expr: &'a Expr, errors: &mut Errors) -> Option<Value<'a>> {
    let Rule { name, example, .. } = rule;
    let all = elements(expr);
    if all.is_empty() {
        errors.at(
            expr,
            format_args!("the list is empty; write `{name} = {example}`, or leave it out"),
        );
    }
    if let [one] = all.as_slice()
        && literal(one).is_none()
        && !matches!(ungroup(expr), Expr::Array(_))
    {
        return Some(Value::Expr(expr)); // A list that stands elsewhere.
    }
    let judge = |text: &str| match rule.kind {
        Kind::Endpoints => endpoint(rule, text),
        _ => network::read(text).map(drop),
    };
    let what = match rule.kind {
        Kind::Endpoints => "an address",
        _ => "a network",
    };
    let mut good = |one: &&Expr| {
        let judged = match literal(one) {
            Some(Lit::Str(text)) => judge(&text.value()),
            Some(_) => Err(format!("{what} is text; write `{name} = {example}`")),
            None => Ok(()),
        };
        judged.map_err(|message| errors.at(*one, message)).is_ok()
    };
    let kept: Vec<_> = all.into_iter().filter(|one| good(one)).collect();
    (!kept.is_empty()).then_some(Value::List(kept, expr.span()))
}

/// Judges an address where the operator's endpoint may listen.
fn endpoint(rule: &Rule, text: &str) -> Result<(), String> {
    let Rule { name, example, .. } = rule;
    let family = address::read(text)?;
    if !family.fits(Transport::Tcp) && !family.fits(Transport::Unix) {
        return Err(format!(
            "`{text}` carries no HTTP; write `{name} = {example}`"
        ));
    }
    let at = text.strip_prefix("tcp://").unwrap_or(text);
    let at = at.parse::<SocketAddr>();
    let is_reached = at.is_ok_and(|at| !at.ip().to_canonical().is_loopback());
    if *name == "admin" && is_reached {
        return Err(format!(
            "`{text}` can be reached from elsewhere, and `admin` answers everybody; \
             write `{name} = {example}`, or `admin_public` in place of `admin`"
        ));
    }
    Ok(())
}
