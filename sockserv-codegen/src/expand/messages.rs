//! A message handler: its codec, and the calls to the user's methods.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use super::commands::commands;
use super::opcodes::opcodes;
use super::{outcome, private, setter, value};
use crate::handler::Method;
use crate::plan::{Codec, Messages, Plan};

// impl ::sockserv::__private::MessageHandler for Echo {
//     type Codec = ::sockserv::__private::Lines;
//     type Framing = dyn ::sockserv::__private::Frames;
//     fn codec(&self) -> Self::Codec { const { ::sockserv::__private::Lines::new(8192) } }
//     ...
// }
pub(super) fn handler(plan: &Plan<'_>) -> TokenStream {
    let Some(messages) = &plan.messages else {
        return TokenStream::new();
    };
    let Plan { ty, generics, .. } = plan;
    let private = private(plan, Span::call_site());
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let codec = codec(plan, messages);
    let (message, more) = match (&messages.commands, &messages.opcodes) {
        (Some(all), _) => {
            let errors = errors(
                plan,
                messages,
                &all.error,
                &default_answer(&private, messages),
            );
            let more = [commands(plan, all), errors];
            (by(plan, messages, "serve_command"), more)
        }
        (None, Some(all)) => {
            let fails = quote!(::core::result::Result::Err(::core::convert::Into::into(
                error
            )));
            let more = [
                opcodes(plan, all),
                errors(plan, messages, &all.error, &fails),
            ];
            (by(plan, messages, "serve_opcode"), more)
        }
        (None, None) => (by_message(plan, messages), Default::default()),
    };
    let error = of_codec(plan, messages, "Error");
    let frame_errors = messages.frame_error.iter();
    let frame_errors = frame_errors.map(|method| call(plan, messages, method, &error, false));
    quote! {
        #[automatically_derived]
        impl #impl_generics #private::MessageHandler for #ty #where_clause {
            #codec
            #message
            #(#frame_errors)*
        }
        #(#more)*
    }
}

fn by_message(plan: &Plan<'_>, messages: &Messages<'_>) -> TokenStream {
    match messages.message.as_slice() {
        [] => nothing(plan),
        methods => {
            let item = of_codec(plan, messages, "Item");
            let calls = methods.iter();
            calls
                .map(|method| call(plan, messages, method, &item, false))
                .collect()
        }
    }
}

// <Self::Codec as Decoder>::Item
fn of_codec(plan: &Plan<'_>, messages: &Messages<'_>, name: &str) -> TokenStream {
    let (first, last) = messages.codec_ends();
    let (private, name) = (private(plan, last), Ident::new(name, last));
    let begin = quote_spanned!(first=> <);
    quote_spanned!(last=> #begin Self::Codec as #private::Decoder>::#name)
}

// impl CommandErrors for Kv { fn command_error(&mut self, error: CommandError, replies: ...) -> Outcome { ... } }
fn errors(
    plan: &Plan<'_>,
    messages: &Messages<'_>,
    methods: &[&Method],
    default: &TokenStream,
) -> TokenStream {
    let Plan { ty, generics, .. } = plan;
    let private = private(plan, Span::call_site());
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let error = quote!(#private::CommandError);
    let calls = methods.iter();
    let calls = calls.map(|method| call(plan, messages, method, &error, true));
    let default = methods.is_empty().then(|| {
        quote! {
            #[allow(unused_variables)]
            fn command_error(&mut self, error: #error, replies: &mut #private::Replies<'_, Self::Framing>) -> #private::Outcome {
                #default
            }
        }
    });
    quote! {
        #[automatically_derived]
        impl #impl_generics #private::CommandErrors for #ty #where_clause {
            #(#calls)*
            #default
        }
    }
}

// answer_error(&error, replies)
fn default_answer(private: &TokenStream, messages: &Messages<'_>) -> TokenStream {
    match messages.codec {
        Codec::Built { .. } => quote!(#private::answer_error(&error, replies)),
        Codec::Own(_) => quote!(::core::result::Result::Ok(())), // It was reported.
    }
}

// fn message(&mut self, ...) -> Outcome { serve_command(self, message, replies) }
fn by(plan: &Plan<'_>, messages: &Messages<'_>, serve: &str) -> TokenStream {
    let (first, last) = messages.codec_ends();
    let (private, begin) = (private(plan, last), quote_spanned!(first=> fn));
    let serve = Ident::new(serve, last);
    let (item, error) = (
        of_codec(plan, messages, "Item"),
        of_codec(plan, messages, "Error"),
    );
    let frame_error = messages.frame_error.is_empty().then(|| {
        quote_spanned! {last=>
            #begin frame_error(
                &mut self,
                error: #error,
                replies: &mut #private::Replies<'_, Self::Framing>,
            ) -> #private::Outcome {
                #private::serve_frame_error(self, error, replies)
            }
        }
    });
    quote_spanned! {last=>
        #begin message(
            &mut self,
            message: #item,
            replies: &mut #private::Replies<'_, Self::Framing>,
        ) -> #private::Outcome {
            #private::#serve(self, message, replies)
        }
        #frame_error
    }
}

