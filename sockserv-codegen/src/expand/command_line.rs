//! What the feature `cli` adds: the attribute's words, and the constructor that reads the program's arguments.

use proc_macro2::TokenStream;
#[cfg(feature = "cli")]
use {
    super::private,
    crate::options::{Kind, OPTIONS, Owner},
    crate::plan::ChosenModel,
    proc_macro2::Span,
    quote::quote,
};

use crate::plan::Plan;

#[cfg(not(feature = "cli"))]
pub(super) fn attribute(_: &Plan<'_>) -> TokenStream {
    TokenStream::new()
}

#[cfg(not(feature = "cli"))]
pub(super) fn from_args(_: &Plan<'_>) -> TokenStream {
    TokenStream::new()
}

// fn attribute() -> ::sockserv::__private::Attribute { ::sockserv::__private::Attribute { name: "Echo", ... } }
#[cfg(feature = "cli")]
pub(super) fn attribute(plan: &Plan<'_>) -> TokenStream {
    let private = private(plan, Span::call_site());
    let name = plan.name.to_string();
    let name = name
        .strip_suffix("Server")
        .filter(|name| !name.is_empty())
        .unwrap_or(&name);
    let (model, owner) = match plan.model {
        ChosenModel::Built(model, _) => (model.word(), Some(Owner::Model(model))),
        ChosenModel::Own(_) => ("", None),
    };
    let columns = plan.source.columns();
    let fits = OPTIONS.iter().filter(|rule| {
        let is_ours = rule.owner == Owner::Server || Some(rule.owner) == owner;
        is_ours && rule.fits & columns != 0 && rule.kind != Kind::Type
    });
    let fits = fits.map(|rule| rule.name);
    let written = plan.setters.iter().map(|setter| setter.word.to_string());
    let addr = (!plan.addrs.is_empty()).then(|| "addr".to_owned());
    let written = addr.into_iter().chain(written);
    quote! {
        fn attribute() -> #private::Attribute {
            #private::Attribute {
                name: #name,
                version: ::core::option_env!("CARGO_PKG_VERSION").unwrap_or_default(),
                model: #model,
                fits: ::core::option::Option::Some(&[#(#fits),*]),
                written: &[#(#written),*],
            }
        }
    }
}

// pub fn from_args(handler: Echo) -> ::std::io::Result<Self> { ... }
#[cfg(feature = "cli")]
pub(super) fn from_args(plan: &Plan<'_>) -> TokenStream {
    let (private, ty) = (private(plan, Span::call_site()), &plan.ty);
    quote! {
        /// Binds and activates as the program's arguments and environment say, over the attribute.
        pub fn from_args(handler: #ty) -> ::std::io::Result<Self> {
            #private::Builder::new(handler).args()?.bind()
        }
    }
}
