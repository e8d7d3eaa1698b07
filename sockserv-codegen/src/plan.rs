//! What the arguments and the handler are together. One rule, one function, one message; `Plan::new` is their index.

mod by_hand;
mod commands;
mod generics;
mod hooks;
mod messages;
mod methods;
mod opcodes;
mod rpc;
mod texts;
mod together;
mod values;
mod verbs;

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt;
use syn::{Expr, Generics, Path, Type, Visibility};

use crate::args::{Args, Given, ModelWord, Setting, UnsafeWord};
use crate::errors::Errors;
use crate::handler::{Form, Handler};
use crate::options::{Model, OWN_DATAGRAMS, OWN_STREAMS, Transport};

pub(crate) use by_hand::{ByHand, Numbered};
pub(crate) use commands::{Command, Commands, Parameter, Takes};
pub(crate) use hooks::HookForward;
pub(crate) use messages::{Codec, Messages};
pub(crate) use methods::{Forward, Forwards, Kind};
pub(crate) use opcodes::{Number, Opcode, Opcodes, Part};
pub(crate) use rpc::Rpc;
#[cfg(feature = "rpc")]
pub(crate) use rpc::{Procedures, module, unwritten};
pub(crate) use values::{Setter, Value};

/// Everything that the expansion needs, decided.
pub(crate) struct Plan<'a> {
    /// The runtime's path, if it is not `::sockserv`.
    pub(crate) krate: Option<&'a Path>,
    /// The handler's type, without `'_`.
    pub(crate) ty: Type,
    /// The generics of the user's item.
    pub(crate) generics: &'a Generics,
    /// The generics of the generated server.
    pub(crate) server_generics: Generics,
    pub(crate) source: Source<'a>,
    pub(crate) model: ChosenModel<'a>,
    pub(crate) promise: Option<&'a UnsafeWord>,
    pub(crate) addrs: Vec<&'a Expr>,
    /// Whether `bind` has somewhere to bind to.
    pub(crate) knows_where: bool,
    pub(crate) setters: Vec<Setter<'a>>,
    /// The methods to call; nothing if the user implements the traits.
    pub(crate) forwards: Option<Forwards<'a>>,
    /// The procedures to dispatch to, which take the place of `handle`.
    pub(crate) rpc: Option<Rpc<'a>>,
    /// The same without an interface file.
    pub(crate) by_hand: Option<ByHand<'a>>,
    /// The messages to hand out, which take the place of `handle`, too.
    pub(crate) messages: Option<Messages<'a>>,
    pub(crate) name: Ident,
    pub(crate) vis: Visibility,
    /// The word `vis`'s value, where a type that is not visible enough is reported.
    pub(crate) vis_is_written: bool,
}

/// Returns a type as it stands in prose.
pub(crate) fn prose(ty: &Type) -> String {
    let text = quote::ToTokens::to_token_stream(ty).to_string();
    text.replace(" < ", "<")
        .replace(" <", "<")
        .replace("< ", "<")
        .replace(" >", ">")
        .replace(" ,", ",")
        .replace(" :: ", "::")
}

/// Where requests come from, and the words that said so.
pub(crate) enum Source<'a> {
    One(Transport, Span),
    /// A stream kind and a datagram kind.
    Pair((Transport, Span), (Transport, Span)),
    Own(&'a Type, Kind),
}

/// How requests meet CPUs, and the word that said so.
pub(crate) enum ChosenModel<'a> {
    Built(Model, Span),
    Own(&'a Type),
}

