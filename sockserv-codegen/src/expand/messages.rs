//! A message handler: its codec, and the calls to the user's methods.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use super::commands::commands;
use super::opcodes::opcodes;
use super::{private, setter, value};
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
            let message = by(plan, messages, "serve_command", "serve_frame_error");
            (message, commands(plan, messages, all))
        }
        (None, Some(all)) => {
            let message = by(plan, messages, "serve_opcode", "serve_opcode_frame_error");
            (message, opcodes(plan, all))
        }
        (None, None) => (by_message(plan, messages), TokenStream::new()),
    };
    let frame_errors = messages.frame_error.iter();
    let frame_errors =
        frame_errors.map(|method| call(plan, method, messages.codec_span(), Takes::FrameError));
    quote! {
        #[automatically_derived]
        impl #impl_generics #private::MessageHandler for #ty #where_clause {
            #codec
            #message
            #(#frame_errors)*
        }
        #more
    }
}

fn by_message(plan: &Plan<'_>, messages: &Messages<'_>) -> TokenStream {
    match messages.message.as_slice() {
        [] => nothing(plan),
        methods => {
            let calls = methods.iter();
            calls
                .map(|method| call(plan, method, messages.codec_span(), Takes::Message))
                .collect()
        }
    }
}

// fn message(&mut self, ...) -> Outcome { serve_command(self, message, replies) }
fn by(
    plan: &Plan<'_>,
    messages: &Messages<'_>,
    serve: &str,
    serve_frame_error: &str,
) -> TokenStream {
    let span = messages.codec_span();
    let private = private(plan, span);
    let serve = Ident::new(serve, span);
    let serve_frame_error = Ident::new(serve_frame_error, span);
    let frame_error = messages.frame_error.is_empty().then(|| {
        quote_spanned! {span=>
            fn frame_error(
                &mut self,
                error: <Self::Codec as #private::Decoder>::Error,
                replies: &mut #private::Replies<'_, Self::Framing>,
            ) -> #private::Outcome {
                #private::#serve_frame_error(self, error, replies)
            }
        }
    });
    quote_spanned! {span=>
        fn message(
            &mut self,
            message: <Self::Codec as #private::Decoder>::Item,
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

/// What a method takes beside the replies.
#[derive(Clone, Copy)]
enum Takes {
    Message,
    FrameError,
}

// fn message(&mut self, message: Bytes, replies: &mut Replies<'_, Self::Framing>) -> Outcome {
//     IntoOutcome::into_outcome(Self::message(self, message, replies))
// }
fn call(plan: &Plan<'_>, method: &Method, codec: Span, takes: Takes) -> TokenStream {
    let (name, cfgs) = (&method.sig.ident, method.cfgs());
    let span = name.span();
    let private = private(plan, span);
    let spans = method.parameter_spans();
    let place = |at: usize| spans.get(at).map_or(span, |place| place.resolved_at(span));
    let (taken, replies) = (
        Ident::new("taken", place(0)),
        Ident::new("replies", place(1)),
    );
    let ty = match takes {
        Takes::Message => quote_spanned!(codec=> <Self::Codec as #private::Decoder>::Item),
        Takes::FrameError => quote_spanned!(codec=> <Self::Codec as #private::Decoder>::Error),
    };
    let output = method.output_span().resolved_at(span);
    let mut inner = name.clone();
    inner.set_span(output);
    let given = (spans.len() > 1).then(|| quote!(, #replies));
    let call = quote_spanned!(output=> #private::IntoOutcome::into_outcome(Self::#inner(self, #taken #given)));
    quote_spanned! {span=>
        #(#cfgs)*
        #[allow(unused_variables)]
        fn #name(
            &mut self,
            #taken: #ty,
            #replies: &mut #private::Replies<'_, Self::Framing>,
        ) -> #private::Outcome {
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
