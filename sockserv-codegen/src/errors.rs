//! Every mistake of one compile, each at the user's own word.

use std::fmt::Display;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// Collects, so that one compile shows every mistake.
#[derive(Default)]
pub(crate) struct Errors(Vec<syn::Error>);

impl Errors {
    /// Says `message` at `tokens`.
    pub(crate) fn at(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.0.push(syn::Error::new_spanned(tokens, message));
    }

    /// Says `message` at a place.
    pub(crate) fn at_span(&mut self, span: Span, message: impl Display) {
        self.0.push(syn::Error::new(span, message));
    }

    /// Says `message` at the attribute as a whole: only where nothing was written that could be pointed at.
    pub(crate) fn at_attribute(&mut self, message: impl Display) {
        self.0.push(syn::Error::new(Span::call_site(), message));
    }

    /// Keeps the error of a parser and goes on without its value.
    pub(crate) fn take<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.0.push(error)).ok()
    }

    /// Returns how many there are, to see later whether one was added.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the mistakes, each with its place.
    pub(crate) fn into_vec(self) -> Vec<syn::Error> {
        self.0
    }

    /// Returns one `compile_error!` for each mistake.
    pub(crate) fn into_tokens(self) -> TokenStream {
        self.0.iter().map(syn::Error::to_compile_error).collect()
    }
}
