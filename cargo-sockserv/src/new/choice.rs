//! What there is to choose from.

use clap::ValueEnum;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// A byte stream over IP
    Tcp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Model {
    /// A thread for each request
    Threading,
}

#[derive(Clone, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    /// Bytes, as they come
    Raw,
}
