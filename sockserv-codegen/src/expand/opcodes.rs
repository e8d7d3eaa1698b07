//! Opcodes: an arm for each method.

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use super::commands::answer;
use super::{local, private, value};
use crate::plan::{Number, Opcode, Opcodes, Part, Plan};

// impl OpcodeHandler for Thermometer { const WIDTH: Width = Width::U8; const AT: usize = 0; fn call(...) ... }
pub(super) fn opcodes(plan: &Plan<'_>, opcodes: &Opcodes<'_>) -> TokenStream {
    let Plan { ty, generics, .. } = plan;
    let private = private(plan, Span::call_site());
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let width = Ident::new(opcodes.width, Span::call_site());
    let at = match &opcodes.at {
        Some(at) => value(plan, at),
        None => quote!(0),
    };
    let arms = opcodes.opcodes.iter().filter(|opcode| !opcode.is_broken);
    let arms = arms.map(|opcode| arm(plan, opcode));
    quote! {
        #[automatically_derived]
        impl #impl_generics #private::OpcodeHandler for #ty #where_clause {
            const WIDTH: #private::Width = #private::Width::#width;
            const AT: usize = #at;
            #[allow(unused_variables, unused_imports, clippy::let_unit_value, clippy::unit_arg)]
            fn call(
                &mut self,
                opcode: u64,
                payload: &#private::Bytes,
                head: &#private::Bytes,
                replies: &mut #private::Replies<'_, Self::Framing>,
            ) -> ::core::result::Result<(), #private::CommandError> {
                use #private::{Encodes as _, Opens as _, Prints as _, Sends as _, Settles as _};
                match opcode {
                    #(#arms)*
                    opcode => ::core::result::Result::Err(#private::CommandError::UnknownOpcode { opcode }),
                }
            }
        }
    }
}

// 1u64 => { let reply = Self::get(self, payload.clone()); ... send it }
fn arm(plan: &Plan<'_>, opcode: &Opcode<'_>) -> TokenStream {
    let method = opcode.method;
    let span = method.sig.ident.span();
    let given: Vec<_> = opcode
        .parts
        .iter()
        .map(|(part, ty)| {
            let span = ty.span().resolved_at(span);
            let (name, is_cloned) = match part {
                Part::Payload(is_borrowed) => ("payload", !is_borrowed),
                Part::Head(is_borrowed) => ("head", !is_borrowed),
                Part::Stream => ("stream", false),
                Part::Replies => ("replies", false),
            };
            let name = local(name, span);
            match is_cloned {
                true => quote_spanned!(span=> ::core::clone::Clone::clone(#name)),
                false => quote!(#name),
            }
        })
        .collect();
    let takes_stream = opcode.parts.iter().any(|(part, _)| *part == Part::Stream);
    let answer = answer(plan, method, &given, takes_stream);
    let arms = opcode.numbers.iter().map(|number| {
        let cfgs = method.cfgs();
        let pattern = match number {
            Number::Literal(number, _) => {
                let number = Literal::u64_suffixed(*number);
                quote!(#number)
            }
            Number::Expr(expr) => {
                quote_spanned!(expr.span()=> value if value == ::core::convert::Into::<u64>::into(#expr))
            }
        };
        quote_spanned!(span=> #(#cfgs)* #pattern => { #answer })
    });
    arms.collect()
}
