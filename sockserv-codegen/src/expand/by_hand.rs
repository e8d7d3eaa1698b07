//! Sun RPC: the calls are messages. Procedures without an interface file: an arm for each method.

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned;

use super::{local, private};
use crate::handler::{last_word, ungroup};
use crate::plan::{ByHand, Numbered, Plan};

// impl Service for Adder { const PROGRAMS: ... = ...; fn call(...) { match call.procedure() { ... } } }
pub(super) fn procedures(plan: &Plan<'_>, by_hand: &ByHand<'_>) -> TokenStream {
    let ByHand {
        word,
        program,
        version,
        procedures,
    } = by_hand;
    let span = word.span();
    let (private, ty) = (private(plan, span), &plan.ty);
    let (impl_generics, _, where_clause) = plan.generics.split_for_impl();
    let arms = procedures.iter().map(|procedure| arm(plan, procedure));
    let messages = messages(plan, span);
    quote! {
        #[automatically_derived]
        impl #impl_generics #private::Service for #ty #where_clause {
            const PROGRAMS: &'static [#private::Program] = &[#private::Program { number: #program, versions: &[#version] }];
            #[allow(unused_variables)]
            fn call(
                &mut self,
                call: &#private::Call,
                arguments: &mut #private::Input,
                results: &mut #private::Output,
            ) -> ::core::result::Result<(), #private::Fault> {
                match call.procedure() {
                    #(#arms)*
                    _ => ::core::result::Result::Err(#private::Fault::ProcUnavail),
                }
            }
        }
        #messages
    }
}

// 1u32 => { let (argument_0,) = arguments(arguments, |input| Ok((<i32 as Xdr>::decode(input)?,)))?;
//     let value = IntoResults::<_>::into_results(Self::add(self, argument_0))?; ... }
fn arm(plan: &Plan<'_>, procedure: &Numbered<'_>) -> TokenStream {
    let (method, cfgs) = (procedure.method, procedure.method.cfgs());
    let span = method.sig.ident.span();
    let private = private(plan, span);
    let numbers = procedure
        .numbers
        .iter()
        .map(|number| Literal::u32_suffixed(*number));
    let names: Vec<_> = (0..procedure.arguments.len())
        .map(|at| Ident::new(&format!("argument_{at}"), span))
        .collect();
    let [this, call, arguments, results, input] =
        ["self", "call", "arguments", "results", "input"].map(|name| local(name, span));
    let decodes = procedure.arguments.iter().map(|ty| {
        let (owned, _) = owned(ty);
        quote_spanned!(ty.span()=> <#owned as #private::Xdr>::decode(#input)?)
    });
    let given = names.iter().zip(&procedure.arguments).map(|(name, ty)| {
        let span = ty.span().resolved_at(span);
        let mut name = name.clone();
        name.set_span(span);
        match owned(ty) {
            (_, true) => quote_spanned!(span=> &#name),
            (_, false) => quote!(#name),
        }
    });
    let call = procedure.takes_call.then(|| quote!(#call));
    let given = given.chain(call);
    let output = method.output_span().resolved_at(span);
    let mut inner = method.sig.ident.clone();
    inner.set_span(output);
    let value = quote_spanned!(output=> #private::IntoResults::<_>::into_results(Self::#inner(#this #(, #given)*))?);
    quote_spanned! {span=>
        #(#cfgs)*
        #(#numbers)|* => {
            let (#(#names,)*) = #private::arguments(#arguments, |#input| ::core::result::Result::Ok((#(#decodes,)*)))?;
            let value = #value;
            #private::Xdr::encode(&value, #results)?;
            ::core::result::Result::Ok(())
        }
    }
}

/// Returns the type that is decoded for a parameter of this type, and whether the parameter borrows it.
fn owned(ty: &Type) -> (TokenStream, bool) {
    let Type::Reference(reference) = ungroup(ty) else {
        return (quote!(#ty), false);
    };
    let inner = ungroup(&reference.elem);
    let owned = match inner {
        Type::Slice(slice) => {
            let inner = &slice.elem;
            quote!(::std::vec::Vec<#inner>)
        }
        _ if last_word(inner).is_some_and(|word| word == "str") => quote!(::std::string::String),
        _ => quote!(#inner),
    };
    (owned, true)
}

// impl MessageHandler for Calculator { type Codec = Records; ... fn message(...) { serve_call(self, message, replies) } }
pub(super) fn messages(plan: &Plan<'_>, span: Span) -> TokenStream {
    let (private, ty) = (private(plan, span), &plan.ty);
    let (impl_generics, _, where_clause) = plan.generics.split_for_impl();
    quote_spanned! {span=>
        #[automatically_derived]
        impl #impl_generics #private::MessageHandler for #ty #where_clause {
            type Codec = #private::Records;
            type Framing = dyn #private::Frames;
            fn codec(&self) -> Self::Codec { #private::records() }
            fn framing(codec: &mut Self::Codec) -> &mut Self::Framing { codec }
            fn message(&mut self, message: #private::Bytes, replies: &mut #private::Replies<'_, Self::Framing>) -> #private::Outcome {
                #private::serve_call(self, message, replies)
            }
        }
    }
}
