//! The driver of the contract suite: starts a server of any cell as a process, talks to it, and looks at it from outside.
#![allow(
    clippy::missing_panics_doc,
    reason = "a driver of tests panics where a test fails"
)]

mod caller;
mod cell;
mod client;
mod folder;
mod gate;
mod process;
mod said;
mod server;
mod wait;

pub use caller::{
    Caller, ECHO, FAIL, FINISH_FAILS, GATE, NULL, PROGRAM, Procedure, VERSION, call, record,
};
pub use cell::{Cell, Model, Transport};
pub use client::Client;
pub use folder::Folder;
pub use gate::Gate;
pub use process::Process;
pub use said::{Ended, Event};
pub use server::{Scenario, Server, program};
pub use wait::{pace, until, wait_until};

use std::time::Duration;

/// How long anything may take that has to happen at all.
pub const DEADLINE: Duration = Duration::from_secs(10);
