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

/// How long something may take that has nothing to wait for: less than a grace, or a patience, of eight seconds or more.
/// Generous, because other tests use the processors, too.
pub const AT_ONCE: Duration = Duration::from_secs(6);

/// How much too early a deadline may be: the clock that it was measured from goes by a tick of the kernel's, and stands while
/// the machine does.
pub const COARSE: Duration = Duration::from_millis(50);
