//! The only place that quotes code. It cannot fail and decides nothing.

mod by_hand;
mod command_line;
mod commands;
mod messages;
mod opcodes;
#[cfg(feature = "rpc")]
mod rpc;
mod structure;

use proc_macro2::{Delimiter, Group, Ident, Literal, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse_quote;
use syn::spanned::Spanned;

use crate::handler::Method;
use crate::hooks::Hook;
use crate::options::{Model, Transport, Width};
use crate::plan::{ChosenModel, Forward, HookForward, Kind, Plan, Setter, Source, Value};

/// What a piece of the expansion is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Piece {
    Declaration,
    Handlers,
    Messages,
    Procedures,
    Hooks,
    Promise,
    Server,
}

/// Everything that follows the user's item.
pub(crate) fn server(plan: &Plan<'_>) -> TokenStream {
    pieces(plan).into_iter().map(|(_, code)| code).collect()
}

/// The same, piece by piece; one may be empty.
pub(crate) fn pieces(plan: &Plan<'_>) -> Vec<(Piece, TokenStream)> {
    vec![
        (Piece::Declaration, declaration(plan)),
        (Piece::Handlers, handlers(plan)),
        (Piece::Messages, messages::handler(plan)),
        (Piece::Procedures, procedures(plan)),
        (Piece::Hooks, hooks(plan)),
        (Piece::Promise, promise(plan)),
        (Piece::Server, structure::server(plan)),
    ]
}

