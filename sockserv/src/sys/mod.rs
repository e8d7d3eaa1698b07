//! The safe face of all unsafe code, and the one place where the platform is chosen.
//!
//! Everything else in this crate is safe Rust. Each file here wraps one facility of the kernel that neither `std` nor
//! `rustix` offers as a safe call: [`shared`] memory, [`fork`], [`signal`] handlers, batches of [`datagrams`], the names of
//! [`accounts`], a peer's [`credentials`], how much of a socket is [`unsent`], descriptors that were [`inherited`] and those
//! for a successor. Three have no unsafe code: [`clock`], [`poller`] and [`atomic`].
#![allow(
    unsafe_code,
    reason = "the only folder that may; see STYLE and the lints of the workspace"
)]

#[cfg(not(target_os = "linux"))]
compile_error!("sockserv needs Linux: it is built on epoll, eventfd and pidfd");

#[cfg(not(target_has_atomic = "64"))]
compile_error!(
    "sockserv needs a processor with 64-bit atomics: its processes share their counters"
);

pub(crate) mod accounts;
pub(crate) mod atomic;
pub(crate) mod clock;
pub(crate) mod credentials;
pub(crate) mod datagrams;
pub(crate) mod fork;
pub(crate) mod inherited;
pub(crate) mod poller;
pub(crate) mod shared;
pub(crate) mod signal;
#[cfg(feature = "upgrade")]
pub(crate) mod successor;
pub(crate) mod unsent;
