//! The guide: fourteen short chapters, from a first server to the internals. Each can be read by itself.
//!
//! | chapter | the question it answers |
//! |---|---|
//! | [`first_server`] | How do I write a server, and run it? |
//! | [`choosing_a_model`] | Which word: `sync`, `threading`, `pool`, `forking` or `prefork`? What does each cost? |
//! | [`state`] | Where do I keep what requests share, and what each has for itself? |
//! | [`errors_and_panics`] | What happens when a request fails, and who hears of it? |
//! | [`timeouts_and_limits`] | What stops peers that are slow, greedy or too many? |
//! | [`draining`] | How does a server stop without cutting anybody off? |
//! | [`testing`] | How do I test a handler? |
//! | [`framing_and_commands`] | How do I handle messages, commands and calls instead of bytes? |
//! | [`from_python`] | What is Python's `socketserver` called here? |
//! | [`from_tokio`] | When is an asynchronous runtime the better choice? |
//! | [`operating`] | What does a server print, which signals does it handle, how do I watch and replace it? |
//! | [`deploying`] | How do I run it behind HAProxy, under systemd, in Docker and Kubernetes? |
//! | [`inside`] | How does it work? |
//! | [`unsafe_code`] | Where is the unsafe code, and why is it sound? |

#[doc = include_str!("first_server.md")]
pub mod first_server {}

#[doc = include_str!("choosing_a_model.md")]
pub mod choosing_a_model {}

#[doc = include_str!("state.md")]
pub mod state {}

#[doc = include_str!("errors_and_panics.md")]
pub mod errors_and_panics {}

#[doc = include_str!("timeouts_and_limits.md")]
pub mod timeouts_and_limits {}

#[doc = include_str!("draining.md")]
pub mod draining {}

#[doc = include_str!("testing.md")]
pub mod testing {}

#[doc = include_str!("framing_and_commands.md")]
pub mod framing_and_commands {}

#[doc = include_str!("from_python.md")]
pub mod from_python {}

#[doc = include_str!("from_tokio.md")]
pub mod from_tokio {}

#[doc = include_str!("operating.md")]
pub mod operating {}

#[doc = include_str!("deploying.md")]
pub mod deploying {}

#[doc = include_str!("inside.md")]
pub mod inside {}

#[doc = include_str!("unsafe_code.md")]
pub mod unsafe_code {}
