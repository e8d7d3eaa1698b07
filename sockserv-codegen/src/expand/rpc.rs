//! An interface file as Rust: its module, the calls to the user's methods, and the way to them.

mod types;

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{FnArg, Token, Type};

use super::by_hand::messages;
use super::private;
use crate::handler::{Method, ungroup};
use crate::plan::{Plan, Procedures, Rpc};
use crate::rpc::interface::{Procedure, Program, Version};
use crate::rpc::names;
use types::Types;

/// Everything that comes of the file.
pub(super) fn procedures(plan: &Plan<'_>, rpc: &Rpc<'_>) -> TokenStream {
    [
        module(plan, rpc),
        forwards(plan, rpc),
        service(plan, rpc),
        messages(plan, rpc.span()),
    ]
    .into_iter()
    .collect()
}

/// A name of the file in Rust.
fn ident(name: &str, span: Span) -> Ident {
    if names::is_keyword(name) {
        Ident::new_raw(name, span)
    } else {
        Ident::new(name, span)
    }
}

fn camel(name: &str) -> Ident {
    ident(&names::camel(name), Span::call_site())
}

/// `call_calculator_v1`
fn dispatch_name(version: &Version) -> Ident {
    let name = names::camel(&version.name);
    let name = format!("call_{}", names::snake(&name));
    Ident::new(&name, Span::call_site())
}

fn versions<'a>(rpc: &'a Rpc<'_>) -> impl Iterator<Item = &'a Version> {
    rpc.interface.programs.iter().flat_map(|one| &one.versions)
}

// mod calculator { pub enum Op { ... } pub trait CalculatorV1 { ... } pub fn call_calculator_v1(...) { ... } }
fn module(plan: &Plan<'_>, rpc: &Rpc<'_>) -> TokenStream {
    let Rpc {
        module,
        path,
        interface,
        is_there,
        ..
    } = rpc;
    let (private, vis) = (private(plan, Span::call_site()), &plan.vis);
    let types = Types::new(private.clone(), TokenStream::new());
    let constants = interface.constants.iter().map(|one| types.constant(one));
    let definitions = interface.types.iter().map(|one| types.definition(one));
    let traits = versions(rpc).map(|one| version_trait(&types, one));
    let dispatches = versions(rpc).map(|one| dispatch(&types, one));
    let doc = format!("What `{}` defines.", path.value());
    // The compiler then knows that it depends on the file.
    let watch = is_there.then(|| {
        quote! {
            const _: &[u8] = ::core::include_bytes!(::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), "/", #path));
        }
    });
    quote! {
        #[doc = #doc]
        #[allow(dead_code, unreachable_pub, unused_variables, clippy::all, clippy::pedantic)]
        #vis mod #module {
            #watch
            #(#constants)*
            #(#definitions)*
            #(#traits)*
            #(#dispatches)*
        }
    }
}

// pub trait CalculatorV1 { fn add(&mut self, argument_0: Operands, call: &Call) -> Result<i32, Fault>; }
fn version_trait(types: &Types, version: &Version) -> TokenStream {
    let (name, Types { private, .. }) = (camel(&version.name), types);
    let doc = format!(
        "The procedures of `{}`, version {}.",
        version.name, version.number
    );
    let methods = version.procedures.iter().map(|procedure| {
        let method = ident(&procedure.method, Span::call_site());
        let doc = format!("Procedure {}, `{}`.", procedure.number, procedure.name);
        let result = types.ty(&procedure.result);
        let arguments = arguments(procedure).zip(&procedure.arguments);
        let arguments = arguments.map(|(name, ty)| {
            let ty = types.ty(ty);
            quote!(#name: #ty)
        });
        quote! {
            #[doc = #doc]
            fn #method(&mut self #(, #arguments)*, call: &#private::Call) -> ::core::result::Result<#result, #private::Fault>;
        }
    });
    quote! {
        #[doc = #doc]
        pub trait #name {
            #(#methods)*
        }
    }
}

/// `argument_0`, `argument_1`
fn arguments(procedure: &Procedure) -> impl Iterator<Item = Ident> {
    (0..procedure.arguments.len())
        .map(|at| Ident::new(&format!("argument_{at}"), Span::call_site()))
}

// pub fn call_calculator_v1<H: CalculatorV1>(handler: &mut H, call: &Call, input: &mut Input, output: &mut Output)
//     -> Result<(), Fault> { match call.procedure() { 1 => { ... } _ => Err(Fault::ProcUnavail) } }
fn dispatch(types: &Types, version: &Version) -> TokenStream {
    let (name, bound) = (dispatch_name(version), camel(&version.name));
    let private = &types.private;
    let arms = version.procedures.iter().map(|one| arm(types, one));
    quote! {
        #[doc(hidden)]
        pub fn #name<__SockservHandler: #bound>(
            handler: &mut __SockservHandler,
            call: &#private::Call,
            input: &mut #private::Input,
            output: &mut #private::Output,
        ) -> ::core::result::Result<(), #private::Fault> {
            match call.procedure() {
                #(#arms)*
                _ => ::core::result::Result::Err(#private::Fault::ProcUnavail),
            }
        }
    }
}

// 1 => { let (argument_0,) = arguments(input, |input| Ok((i32::decode(input)?,)))?; ... }
fn arm(types: &Types, procedure: &Procedure) -> TokenStream {
    let private = &types.private;
    let number = Literal::u32_suffixed(procedure.number);
    let method = ident(&procedure.method, Span::call_site());
    let names: Vec<_> = arguments(procedure).collect();
    let decodes = procedure.arguments.iter().map(|ty| types.decode(ty));
    let encode = types.encode(&procedure.result);
    quote! {
        #number => {
            let (#(#names,)*) = #private::arguments(input, |input| ::core::result::Result::Ok((#(#decodes?,)*)))?;
            let value = &handler.#method(#(#names,)* call)?;
            #encode?;
            ::core::result::Result::Ok(())
        }
    }
}

