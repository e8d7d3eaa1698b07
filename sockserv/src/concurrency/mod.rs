//! How requests meet threads and processes: [`Model`], what it is given ([`Unit`]), and the models themselves.

pub(crate) mod crew;
pub(crate) mod forking;
pub(crate) mod life;
pub(crate) mod model;
pub(crate) mod parking;
pub(crate) mod pool;
pub(crate) mod prefork;
pub(crate) mod synchronous;
pub(crate) mod threading;
pub(crate) mod unit;

pub use forking::{Forking, UncheckedForking};
pub use model::{Model, Workers};
pub use pool::Pool;
pub use prefork::{Prefork, UncheckedPrefork};
pub use synchronous::Synchronous;
pub use threading::Threading;
pub(crate) use unit::Lent;
pub use unit::Unit;

/// The hook `worker_start`.
pub(crate) type WorkerStart<H> = fn(&mut H, usize) -> std::io::Result<()>;