// type Codec = Lines; type Framing = dyn Frames; fn codec(&self) -> Lines { ... } fn framing(codec: &mut Lines) -> &mut dyn Frames { codec }
fn codec(plan: &Plan<'_>, messages: &Messages<'_>) -> TokenStream {
    let (ty, framing, make) = match &messages.codec {
        Codec::Own(ty) => {
            let make = quote_spanned!(ty.span()=> <#ty as ::core::default::Default>::default());
            (quote!(#ty), quote!(#ty), make)
        }
        Codec::Built {
            framing,
            arguments,
            setters,
        } => {
            let span = messages.word.span();
            let (private, name) = (private(plan, span), Ident::new(framing.type_name(), span));
            let arguments = arguments.iter().map(|argument| value(plan, argument));
            let setters = setters.iter().map(|one| setter(plan, one));
            let ty = quote_spanned!(span=> #private::#name);
            let make = quote_spanned!(span=> const { #ty::new(#(#arguments),*) #(#setters)* });
            (ty, quote_spanned!(span=> dyn #private::Frames), make)
        }
    };
    quote! {
        type Codec = #ty;
        type Framing = #framing;
        fn codec(&self) -> Self::Codec { #make }
        fn framing(codec: &mut Self::Codec) -> &mut Self::Framing { codec }
    }
}

// fn message(&mut self, message: Bytes, replies: &mut Replies<'_, Self::Framing>) -> Outcome {
//     IntoOutcome::into_outcome(Self::message(self, message, replies))
// }
fn call(
    plan: &Plan<'_>,
    messages: &Messages<'_>,
    method: &Method,
    ty: &TokenStream,
    borrows: bool,
) -> TokenStream {
    let (name, cfgs) = (&method.sig.ident, method.cfgs());
    let span = name.span();
    let private = private(plan, span);
    let spans = method.parameter_spans();
    let place = |at: usize| spans.get(at).map_or(span, |place| place.resolved_at(span));
    let (taken, replies) = (
        Ident::new("taken", place(0)),
        Ident::new("replies", place(1)),
    );
    let borrow = borrows.then(|| quote_spanned!(place(0)=> &));
    let output = method.output_span().resolved_at(span);
    let mut inner = name.clone();
    inner.set_span(output);
    let given = (spans.len() > 1).then(|| quote!(, #replies));
    let call = quote_spanned!(output=> Self::#inner(self, #borrow #taken #given));
    let call = outcome(plan, method, &call, output);
    let (first, last) = messages.codec_ends();
    let (begin, end) = (quote_spanned!(first=> fn), Ident::new("Outcome", last));
    quote_spanned! {span=>
        #(#cfgs)*
        #[allow(unused_variables)]
        #begin #name(
            &mut self,
            #taken: #ty,
            #replies: &mut #private::Replies<'_, Self::Framing>,
        ) -> #private::#end {
            #call
        }
    }
}

// It was reported: no second error.
fn nothing(plan: &Plan<'_>) -> TokenStream {
    let private = private(plan, Span::call_site());
    quote! {
        fn message(
            &mut self,
            _: <Self::Codec as #private::Decoder>::Item,
            _: &mut #private::Replies<'_, Self::Framing>,
        ) -> #private::Outcome {
            ::core::result::Result::Ok(())
        }
    }
}
