//! The `#[server]` attribute of [sockserv](https://docs.rs/sockserv): `parse -> plan -> expand`.
#![forbid(unsafe_code)]

mod address;
mod args;
mod errors;
mod expand;
mod handler;
mod network;
mod options;
mod plan;
#[cfg(feature = "rpc")]
mod rpc;
#[cfg(test)]
mod tests;
mod units;
mod words;

use proc_macro2::TokenStream;

#[allow(
    missing_docs,
    reason = "documented where `sockserv` re-exports it: there the examples can run"
)]
#[proc_macro_attribute]
pub fn server(
    args: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    expand(args.into(), item.into()).into()
}

fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = errors::Errors::default();
    let args = args::Args::new(args, &mut errors);
    let item = handler::Item::new(item, &mut errors);
    let server = item.handler.as_ref().map(|handler| {
        let plan = plan::Plan::new(&args, handler, &mut errors);
        expand::server(&plan)
    });
    // The user's item comes back untouched, so that half-typed code keeps its completion.
    let mut code = item.tokens;
    code.extend(server);
    code.extend(errors.into_tokens());
    code
}
