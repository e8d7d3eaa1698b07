//! Commands: the table of verbs, and an arm for each method.

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;

use super::{local, private};
use crate::handler::Method;
use crate::plan::{Command, Commands, Messages, Parameter, Plan, Takes};

// impl CommandHandler for Kv { const COMMANDS: ... = ...; const VERBS: ... = ...; fn call(...) ... }
pub(super) fn commands(plan: &Plan<'_>, commands: &Commands<'_>) -> TokenStream {
    let Plan { ty, generics, .. } = plan;
    let private = private(plan, Span::call_site());
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let Commands {
        ignores_case,
        quotes,
        commands: all,
        ..
    } = commands;
    let table = all.iter().map(|command| entry(&private, command));
    let verbs = verbs(&private, commands);
    let arms = all
        .iter()
        .enumerate()
        .filter(|(_, command)| !command.is_broken)
        .map(|(at, command)| arm(plan, at, command));
    quote! {
        #[automatically_derived]
        impl #impl_generics #private::CommandHandler for #ty #where_clause {
            const COMMANDS: &'static [#private::Command] = &[#(#table),*];
            const VERBS: &'static [#private::Verb] = &[#(#verbs),*];
            const IGNORES_CASE: bool = #ignores_case;
            const QUOTES: bool = #quotes;
            #[allow(unused_variables, unused_imports, clippy::let_unit_value, clippy::unit_arg)]
            fn call(
                &mut self,
                command: usize,
                words: &mut #private::Words<'_>,
                replies: &mut #private::Replies<'_, Self::Framing>,
            ) -> ::core::result::Result<(), #private::CommandError> {
                use #private::{Encodes as _, Opens as _, Prints as _, Sends as _, Settles as _};
                match command {
                    #(#arms)*
                    _ => ::core::result::Result::Ok(()),
                }
            }
        }
    }
}

