//! The methods that the server calls: found by name, judged by their signature, never rewritten.

use syn::{
    FnArg, GenericArgument, GenericParam, PathArguments, ReceiverKind, ReturnType, Safety,
    Signature, Type, TypeParamBound,
};

use super::Source;
use super::hooks::{HookForward, check_hook, check_near_hook};
use super::rpc::Rpc;
use crate::args::Args;
use crate::errors::Errors;
use crate::handler::{Form, Handler, Method, ends_with, last_segment, last_word, ungroup};
use crate::hooks::{Hook, LIFE};
use crate::words;

/// What a handler is handed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Stream,
    Datagram,
    /// Whatever comes: `R: Request`.
    Both,
}

impl Kind {
    /// Returns the runtime's word for a listener that hands these out.
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::Stream => "Streams",
            Self::Datagram => "Datagrams",
            Self::Both => "Both",
        }
    }
}

/// Calls from the traits to the user's methods.
pub(crate) struct Forwards<'a> {
    pub(crate) life: Vec<Forward<'a>>,
    /// There is none: something else takes its place, or it has been reported.
    pub(crate) handle_is_missing: bool,
    pub(crate) hooks: Vec<HookForward<'a>>,
}

impl Forwards<'_> {
    /// The user writes the other methods by hand.
    fn without_handle() -> Self {
        Self {
            life: Vec::new(),
            handle_is_missing: true,
            hooks: Vec::new(),
        }
    }
}

/// `setup`, `handle` or `finish`.
pub(crate) struct Forward<'a> {
    pub(crate) method: &'a Method,
    /// A mistake was reported: forward to nothing, so that no second error follows.
    pub(crate) broken: bool,
}

/// Finds and judges all of them; nothing if the user implements the traits by hand.
pub(super) fn forwards<'a>(
    args: &Args,
    handler: &'a Handler,
    source: &Source<'_>,
    rpc: Option<&Rpc<'_>>,
    errors: &mut Errors,
) -> Option<Forwards<'a>> {
    let reader = reader(args);
    let Form::Impl(methods) = &handler.form else {
        return args.is_rpc.then(Forwards::without_handle);
    };
    let kind = source.kind();
    let handle_is_missing = if let Some((word, calls)) = &reader {
        check_there_is_no_handle(handler, word, calls, errors);
        true
    } else {
        check_handle_is_there(handler, methods, kind, errors)
    };
    let mut life: Vec<Forward<'_>> = Vec::new();
    for method in methods
        .iter()
        .filter(|method| LIFE.iter().any(|name| method.sig.ident == name))
        .filter(|method| reader.is_none() || method.sig.ident != "handle")
    {
        let before = errors.len();
        if method.is_there() {
            check_life(&method.sig, source, errors);
        }
        if forwards_once(&life, method) {
            life.push(Forward {
                method,
                broken: errors.len() > before,
            });
        }
    }
    let mut hooks = Vec::new();
    for method in methods {
        if let Some(hook) = Hook::ALL
            .into_iter()
            .find(|hook| method.sig.ident == hook.name())
        {
            let before = errors.len();
            if method.is_there() {
                check_hook(hook, &method.sig, errors);
            }
            hooks.extend((errors.len() == before).then_some(HookForward { hook, method }));
        } else if !rpc.is_some_and(|rpc| rpc.has(method)) && !method.is_verb() && method.is_there()
        {
            check_near_hook(handler, &method.sig, kind, errors);
        }
    }
    Some(Forwards {
        life,
        handle_is_missing,
        hooks,
    })
}

/// Returns the word that takes the place of `handle`, and what is called instead.
fn reader(args: &Args) -> Option<(String, &'static str)> {
    if args.is_rpc {
        return Some(("rpc".to_owned(), "calls the procedures"));
    }
    let framing = args.framings.first()?;
    Some((framing.word.to_string(), "hands out its messages"))
}

/// The runtime reads.
fn check_there_is_no_handle(handler: &Handler, word: &str, calls: &str, errors: &mut Errors) {
    if let Some(handle) = handler.named("handle").next() {
        errors.at(
            &handle.sig.ident,
            format_args!("`{word}` reads the requests and {calls}; leave out `handle`"),
        );
    }
}

