//! What the `#[server]` attribute of [sockserv](https://docs.rs/sockserv) makes of a handler: `parse -> plan -> expand`.
//!
//! It is for the attribute itself and for `cargo sockserv`; its interface follows theirs and promises nothing to others.
#![forbid(unsafe_code)]

mod address;
mod args;
mod errors;
mod expand;
mod handler;
mod hooks;
mod inspect;
#[cfg(feature = "rpc")]
mod interface;
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

pub use inspect::{Amount, Inspection, Part, Setting, inspect};
#[cfg(feature = "rpc")]
pub use interface::{Interface, Procedure};

/// Returns what the attribute makes of its arguments and its item: the item as it is, what it needs to be a server, and a
/// `compile_error!` for each mistake.
///
/// # Examples
///
/// ```
/// use quote::quote;
///
/// let handler = quote!(impl Echo { fn handle(&mut self, stream: &mut Stream) {} });
/// let code = sockserv_codegen::expand(quote!(tcp, threading), handler);
/// assert!(code.to_string().contains("struct EchoServer"));
/// ```
#[must_use]
pub fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
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