// ::sockserv::__private
fn private(plan: &Plan<'_>, span: Span) -> TokenStream {
    match plan.krate {
        Some(krate) => quote_spanned!(span=> #krate::__private),
        None => quote_spanned!(span=> ::sockserv::__private),
    }
}

/// A local of a generated function, in what is spanned at a user's word: that word may come out of another
/// `macro_rules!` than the attribute does, and would not find it.
fn local(name: &str, word: Span) -> Ident {
    Ident::new(name, Span::call_site().located_at(word))
}

// impl ::sockserv::__private::Declaration for Echo {
//     type Transport = ::sockserv::__private::Tcp;
//     type Model = ::sockserv::__private::Threading;
//     fn options() -> ::sockserv::__private::Options {
//         ::sockserv::__private::Options::new().addr("127.0.0.1:7007")
//     }
//     ...
// }
fn declaration(plan: &Plan<'_>) -> TokenStream {
    let Plan {
        ty,
        generics,
        addrs,
        ..
    } = plan;
    let private = private(plan, Span::call_site());
    let (transport, model) = (transport(plan), model(plan));
    let (impl_generics, _, _) = generics.split_for_impl();
    let bounds = declaration_bounds(plan, &transport, &model);
    let setters = plan.setters.iter().map(|option| setter(plan, option));
    let listener = own_listener(plan);
    let attribute = command_line::attribute(plan);
    let hooks = hook_table(plan);
    let addrs = addrs
        .iter()
        .map(|addr| quote_spanned!(addr.span()=> .addr(#addr)));
    quote! {
        #[automatically_derived]
        impl #impl_generics #private::Declaration for #ty #bounds {
            type Transport = #transport;
            type Model = #model;
            fn options() -> #private::Options {
                #private::Options::new() #(#addrs)* #(#setters)*
            }
            #hooks
            fn model() -> ::core::option::Option<#model> {
                use #private::NoDefault as _;
                (&#private::DefaultProbe::<#model>::new()).make()
            }
            #listener
            #attribute
        }
    }
}

// fn hooks() -> HookTable<Self> { (&HookProbe::<Self>::new()).table() }
fn hook_table(plan: &Plan<'_>) -> TokenStream {
    let private = private(plan, Span::call_site());
    let probe = if plan.generics.params.is_empty() {
        quote!(#private::HookProbe::<Self>::new())
    } else {
        probe_of_any(plan)
    };
    let at_the_type = Span::call_site().located_at(plan.ty.span());
    let table = quote_spanned!(at_the_type=> (&#probe).table());
    quote! {
        fn hooks() -> #private::HookTable<Self> {
            use #private::NoHooks as _;
            #table
        }
    }
}

// { fn any<S: Store, W>(_: W) -> HookProbe<Session<S>, W> { HookProbe::new() } any(0) }
fn probe_of_any(plan: &Plan<'_>) -> TokenStream {
    let (private, ty) = (private(plan, Span::call_site()), &plan.ty);
    let mut generics = plan.server_generics.clone();
    generics.params.push(parse_quote!(__SockservW));
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    quote! {{
        fn any #impl_generics(_: __SockservW) -> #private::HookProbe<#ty, __SockservW> #where_clause { #private::HookProbe::new() }
        any(0)
    }}
}

// fn listener() -> Option<OwnListener> { ... }
fn own_listener(plan: &Plan<'_>) -> TokenStream {
    let Source::Own(listener, _) = &plan.source else {
        return TokenStream::new();
    };
    let private = private(plan, Span::call_site());
    quote! {
        fn listener() -> ::core::option::Option<#private::OwnListener> {
            use #private::NoDefault as _;
            #private::OwnListener::of((&#private::DefaultProbe::<#listener>::new()).make())
        }
    }
}

// where S: Store, Session<S>: Clone, Tcp: Transport<Session<S>>, Threading: Model<Session<S>>
fn declaration_bounds(
    plan: &Plan<'_>,
    transport: &TokenStream,
    model: &TokenStream,
) -> TokenStream {
    let Plan { ty, generics, .. } = plan;
    let private = private(plan, Span::call_site());
    let predicates = generics
        .where_clause
        .iter()
        .flat_map(|clause| &clause.predicates);
    if generics.params.is_empty() {
        let clause = &generics.where_clause;
        return quote!(#clause);
    }
    quote! {
        where #(#predicates,)* #ty: ::core::clone::Clone, #transport: #private::Transport<#ty>, #model: #private::Model<#ty>
    }
}

// ::sockserv::__private::Tcp, at the user's word
fn transport(plan: &Plan<'_>) -> TokenStream {
    let one = |transport: Transport, span| {
        let (private, name) = (private(plan, span), Ident::new(transport.type_name(), span));
        quote_spanned!(span=> #private::#name)
    };
    match &plan.source {
        Source::One(transport, span) => one(*transport, *span),
        Source::Pair((stream, first), (datagram, second)) => {
            let (stream, datagram) = (one(*stream, *first), one(*datagram, *second));
            quote!((#stream, #datagram))
        }
        Source::Own(listener, kind) => {
            let (private, kind) = (
                private(plan, listener.span()),
                Ident::new(kind.plural(), listener.span()),
            );
            quote_spanned!(listener.span()=> #private::Own<#listener, #private::#kind>)
        }
    }
}

// ::sockserv::__private::Threading, at the user's word
fn model(plan: &Plan<'_>) -> TokenStream {
    let (span, name) = match &plan.model {
        ChosenModel::Own(ty) => return quote!(#ty),
        ChosenModel::Built(model, span) => (*span, model.type_name(plan.promise.is_some())),
    };
    let (private, name) = (private(plan, span), Ident::new(name, span));
    match &plan.model {
        // Its threads keep prototypes of the handler.
        ChosenModel::Built(Model::Pool, _) => quote_spanned!(span=> #private::#name<Self>),
        _ => quote_spanned!(span=> #private::#name),
    }
}

// .backlog(128)
fn setter(plan: &Plan<'_>, setter: &Setter<'_>) -> TokenStream {
    let value = value(plan, &setter.value);
    let word = setter.word;
    quote_spanned!(word.span()=> .#word(#value))
}

// 128
fn value(plan: &Plan<'_>, value: &Value<'_>) -> TokenStream {
    match value {
        Value::Expr(expr) => quote!(#expr),
        Value::Typed(expr, width) => {
            let width = Ident::new(width.type_name(), expr.span());
            quote!({ let value: #width = #expr; value })
        }
        Value::Number(number, width, span) => {
            let mut number = match width {
                Width::U32 => Literal::u32_suffixed(u32::try_from(*number).unwrap_or(u32::MAX)),
                Width::U64 => Literal::u64_suffixed(*number),
                Width::Usize => {
                    Literal::usize_suffixed(usize::try_from(*number).unwrap_or(usize::MAX))
                }
            };
            number.set_span(*span);
            quote!(#number)
        }
        Value::Duration(time, span) => {
            let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            quote_spanned!(*span=> ::core::time::Duration::from_nanos(#nanos))
        }
        Value::Flag(flag, span) => quote_spanned!(*span=> #flag),
        Value::Nothing(span) => quote_spanned!(*span=> ::core::option::Option::None),
        Value::Variant(name, variant, span) => {
            let (private, name) = (private(plan, *span), Ident::new(name, *span));
            let variant = Ident::new(variant, *span);
            quote_spanned!(*span=> #private::#name::#variant)
        }
        Value::Text(text, span) => quote_spanned!(*span=> #text),
        Value::Slice(bytes) => quote!({ let value: &'static [u8] = #bytes; value }),
        Value::List(list, span) => quote_spanned!(*span=> [#(#list),*]),
        Value::Default(ty) => {
            quote_spanned!(ty.span()=> <#ty as ::core::default::Default>::default())
        }
    }
}

// impl ::sockserv::__private::StreamHandler for Echo { ... }
fn handlers(plan: &Plan<'_>) -> TokenStream {
    match plan.source.kind() {
        Kind::Stream => handler(plan, "StreamHandler", "Stream"),
        Kind::Datagram => handler(plan, "DatagramHandler", "Datagram"),
        Kind::Both => [
            handler(plan, "StreamHandler", "Stream"),
            handler(plan, "DatagramHandler", "Datagram"),
        ]
        .into_iter()
        .collect(),
    }
}

fn handler(plan: &Plan<'_>, name: &str, request: &str) -> TokenStream {
    let Some(forwards) = &plan.forwards else {
        return TokenStream::new();
    };
    let Plan { ty, generics, .. } = plan;
    let private = private(plan, Span::call_site());
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let name = Ident::new(name, Span::call_site());
    let request = Ident::new(request, Span::call_site());
    let methods = forwards
        .life
        .iter()
        .map(|method| forward(plan, method, &request));
    let is_read = plan.rpc.is_some() || plan.by_hand.is_some() || plan.messages.is_some();
    let missing = (forwards.handle_is_missing && !is_read).then(|| {
        quote!(fn handle(&mut self, _: &mut #private::#request) -> #private::Outcome { ::core::result::Result::Ok(()) })
    });
    let serve = serve(plan, &request);
    quote! {
        #[automatically_derived]
        impl #impl_generics #private::#name for #ty #where_clause {
            #(#methods)*
            #missing
            #serve
        }
    }
}

// fn handle(&mut self, request: &mut Stream) -> Outcome { serve_messages(self, request) }
fn serve(plan: &Plan<'_>, request: &Ident) -> TokenStream {
    let rpc = plan.rpc.as_ref().map(|rpc| rpc.span());
    let by_hand = plan.by_hand.as_ref().map(|by_hand| by_hand.word.span());
    let messages = plan.messages.as_ref().map(|messages| messages.word.span());
    let Some(span) = rpc.or(by_hand).or(messages) else {
        return TokenStream::new();
    };
    let private = private(plan, span);
    let is_stream = request == "Stream";
    let serve = if is_stream {
        "serve_messages"
    } else {
        "serve_packet"
    };
    let serve = Ident::new(serve, span);
    // Between two messages nothing of it is on any stack.
    let talks = is_stream.then(|| {
        quote_spanned! {span=>
            fn talks() -> ::core::option::Option<#private::Talks<Self>> { ::core::option::Option::Some(#private::Talks::new()) }
        }
    });
    quote_spanned! {span=>
        fn handle(&mut self, request: &mut #private::#request) -> #private::Outcome { #private::#serve(self, request) }
        #talks
    }
}

// mod calculator { ... } impl calculator::CalculatorV1 for Calculator { ... } impl Service for Calculator { ... }
fn procedures(plan: &Plan<'_>) -> TokenStream {
    match (&plan.rpc, &plan.by_hand) {
        #[cfg(feature = "rpc")]
        (Some(rpc), _) => rpc::procedures(plan, rpc),
        #[cfg(not(feature = "rpc"))]
        (Some(rpc), _) => quote_spanned!(rpc.span()=>),
        (None, Some(by_hand)) => by_hand::procedures(plan, by_hand),
        (None, None) => TokenStream::new(),
    }
}

// fn handle(&mut self, request: &mut Stream) -> Outcome { IntoOutcome::into_outcome(Self::handle(self, request)) }
fn forward(plan: &Plan<'_>, forward: &Forward<'_>, request: &Ident) -> TokenStream {
    let (name, cfgs) = (&forward.method.sig.ident, forward.method.cfgs());
    let span = name.span();
    let private = private(plan, span);
    if forward.broken {
        return quote_spanned! {span=>
            #(#cfgs)* fn #name(&mut self, _: &mut #private::#request) -> #private::Outcome { ::core::result::Result::Ok(()) }
        };
    }
    let parameter = forward
        .method
        .parameter_spans()
        .first()
        .map_or(span, |place| place.resolved_at(span));
    let argument = Ident::new("request", parameter);
    let output = forward.method.output_span().resolved_at(span);
    let mut method = name.clone();
    method.set_span(output);
    let call = quote_spanned!(output=> Self::#method(self, #argument));
    let call = outcome(plan, forward.method, &call, output);
    quote_spanned! {span=>
        #(#cfgs)*
        fn #name(&mut self, #argument: &mut #private::#request) -> #private::Outcome {
            #call
        }
    }
}

// IntoOutcome::into_outcome(Self::handle(self, request)); of what never returns nothing is left to convert
fn outcome(plan: &Plan<'_>, method: &Method, call: &TokenStream, span: Span) -> TokenStream {
    if method.never_returns() {
        return call.clone();
    }
    let private = private(plan, span);
    quote_spanned!(span=> #private::IntoOutcome::into_outcome(#call))
}

// impl ::sockserv::__private::Hooks for Echo { ... }
fn hooks(plan: &Plan<'_>) -> TokenStream {
    let hooks = plan.forwards.iter().flat_map(|forwards| &forwards.hooks);
    let mut hooks = hooks.peekable();
    if hooks.peek().is_none() {
        return TokenStream::new();
    }
    let Plan { ty, generics, .. } = plan;
    let private = private(plan, Span::call_site());
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let hooks = hooks.map(|forward| hook(plan, forward));
    quote! {
        #[automatically_derived]
        impl #impl_generics #private::Hooks for #ty #where_clause {
            #(#hooks)*
        }
    }
}

// fn verify_request(&self, peer: &Address, _: &Incoming) -> bool { Self::verify_request(self, peer) }
fn hook(plan: &Plan<'_>, forward: &HookForward<'_>) -> TokenStream {
    let (name, cfgs) = (&forward.method.sig.ident, forward.method.cfgs());
    let span = name.span();
    let (receiver, types, output) = hook_signature(plan, forward.hook, span);
    let spans = forward.method.parameter_spans();
    // How many it takes was judged already, or is the compiler's to judge.
    let taken = match forward.hook.takes(spans.len()) {
        true => spans.len(),
        false => types.len(),
    };
    let place = |at: usize| spans.get(at).map_or(span, |place| place.resolved_at(span));
    let argument = |at: usize| Ident::new(&format!("value_{at}"), place(at));
    let arguments: Vec<_> = (0..taken).map(argument).collect();
    let ignored = types.iter().skip(arguments.len());
    let given = types.iter().take(arguments.len());
    let result = forward.method.output_span().resolved_at(span);
    let mut method = name.clone();
    method.set_span(result);
    let call = quote_spanned!(result=> Self::#method(self #(, #arguments)*));
    quote_spanned! {span=>
        #(#cfgs)*
        fn #name(#receiver #(, #arguments: #given)* #(, _: #ignored)*) #output { #call }
    }
}

// &self, [&Address, &Incoming], -> bool
fn hook_signature(
    plan: &Plan<'_>,
    hook: Hook,
    span: Span,
) -> (TokenStream, Vec<TokenStream>, TokenStream) {
    let private = private(plan, span);
    let (shared, nothing) = (quote_spanned!(span=> &self), TokenStream::new());
    let peer = quote_spanned!(span=> &#private::Address);
    match hook {
        Hook::VerifyRequest => (
            shared,
            vec![peer, quote_spanned!(span=> &#private::Incoming)],
            quote_spanned!(span=> -> bool),
        ),
        Hook::HandleError => (
            quote_spanned!(span=> &mut self),
            vec![quote_spanned!(span=> &#private::RequestError), peer],
            nothing,
        ),
        Hook::HandleTimeout | Hook::ServiceActions => (shared, Vec::new(), nothing),
        Hook::WorkerStart => (
            quote_spanned!(span=> &mut self),
            vec![quote_spanned!(span=> usize)],
            quote_spanned!(span=> -> ::std::io::Result<()>),
        ),
        Hook::ServerBind | Hook::ServerActivate => {
            let socket = quote_spanned!(span=> &#private::socket2::Socket);
            (
                shared,
                vec![socket],
                quote_spanned!(span=> -> ::std::io::Result<()>),
            )
        }
    }
}

// const _: () = unsafe {};
fn promise(plan: &Plan<'_>) -> TokenStream {
    let Some(promise) = plan.promise else {
        return TokenStream::new();
    };
    // The user's own tokens, so that `forbid(unsafe_code)` speaks to him.
    let token = &promise.token;
    let mut block = Group::new(Delimiter::Brace, TokenStream::new());
    block.set_span(promise.paren.span.join());
    quote! {
        #[allow(unused_unsafe, clippy::undocumented_unsafe_blocks)]
        const _: () = #token #block;
    }
}