/// A second one of the same name is the compiler's to report, unless `#[cfg]` chooses between them.
fn forwards_once(life: &[Forward<'_>], method: &Method) -> bool {
    let second = life
        .iter()
        .any(|forward| forward.method.sig.ident == method.sig.ident);
    !second || !method.is_there()
}

/// Returns what the handler's `handle` takes, if that can be seen.
pub(super) fn kind_of_handler(handler: &Handler) -> Option<Kind> {
    handler
        .named("handle")
        .find_map(|method| parameter(&method.sig).and_then(|ty| kind_of(&method.sig, ty)))
}

/// Returns the exact signature for what the transport hands out.
pub(super) fn signature(name: &str, kind: Kind) -> String {
    match kind {
        Kind::Stream => format!("fn {name}(&mut self, stream: &mut Stream) -> io::Result<()>"),
        Kind::Datagram => {
            format!("fn {name}(&mut self, datagram: &mut Datagram) -> io::Result<()>")
        }
        Kind::Both => {
            format!("fn {name}<R: Request>(&mut self, request: &mut R) -> io::Result<()>")
        }
    }
}

/// The one method that is required; a near miss is pointed at.
fn check_handle_is_there(
    handler: &Handler,
    methods: &[Method],
    kind: Kind,
    errors: &mut Errors,
) -> bool {
    if handler.named("handle").next().is_some() {
        return false;
    }
    let signature = signature("handle", kind);
    if methods.iter().any(Method::is_verb) {
        return true; // What they need has been said.
    }
    let is_message = |method: &&Method| method.sig.ident == "message";
    if let Some(message) = methods.iter().find(is_message) {
        errors.at(
            &message.sig.ident,
            "`message` needs to know where one ends; write a framing in the attribute, as `lines`",
        );
    } else if let Some(near) = methods.iter().find(|method| is_near_handle(&method.sig)) {
        let name = &near.sig.ident;
        errors.at(
            name,
            format_args!("`{name}` is not called by the server; did you mean `{signature}`?"),
        );
    } else {
        errors.at(
            &handler.ty,
            format_args!("`handle` is missing; write `{signature}`"),
        );
    }
    true
}

/// A name almost right, or a method that takes what `handle` would take.
fn is_near_handle(sig: &Signature) -> bool {
    let name = sig.ident.to_string();
    let taken =
        LIFE.iter().any(|life| name == *life) || Hook::ALL.iter().any(|hook| name == hook.name());
    let named = words::distance(&name, "handle") <= 2;
    let served =
        sig.receiver().is_some() && parameter(sig).is_some_and(|ty| kind_of(sig, ty).is_some());
    !taken && (named || served)
}

/// `setup`, `handle` and `finish` are called alike.
fn check_life(sig: &Signature, source: &Source<'_>, errors: &mut Errors) {
    let wanted = signature(&sig.ident.to_string(), source.kind());
    check_can_be_called(sig, &wanted, errors);
    check_error_can_be_sent(sig, OR_OUTCOME, errors);
    if sig.receiver().is_none() || sig.inputs.len() != 2 {
        errors.at(
            &sig.ident,
            format_args!("`{}` has another signature; write `{wanted}`", sig.ident),
        );
        return;
    }
    if let Some(ty) = parameter(sig) {
        check_parameter(sig, ty, source, &wanted, errors);
    }
}

/// The runtime calls from plain, blocking, safe code, and keeps the handler.
pub(super) fn check_can_be_called(sig: &Signature, wanted: &str, errors: &mut Errors) {
    let name = &sig.ident;
    if let Some(token) = &sig.asyncness {
        errors.at(
            token,
            format_args!("`{name}` is plain blocking code; leave out `async`"),
        );
    }
    if let Safety::Unsafe(token) = &sig.safety {
        errors.at(
            token,
            format_args!("`{name}` is called by safe code; leave out `unsafe`"),
        );
    }
    if let Some(receiver) = sig.receiver()
        && matches!(receiver.kind, ReceiverKind::Value)
    {
        errors.at(
            receiver,
            format_args!("`{name}` borrows its handler; write `{wanted}`"),
        );
    }
}

fn check_parameter(
    sig: &Signature,
    ty: &Type,
    source: &Source<'_>,
    wanted: &str,
    errors: &mut Errors,
) {
    let (name, words) = (&sig.ident, source.words());
    let Type::Reference(reference) = ungroup(ty) else {
        if pointee(sig, ty).is_some() {
            errors.at(
                ty,
                format_args!("`{name}` borrows its request; write `{wanted}`"),
            );
        }
        return;
    };
    let is_object = matches!(ungroup(&reference.elem), Type::TraitObject(_));
    if is_object || last_word(&reference.elem).is_some_and(|word| word == "Replies") {
        errors.at(
            ty,
            format_args!("`{name}` is given the request itself; write `{wanted}`"),
        );
    }
    match (source.kind(), kind_of(sig, ty)) {
        (Kind::Both, Some(Kind::Stream | Kind::Datagram)) => {
            errors.at(
                ty,
                format_args!("{words} hand out both kinds of request; write `{wanted}`"),
            );
        }
        (Kind::Stream, Some(Kind::Datagram)) => {
            errors.at(
                ty,
                format_args!("{words} hands out a `Stream`, not a `Datagram`; write `&mut Stream`"),
            );
        }
        (Kind::Datagram, Some(Kind::Stream)) => {
            errors.at(
                ty,
                format_args!(
                    "{words} hands out a `Datagram`, not a `Stream`; write `&mut Datagram`"
                ),
            );
        }
        _ => {} // An alias perhaps: the compiler knows.
    }
}

/// What is shorter than the error's whole type, where a method's result is converted.
pub(super) const OR_OUTCOME: &str = ", or `-> Outcome`";

/// Whatever returns it, an error may be reported elsewhere.
pub(super) fn check_error_can_be_sent(sig: &Signature, shorter: &str, errors: &mut Errors) {
    if let ReturnType::Type(_, ty) = &sig.output
        && let Some(error) = unsendable_error(ty)
    {
        errors.at(
            error,
            format_args!(
                "this error cannot leave its thread; write `Box<dyn Error + Send + Sync>`{shorter}"
            ),
        );
    }
}

/// Finds the `Box<dyn Error>` in `Result<(), Box<dyn Error>>`.
fn unsendable_error(ty: &Type) -> Option<&Type> {
    let error = last_argument(ty, "Result")?;
    let Type::TraitObject(object) = ungroup(last_argument(error, "Box")?) else {
        return None;
    };
    let has = |word: &str| {
        object.bounds.iter().any(
            |bound| matches!(bound, TypeParamBound::Trait(bound) if ends_with(&bound.path, word)),
        )
    };
    (!(has("Send") && has("Sync"))).then_some(error)
}

/// Returns the last type between the angle brackets of `name<...>`.
fn last_argument<'a>(ty: &'a Type, name: &str) -> Option<&'a Type> {
    let segment = last_segment(ty).filter(|segment| segment.ident == name)?;
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
        return None;
    };
    arguments
        .args
        .iter()
        .rev()
        .find_map(|argument| match argument {
            GenericArgument::Type(ty) => Some(ty),
            _ => None,
        })
}

/// Returns the type of the one parameter behind `self`.
fn parameter(sig: &Signature) -> Option<&Type> {
    sig.inputs.iter().find_map(|input| match input {
        FnArg::Typed(typed) => Some(&*typed.ty),
        FnArg::Receiver(_) => None,
    })
}

/// Returns the kind behind a reference.
fn kind_of(sig: &Signature, ty: &Type) -> Option<Kind> {
    match ungroup(ty) {
        Type::Reference(reference) => pointee(sig, &reference.elem),
        _ => None,
    }
}

fn pointee(sig: &Signature, ty: &Type) -> Option<Kind> {
    if matches!(ungroup(ty), Type::ImplTrait(_)) {
        return Some(Kind::Both);
    }
    let word = last_word(ty)?;
    let is_parameter =
        |param: &GenericParam| matches!(param, GenericParam::Type(param) if param.ident == *word);
    if sig.generics.params.iter().any(is_parameter) {
        return Some(Kind::Both);
    }
    match word.to_string().as_str() {
        "Stream" => Some(Kind::Stream),
        "Datagram" => Some(Kind::Datagram),
        _ => None,
    }
}
