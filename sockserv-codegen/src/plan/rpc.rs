//! `rpc = "calculator.x"`: the file is read, and its procedures are looked for among the methods.

#[cfg(feature = "rpc")]
mod found;

use crate::args::{Args, Given};
use crate::errors::Errors;
use crate::handler::Handler;

#[cfg(feature = "rpc")]
pub(crate) use found::{Procedures, Rpc, module, unwritten};

/// Nothing without the feature.
#[cfg(not(feature = "rpc"))]
pub(crate) struct Rpc<'a>(std::convert::Infallible, std::marker::PhantomData<&'a ()>);

#[cfg(not(feature = "rpc"))]
impl Rpc<'_> {
    /// Returns where the file is named.
    pub(crate) fn span(&self) -> proc_macro2::Span {
        match self.0 {}
    }

    /// Tells whether a method is a procedure.
    pub(super) fn has(&self, _: &crate::handler::Method) -> bool {
        match self.0 {}
    }
}

/// Reads the file and finds the methods.
#[cfg(feature = "rpc")]
pub(super) fn rpc<'a>(
    args: &'a Args,
    handler: &'a Handler,
    errors: &mut Errors,
) -> Option<Rpc<'a>> {
    let Given { value, .. } = args.interfaces.first()?;
    Some(Rpc::new(value, args.folder.as_deref(), handler, errors))
}

/// The runtime cannot do it while its feature is off.
#[cfg(not(feature = "rpc"))]
pub(super) fn rpc<'a>(args: &'a Args, _: &'a Handler, errors: &mut Errors) -> Option<Rpc<'a>> {
    let Given { word, .. } = args.interfaces.first()?;
    errors.at(
        word,
        "option `rpc` needs the feature `rpc`; write `sockserv = { version = \"...\", features = [\"rpc\"] }` in Cargo.toml",
    );
    None
}