// Command { verb: "GET", usage: "GET key", about: "Returns a value." }; one that does not exist keeps its place
fn entry(private: &TokenStream, command: &Command<'_>) -> TokenStream {
    let verb = command.verbs.first().map(syn::LitStr::value);
    let (verb, usage, about) = (verb.unwrap_or_default(), command.usage(), command.about());
    let (cfgs, conditions) = (command.method.cfgs(), command.method.conditions());
    let absent = (!conditions.is_empty()).then(|| {
        quote!(, #[cfg(not(all(#(#conditions),*)))] #private::Command { verb: "", usage: "", about: "" })
    });
    quote!(#(#cfgs)* #private::Command { verb: #verb, usage: #usage, about: #about } #absent)
}

// #[doc = "| `GET key` | Returns a value. |"]
pub(super) fn documentation(messages: Option<&Messages<'_>>) -> TokenStream {
    let Some(commands) = messages.and_then(|messages| messages.commands.as_ref()) else {
        return TokenStream::new();
    };
    let rows = commands.commands.iter().map(|command| {
        let cell = |text: &str| text.replace('|', "\\|");
        let aliases = command.verbs.iter().skip(1);
        let aliases = aliases.map(|verb| format!(", `{}`", cell(&verb.value())));
        let (usage, about) = (cell(&command.usage()), cell(&command.about()));
        let row = format!("| `{usage}`{} | {about} |", aliases.collect::<String>());
        match command.method.conditions().as_slice() {
            [] => quote!(#[doc = #row]),
            conditions => quote!(#[cfg_attr(all(#(#conditions),*), doc = #row)]),
        }
    });
    quote! {
        #[doc = ""]
        #[doc = "# Commands"]
        #[doc = ""]
        #[doc = "| command | |"]
        #[doc = "|---|---|"]
        #(#rows)*
    }
}

// Verb { first: "MAIL", rest: &["FROM:"], command: 1 }, sorted as the runtime looks for them
fn verbs(private: &TokenStream, commands: &Commands<'_>) -> Vec<TokenStream> {
    let mut verbs = Vec::new();
    for (at, command) in commands.commands.iter().enumerate() {
        for verb in &command.verbs {
            let text = match commands.ignores_case {
                true => verb.value().to_ascii_uppercase(),
                false => verb.value(),
            };
            let mut words = text.split(' ').map(str::to_owned);
            let first = words.next().unwrap_or_default();
            let rest: Vec<String> = words.collect();
            verbs.push((first, std::cmp::Reverse(rest.len()), rest, at));
        }
    }
    verbs.sort();
    let verbs = verbs.into_iter().map(|(first, _, rest, at)| {
        let cfgs = commands.commands[at].method.cfgs();
        let at = Literal::usize_suffixed(at);
        quote!(#(#cfgs)* #private::Verb { first: #first, rest: &[#(#rest),*], command: #at })
    });
    verbs.collect()
}

// 0usize => { words.allow(Self::is_known(self))?; let key = words.text("key")?; words.end()?;
//     let reply = Self::get(self, key); ... send it }
fn arm(plan: &Plan<'_>, at: usize, command: &Command<'_>) -> TokenStream {
    let (at, cfgs) = (Literal::usize_suffixed(at), command.method.cfgs());
    let sig = &command.method.sig;
    let span = sig.ident.span();
    let when = command.when.iter().map(|when| {
        let span = when.span();
        let (this, words) = (local("self", span), local("words", span));
        quote_spanned!(span=> #words.allow((#when)(#this))?;)
    });
    let names: Vec<_> = (0..command.parameters.len())
        .map(|at| Ident::new(&format!("argument_{at}"), span))
        .collect();
    let lets = names.iter().zip(&command.parameters);
    let lets = lets.filter_map(|(name, parameter)| {
        let value = argument(parameter)?;
        let span = parameter.ty.span().resolved_at(span);
        Some(quote_spanned!(span=> let #name = #value?;))
    });
    let given = names
        .iter()
        .zip(&command.parameters)
        .map(|(name, parameter)| {
            let span = parameter.ty.span().resolved_at(span);
            let mut name = name.clone();
            name.set_span(span);
            match parameter.takes {
                Takes::Stream => local("stream", span).into_token_stream(),
                Takes::Replies => local("replies", span).into_token_stream(),
                _ if parameter.borrows() => quote_spanned!(span=> &#name),
                _ => quote!(#name),
            }
        });
    let answer = answer(
        plan,
        command.method,
        &given.collect::<Vec<_>>(),
        command.takes_stream(),
    );
    let words = local("words", span);
    quote_spanned! {span=>
        #(#cfgs)*
        #at => {
            #(#when)*
            #(#lets)*
            #words.end()?;
            #answer
        }
    }
}

// let reply = Self::get(self, key); ... send it
pub(super) fn answer(
    plan: &Plan<'_>,
    method: &Method,
    given: &[TokenStream],
    takes_stream: bool,
) -> TokenStream {
    let span = method.sig.ident.span();
    let private = private(plan, span);
    let output = method.output_span().resolved_at(span);
    let mut inner = method.sig.ident.clone();
    inner.set_span(output);
    let (this, replies) = (local("self", output), local("replies", output));
    let call = quote_spanned!(output=> Self::#inner(#this #(, #given)*));
    let (call, failure) = match takes_stream {
        false => (call, TokenStream::new()),
        true => (
            quote!(match replies.with_stream(|stream| #call) {
                ::core::option::Option::Some(reply) => reply,
                ::core::option::Option::None => return ::core::result::Result::Ok(()),
            }),
            quote!(.map_err(#private::CommandError::fatal)),
        ),
    };
    // Each method is that of the first trait that fits: see the runtime.
    let settle = quote_spanned!(output=> (&&&#private::Answer::new(reply, #replies)).settle(#replies) #failure?);
    let send = quote_spanned!(output=> (&&&#private::Answer::new(reply, #replies)).send(#replies));
    quote_spanned! {span=>
        let reply = #call;
        let reply = #settle;
        let reply = #settle;
        let reply = #settle;
        #send
    }
}

// words.text("key")
fn argument(parameter: &Parameter<'_>) -> Option<TokenStream> {
    take(&parameter.takes, &parameter.name, parameter.ty.span())
}

fn take(takes: &Takes<'_>, name: &str, span: Span) -> Option<TokenStream> {
    let words = local("words", span);
    Some(match takes {
        Takes::Stream | Takes::Replies => return None,
        Takes::Text => quote_spanned!(span=> #words.text(#name)),
        Takes::Bytes => quote_spanned!(span=> #words.bytes(#name)),
        Takes::Shared => quote_spanned!(span=> #words.shared(#name)),
        Takes::Rest => quote_spanned!(span=> #words.rest(#name)),
        Takes::Parsed(ty) => quote_spanned!(span=> #words.parse::<#ty>(#name)),
        Takes::Optional(inner) => {
            let inner = take(inner, name, span)?;
            quote_spanned!(span=> #words.optional(|#words| #inner))
        }
        Takes::All(inner) => {
            let inner = take(inner, name, span)?;
            quote_spanned!(span=> #words.all(|#words| #inner))
        }
    })
}
