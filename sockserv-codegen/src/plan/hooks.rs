//! The hooks: found by name like the other methods, called by the server between the requests.

use syn::{ReceiverKind, Signature};

use super::methods::{Kind, check_can_be_called, signature};
use crate::args::{Args, ModelWord};
use crate::errors::Errors;
use crate::handler::{Handler, Method};
use crate::hooks::Hook;
use crate::options::Model;
use crate::words;

/// A hook in the `impl` block.
pub(crate) struct HookForward<'a> {
    pub(crate) hook: Hook,
    pub(crate) method: &'a Method,
}

/// The runtime calls a hook with what it has, and on what it has.
pub(super) fn check_hook(hook: Hook, sig: &Signature, errors: &mut Errors) {
    let (name, wanted) = (hook.name(), hook.signature());
    check_can_be_called(sig, wanted, errors);
    let Some(receiver) = sig.receiver().filter(|_| hook.takes(sig.inputs.len() - 1)) else {
        errors.at(
            &sig.ident,
            format_args!("`{name}` has another signature; write `{wanted}`"),
        );
        return;
    };
    let exclusive = matches!(receiver.kind, ReceiverKind::Reference(_, _, Some(_)));
    if exclusive && !hook.may_change_its_handler() {
        errors.at(
            receiver,
            format_args!("`{name}` runs on the prototype that all requests share; write `&self`"),
        );
    }
}

/// Only workers start.
pub(super) fn check_worker_start(args: &Args, handler: &Handler, errors: &mut Errors) {
    let model = match args.models.first().map(|given| &given.value) {
        None if args.is_unclear => return, // Perhaps it was the model.
        None => Model::Sync,
        Some(ModelWord::Built { model, .. }) => *model,
        Some(ModelWord::Own(_) | ModelWord::Unbuilt) => return,
    };
    for method in handler.named(Hook::WorkerStart.name()) {
        if method.is_there() && !model.has_workers() {
            errors.at(
                &method.sig.ident,
                format_args!(
                    "`worker_start` never runs under `{}`; write `pool` or `prefork`, or give the method another name",
                    model.word()
                ),
            );
        }
    }
}

/// One letter away from a name that the server calls.
pub(super) fn check_near_hook(handler: &Handler, sig: &Signature, kind: Kind, errors: &mut Errors) {
    let name = sig.ident.to_string();
    let near =
        |known: &str| words::distance(&name, known) == 1 && handler.named(known).next().is_none();
    let hook = Hook::ALL
        .into_iter()
        .find(|hook| near(hook.name()))
        .map(|hook| hook.signature().to_owned());
    let life = ["setup", "finish"]
        .into_iter()
        .find(|known| near(known))
        .map(|known| signature(known, kind));
    if let Some(signature) = hook.or(life) {
        errors.at(
            &sig.ident,
            format_args!("`{name}` is no hook; did you mean `{signature}`?"),
        );
    }
}