impl Source<'_> {
    /// Returns which traits the handler needs.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::One(transport, _) if transport.is_stream() => Kind::Stream,
            Self::One(..) => Kind::Datagram,
            Self::Pair(..) => Kind::Both,
            Self::Own(_, kind) => *kind,
        }
    }

    fn transports(&self) -> Vec<Transport> {
        match self {
            Self::One(transport, _) => vec![*transport],
            Self::Pair((stream, _), (datagram, _)) => vec![*stream, *datagram],
            Self::Own(..) => Vec::new(),
        }
    }

    /// Returns the columns of the option table.
    pub(crate) fn columns(&self) -> u8 {
        match self {
            Self::Own(_, Kind::Datagram) => OWN_DATAGRAMS,
            Self::Own(_, Kind::Both) => OWN_STREAMS | OWN_DATAGRAMS,
            Self::Own(..) => OWN_STREAMS,
            _ => self
                .transports()
                .iter()
                .fold(0, |columns, transport| columns | transport.column()),
        }
    }

    /// Returns the words of the attribute, as prose.
    fn words(&self) -> String {
        let words: Vec<_> = self
            .transports()
            .iter()
            .map(|transport| format!("`{}`", transport.word()))
            .collect();
        if words.is_empty() {
            "`listener`".to_owned()
        } else {
            words.join(" and ")
        }
    }
}

impl<'a> Plan<'a> {
    /// Never fails: a broken rule is reported and replaced by its default.
    pub(crate) fn new(args: &'a Args, handler: &'a Handler, errors: &mut Errors) -> Self {
        check_type_has_no_hidden_lifetime(handler, errors);
        check_once(args, errors);
        let source = source(args, handler, errors);
        check_options_fit(&args.options, &source, errors);
        let (model, model_options, promise) = model(args, errors);
        check_options_fit(model_options, &source, errors);
        together::check(&args.options, model_options, &source, errors);
        hooks::check_worker_start(args, handler, errors);
        let addrs = check_addrs(args, &source, errors);
        let setters = args
            .options
            .iter()
            .chain(model_options)
            .filter(|option| option.value.rule.fits & source.columns() != 0);
        let setters = setters
            .filter_map(|option| values::setter(option, errors))
            .collect();
        let ty = generics::named_lifetimes(&handler.ty);
        let rpc = rpc::rpc(args, handler, errors);
        let by_hand = by_hand::by_hand(args, handler, errors);
        let messages = messages::messages(args, handler, source.kind(), errors);
        Plan {
            knows_where: !args.addrs.is_empty() || !args.listeners.is_empty() || args.is_unclear,
            krate: args.crates.first().map(|given| &given.value),
            server_generics: generics::of_server(&handler.generics, &ty),
            generics: &handler.generics,
            forwards: methods::forwards(args, handler, &source, rpc.as_ref(), errors),
            rpc,
            by_hand,
            messages,
            name: name(args, handler, errors),
            vis: visibility(args, handler, errors),
            vis_is_written: !args.visibilities.is_empty(),
            ty,
            source,
            model,
            promise,
            addrs,
            setters,
        }
    }
}

/// The generated code has to name the type, too.
fn check_type_has_no_hidden_lifetime(handler: &Handler, errors: &mut Errors) {
    if generics::hides_a_lifetime(&handler.ty) {
        let name = &handler.name;
        errors.at(
            &handler.ty,
            format_args!(
                "the server must name this lifetime; write `impl<'a> {name}<'a>` instead of `'_`"
            ),
        );
    }
}

/// Reports an option that stands twice, at the second.
fn check_once(args: &Args, errors: &mut Errors) {
    let options = args.options.iter().map(|given| &given.word);
    let model_options = args
        .models
        .iter()
        .flat_map(|model| model.value.options())
        .map(|given| &given.word);
    check_words_once(options, errors);
    check_words_once(model_options, errors);
    check_words_once(args.addrs.iter().map(|given| &given.word), errors);
    check_words_once(args.listeners.iter().map(|given| &given.word), errors);
    check_words_once(args.names.iter().map(|given| &given.word), errors);
    check_words_once(args.visibilities.iter().map(|given| &given.word), errors);
    check_words_once(args.crates.iter().map(|given| &given.word), errors);
    check_words_once(args.interfaces.iter().map(|given| &given.word), errors);
    check_words_once(args.programs.iter().map(|given| &given.word), errors);
    check_words_once(args.opcodes.iter().map(|given| &given.word), errors);
    check_words_once(args.manners.iter().map(|given| &given.word), errors);
    for framing in &args.framings {
        let options = framing.value.options().iter().map(|given| &given.word);
        check_words_once(options, errors);
    }
}

