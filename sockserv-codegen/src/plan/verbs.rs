//! What `#[command]`, `#[opcode]` and `#[procedure]` have in common: attributes that say what a method is called by.

use syn::{Attribute, FnArg, PatType, Type};

use super::methods::{check_can_be_called, check_error_can_be_sent};
use crate::errors::Errors;
use crate::handler::{Handler, Method, last_word, ungroup};

/// Finds the methods that have the attribute.
pub(super) fn methods<'a>(handler: &'a Handler, name: &str) -> Vec<&'a Method> {
    let methods = handler.methods().iter();
    methods
        .filter(|method| attr(method, name).is_some())
        .collect()
}

/// Returns a method's first attribute of that name.
pub(super) fn attr<'a>(method: &'a Method, name: &str) -> Option<&'a Attribute> {
    let mut attrs = method.attrs.iter();
    attrs.find(|attr| attr.path().is_ident(name))
}

/// A second attribute on one method is one too many.
pub(super) fn check_one(method: &Method, name: &str, message: &str, errors: &mut Errors) {
    let attrs = method.attrs.iter();
    for second in attrs.filter(|attr| attr.path().is_ident(name)).skip(1) {
        errors.at(second, message);
    }
}

/// The runtime calls it as a method.
pub(super) fn check_is_a_method(method: &Method, sort: &str, wanted: &str, errors: &mut Errors) {
    check_can_be_called(&method.sig, wanted, errors);
    if method.sig.receiver().is_none() {
        errors.at(
            &method.sig.ident,
            format_args!("{sort} a method of its handler; write `{wanted}`"),
        );
    }
    check_error_can_be_sent(&method.sig, "", errors);
}

/// Notes what a method is called by; returns whether another one is, unless `#[cfg]` chooses between the two.
pub(super) fn is_taken<'a, K: PartialEq>(
    called: &mut Vec<(K, &'a Method)>,
    key: K,
    method: &'a Method,
) -> bool {
    let is_it =
        |(other, one): &(K, &Method)| *other == key && (one.is_there() || method.is_there());
    let is_taken = called.iter().any(is_it);
    called.push((key, method));
    is_taken
}

/// Returns the parameters behind `self`.
pub(super) fn parameters(method: &Method) -> impl Iterator<Item = &PatType> {
    method.sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    })
}

/// Tells whether a type is `[u8]`.
pub(super) fn is_bytes(ty: &Type) -> bool {
    match ungroup(ty) {
        Type::Slice(slice) => last_word(&slice.elem).is_some_and(|word| word == "u8"),
        _ => false,
    }
}
