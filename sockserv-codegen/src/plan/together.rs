//! What options say about each other, and about the transport.

use syn::{Expr, Lit};

use super::Source;
use super::values::{elements, literal};
use crate::args::{Given, Setting, Written};
use crate::errors::Errors;
use crate::options::{Kind, REUSE_PORT};

/// The index of these rules. An option that does not fit has been reported, and is as if it were not there.
pub(super) fn check(
    options: &[Given<Setting>],
    model_options: &[Given<Setting>],
    source: &Source<'_>,
    errors: &mut Errors,
) {
    let fits = |option: &&Given<Setting>| option.value.rule.fits & source.columns() != 0;
    let options: Vec<_> = options.iter().filter(fits).collect();
    check_banner_is_said(&options, errors);
    check_allowed_is_not_denied(&options, errors);
    check_reuse_port_has_a_port(model_options, source, errors);
}

/// What refuses a client to whom something could be said.
const REFUSING: [&str; 3] = ["on_full", "max_connections_per_peer", "accept_rate"];

fn check_banner_is_said(options: &[&Given<Setting>], errors: &mut Errors) {
    let refuses = |option: &&Given<Setting>| {
        let waits = text(option).is_some_and(|text| text == "wait");
        REFUSING.iter().any(|name| option.word == name) && !waits
    };
    if options.iter().any(refuses) {
        return;
    }
    for banner in options.iter().filter(|option| option.word == "banner") {
        errors.at(
            &banner.word,
            "`banner` is said to those who are refused, and nothing refuses; \
             write `on_full = \"refuse\"`, `max_connections_per_peer` or `accept_rate` beside it",
        );
    }
}

/// Of two networks that hold a peer the smaller decides; of two that are the same none can.
fn check_allowed_is_not_denied(options: &[&Given<Setting>], errors: &mut Errors) {
    let allowed: Vec<_> = networks(options, "allow").collect();
    for (denied, text) in networks(options, "deny") {
        if allowed.iter().any(|(_, allowed)| *allowed == text) {
            errors.at(
                denied,
                format_args!("`{text}` is allowed and denied; keep one"),
            );
        }
    }
}

fn networks<'a>(
    options: &[&'a Given<Setting>],
    name: &str,
) -> impl Iterator<Item = (&'a Expr, String)> {
    let options = options.iter().filter(move |option| option.word == name);
    let lists = options.filter_map(|option| expr(option)).flat_map(elements);
    lists.filter_map(|one| match literal(one) {
        Some(Lit::Str(text)) => Some((one, text.value())),
        _ => None,
    })
}

/// A Unix socket has a path, and the kernel spreads nobody over several.
fn check_reuse_port_has_a_port(
    model_options: &[Given<Setting>],
    source: &Source<'_>,
    errors: &mut Errors,
) {
    let has_port = source.transports().iter().any(|one| !one.is_unix());
    for option in model_options {
        let is_choice = matches!(option.value.rule.kind, Kind::Choice(..));
        if is_choice && !has_port && text(option).is_some_and(|text| text == REUSE_PORT) {
            let (word, words) = (&option.word, source.words());
            errors.at(
                expr(option),
                format_args!(
                    "`{REUSE_PORT}` spreads the clients of a port, which {words} does not have; write `{word} = \"shared\"`"
                ),
            );
        }
    }
}

fn expr(option: &Given<Setting>) -> Option<&Expr> {
    match &option.value.value {
        Some(Written::Expr(expr)) => Some(expr),
        _ => None,
    }
}

/// Returns the value if it is text.
fn text(option: &Given<Setting>) -> Option<String> {
    match expr(option).and_then(literal) {
        Some(Lit::Str(text)) => Some(text.value()),
        _ => None,
    }
}