fn check_words_once<'a>(words: impl Iterator<Item = &'a Ident>, errors: &mut Errors) {
    let mut seen = Vec::new();
    for word in words {
        if seen.contains(&word) {
            errors.at(word, format_args!("`{word}` is written twice; keep one"));
        }
        seen.push(word);
    }
}

/// One transport, or one of each kind that do not share a path.
fn source<'a>(args: &'a Args, handler: &Handler, errors: &mut Errors) -> Source<'a> {
    if let Some(listener) = args.listeners.first() {
        for transport in &args.transports {
            let word = transport.value.word();
            errors.at(
                &transport.word,
                format_args!("`listener` is where the requests come from; leave out `{word}`"),
            );
        }
        let kind = methods::kind_of_handler(handler).unwrap_or(Kind::Stream);
        return Source::Own(&listener.value, kind);
    }
    let mut chosen: Vec<&Given<Transport>> = Vec::new();
    for transport in &args.transports {
        match check_goes_with(&chosen, transport.value) {
            Ok(()) => chosen.push(transport),
            Err(message) => errors.at(&transport.word, message),
        }
    }
    chosen.sort_by_key(|transport| !transport.value.is_stream());
    let spanned = |given: &Given<Transport>| (given.value, given.word.span());
    match chosen.as_slice() {
        [] => default_source(args, handler, errors),
        [one] => Source::One(one.value, one.word.span()),
        [stream, datagram, ..] => Source::Pair(spanned(stream), spanned(datagram)),
    }
}

fn check_goes_with(chosen: &[&Given<Transport>], transport: Transport) -> Result<(), String> {
    let word = transport.word();
    for first in chosen.iter().map(|given| given.value) {
        let other = first.word();
        if first == transport {
            return Err(format!("`{word}` is written twice; keep one"));
        }
        if first.is_stream() == transport.is_stream() {
            let sort = if first.is_stream() {
                "stream"
            } else {
                "datagram"
            };
            return Err(format!(
                "`{other}` and `{word}` are both {sort} transports; write a second server and `sockserv::run((a, b))`"
            ));
        }
        if first.is_unix() && transport.is_unix() {
            return Err(format!(
                "`{other}` and `{word}` cannot share a path; write a second server and `sockserv::run((a, b))`"
            ));
        }
    }
    Ok(())
}

/// The handler's own kind, so that no second error follows.
fn default_source<'a>(args: &Args, handler: &Handler, errors: &mut Errors) -> Source<'a> {
    if !args.transport_is_unclear {
        errors.at_attribute(
            "the server needs a transport; write `tcp`, `udp`, `unix` or `unix_datagram`",
        );
    }
    let span = Span::call_site();
    match methods::kind_of_handler(handler) {
        Some(Kind::Datagram) => Source::One(Transport::Udp, span),
        Some(Kind::Both) => Source::Pair((Transport::Tcp, span), (Transport::Udp, span)),
        _ => Source::One(Transport::Tcp, span),
    }
}

/// With a pair it is enough that an option fits one of the two.
fn check_options_fit(options: &[Given<Setting>], source: &Source<'_>, errors: &mut Errors) {
    for option in options {
        let rule = option.value.rule;
        if rule.fits & source.columns() == 0 {
            let (word, words, fitting) = (&option.word, source.words(), rule.transports());
            errors.at(
                word,
                format_args!("`{word}` does not fit {words}; leave it out, it is for {fitting}"),
            );
        }
    }
}

