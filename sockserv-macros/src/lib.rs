//! The `#[server]` attribute of [sockserv](https://docs.rs/sockserv).
#![forbid(unsafe_code)]

use proc_macro::TokenStream;

#[allow(
    missing_docs,
    reason = "documented where `sockserv` re-exports it: there the examples can run"
)]
#[proc_macro_attribute]
pub fn server(args: TokenStream, item: TokenStream) -> TokenStream {
    sockserv_codegen::expand(args.into(), item.into()).into()
}