// impl calculator::CalculatorV1 for Calculator { ... }
fn forwards(plan: &Plan<'_>, rpc: &Rpc<'_>) -> TokenStream {
    let Some(found) = &rpc.procedures else {
        return TokenStream::new();
    };
    let (module, ty) = (&rpc.module, &plan.ty);
    let types = Types::new(private(plan, Span::call_site()), quote!(#module::));
    let (impl_generics, _, where_clause) = plan.generics.split_for_impl();
    let traits = versions(rpc).map(|version| {
        let name = camel(&version.name);
        let methods = version.procedures.iter().map(|procedure| {
            let found = found.iter().find(|one| one.name == procedure.method);
            forward(plan, &types, procedure, found)
        });
        quote! {
            #[automatically_derived]
            impl #impl_generics #module::#name for #ty #where_clause {
                #(#methods)*
            }
        }
    });
    traits.collect()
}

fn forward(
    plan: &Plan<'_>,
    types: &Types,
    procedure: &Procedure,
    found: Option<&Procedures<'_>>,
) -> TokenStream {
    let methods = found.map(|found| &*found.methods).unwrap_or_default();
    if methods.is_empty() {
        // It was reported: no second error.
        let (private, name) = (&types.private, ident(&procedure.method, Span::call_site()));
        let result = types.ty(&procedure.result);
        let arguments = procedure.arguments.iter().map(|ty| types.ty(ty));
        return quote! {
            fn #name(&mut self #(, _: #arguments)*, _: &#private::Call) -> ::core::result::Result<#result, #private::Fault> {
                ::core::result::Result::Err(#private::Fault::ProcUnavail)
            }
        };
    }
    let calls = methods
        .iter()
        .map(|method| call(plan, types, procedure, method));
    calls.collect()
}

// fn add(&mut self, argument_0: calculator::Operands, call: &Call) -> Result<i32, Fault> {
//     IntoResults::<i32>::into_results(Self::add(self, &argument_0))
// }
fn call(plan: &Plan<'_>, types: &Types, procedure: &Procedure, method: &Method) -> TokenStream {
    let (name, cfgs) = (&method.sig.ident, method.cfgs());
    let span = name.span();
    let private = private(plan, span);
    let spans = method.parameter_spans();
    let spanned = |name: &str, at: usize| {
        Ident::new(
            name,
            spans.get(at).map_or(span, |place| place.resolved_at(span)),
        )
    };
    let types_of = procedure.arguments.iter().map(|ty| types.ty(ty));
    let count = procedure.arguments.len();
    let names: Vec<_> = (0..count)
        .map(|at| spanned(&format!("argument_{at}"), at))
        .collect();
    let wants_call = (spans.len() > count).then(|| spanned("call", count));
    let call = spanned("call", count);
    let result = types.ty(&procedure.result);
    let output = method.output_span().resolved_at(span);
    let mut inner = name.clone();
    inner.set_span(output);
    let given = names.iter().zip(references(method));
    let given = given
        .map(|(name, reference)| quote!(#reference #name))
        .chain(wants_call.map(|call| quote!(#call)));
    let value = quote_spanned!(output=> #private::IntoResults::<#result>::into_results(Self::#inner(self #(, #given)*)));
    quote_spanned! {span=>
        #(#cfgs)*
        #[allow(unused_variables)]
        fn #name(&mut self #(, #names: #types_of)*, #call: &#private::Call) -> ::core::result::Result<#result, #private::Fault> {
            #value
        }
    }
}

/// A `&` for each parameter that is borrowed.
fn references(method: &Method) -> impl Iterator<Item = Option<Token![&]>> {
    let types = method.sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(ungroup(&typed.ty)),
        FnArg::Receiver(_) => None,
    });
    types.map(|ty| match ty {
        Type::Reference(reference) if reference.mutability.is_none() => Some(reference.and_token),
        _ => None,
    })
}

// impl Service for Calculator { const PROGRAMS: &[Program] = &[...]; fn call(...) { match ... } }
fn service(plan: &Plan<'_>, rpc: &Rpc<'_>) -> TokenStream {
    let (private, module, ty) = (private(plan, rpc.span()), &rpc.module, &plan.ty);
    let (impl_generics, _, where_clause) = plan.generics.split_for_impl();
    let programs = rpc
        .interface
        .programs
        .iter()
        .map(|one| program(&private, one));
    let arms = rpc.interface.programs.iter().flat_map(|program| {
        let arms = program.versions.iter().map(|version| {
            let (number, name) = (program.number, dispatch_name(version));
            let version = version.number;
            quote!((#number, #version) => #module::#name(self, call, arguments, results),)
        });
        arms.collect::<Vec<_>>()
    });
    quote! {
        #[automatically_derived]
        impl #impl_generics #private::Service for #ty #where_clause {
            const PROGRAMS: &'static [#private::Program] = &[#(#programs),*];
            #[allow(unused_variables)]
            fn call(
                &mut self,
                call: &#private::Call,
                arguments: &mut #private::Input,
                results: &mut #private::Output,
            ) -> ::core::result::Result<(), #private::Fault> {
                match (call.program(), call.version()) {
                    #(#arms)*
                    _ => ::core::result::Result::Err(#private::Fault::ProcUnavail),
                }
            }
        }
    }
}

// Program { number: 536871169, versions: &[1] }
fn program(private: &TokenStream, program: &Program) -> TokenStream {
    let number = program.number;
    let versions = program.versions.iter().map(|one| one.number);
    quote!(#private::Program { number: #number, versions: &[#(#versions),*] })
}