/// The first model counts; another one is reported.
fn model<'a>(
    args: &'a Args,
    errors: &mut Errors,
) -> (
    ChosenModel<'a>,
    &'a [Given<Setting>],
    Option<&'a UnsafeWord>,
) {
    let mut models = args.models.iter();
    let Some(first) = models.next() else {
        return (
            ChosenModel::Built(Model::Sync, Span::call_site()),
            &[],
            None,
        );
    };
    for second in models {
        let (first, second) = (&first.word, &second.word);
        if first == second {
            errors.at(
                second,
                format_args!("`{second}` is written twice; keep one"),
            );
        } else {
            errors.at(
                second,
                format_args!("`{first}` and `{second}` are both models; keep one"),
            );
        }
    }
    let span = first.word.span();
    let (chosen, promise) = match &first.value {
        ModelWord::Built { model, promise, .. } => {
            (ChosenModel::Built(*model, span), promise.as_ref())
        }
        ModelWord::Own(ty) => (ChosenModel::Own(ty), None),
        ModelWord::Unbuilt => (ChosenModel::Built(Model::Sync, span), None),
    };
    (chosen, first.value.options(), promise)
}

/// Keeps the addresses that somebody takes.
fn check_addrs<'a>(args: &'a Args, source: &Source<'_>, errors: &mut Errors) -> Vec<&'a Expr> {
    let Some(addr) = args.addrs.first() else {
        return Vec::new();
    };
    if matches!(source, Source::Own(..)) {
        errors.at(
            &addr.word,
            "`listener` knows where it listens; leave out `addr`",
        );
        return Vec::new();
    }
    let addrs = values::elements(&addr.value);
    if addrs.is_empty() {
        errors.at(
            &addr.value,
            "the list is empty; write an address, or leave out `addr` and call `bind_to`",
        );
    }
    let transports = source.transports();
    let check = |addr: &&Expr| match values::address(addr, &transports) {
        Ok(()) => true,
        Err(message) => {
            errors.at(*addr, message);
            false
        }
    };
    let written = addrs.len();
    let addrs: Vec<_> = addrs.into_iter().filter(check).collect();
    if matches!(source, Source::Pair(..)) && addrs.len() == written {
        check_each_has_an_address(args, &addrs, errors);
    }
    addrs
}

/// One transport of a pair would listen nowhere.
fn check_each_has_an_address(args: &Args, addrs: &[&Expr], errors: &mut Errors) {
    let families: Option<Vec<_>> = addrs.iter().map(|addr| values::family(addr)).collect();
    let Some(families) = families.filter(|families| !families.is_empty()) else {
        return; // The bind knows.
    };
    for given in &args.transports {
        if !families.iter().any(|family| family.fits(given.value)) {
            let word = &given.word;
            errors.at(
                word,
                format_args!(
                    "none of the addresses is one for `{word}`; add one to `addr`, or leave out `{word}`"
                ),
            );
        }
    }
}

/// The type's name and `Server`, or the user's choice.
fn name(args: &Args, handler: &Handler, errors: &mut Errors) -> Ident {
    let own = handler.name.unraw();
    let default = Ident::new(&format!("{own}Server"), Span::call_site());
    match args.names.first() {
        None => default,
        Some(name) if name.value.unraw() == own => {
            errors.at(
                &name.value,
                format_args!(
                    "`{own}` is the handler itself; write `name = {default}`, or leave it out"
                ),
            );
            default
        }
        Some(name) => name.value.clone(),
    }
}

/// On a struct as visible as the struct, on an `impl` private, unless the user says otherwise.
fn visibility(args: &Args, handler: &Handler, errors: &mut Errors) -> Visibility {
    let own = match &handler.form {
        Form::Type(vis) => vis.clone(),
        Form::Impl(_) => Visibility::Inherited,
    };
    let Some(given) = args.visibilities.first() else {
        return own;
    };
    let leaks =
        matches!(given.value, Visibility::Public(_)) && !matches!(own, Visibility::Public(_));
    if leaks && matches!(handler.form, Form::Type(_)) {
        let name = &handler.name;
        errors.at(&given.value, format_args!("the server cannot be seen where `{name}` cannot; write `pub struct {name}`, or leave out `vis`"));
        return own;
    }
    given.value.clone()
}
