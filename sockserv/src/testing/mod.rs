//! A handler without a server: its request is bytes in memory, and time is what the script says.
//!
//! ```
//! use sockserv::prelude::*;
//! use sockserv::testing;
//!
//! #[derive(Clone)]
//! struct Echo;
//!
//! #[server(tcp, threading)]
//! impl Echo {
//!     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
//!         io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
//!     }
//! }
//!
//! let record = testing::stream(Echo).sends("hello\n").eof().run();
//! assert_eq!(record.text(), "hello\n");
//! assert!(record.error().is_none());
//! ```

mod memory;
mod record;
mod stream;

pub use record::Record;
pub use stream::StreamTest;

use crate::handler::StreamHandler;
use crate::server::declare::Declaration;

/// Begins a script for one connection to this handler: what its peer does, in order.
#[must_use]
pub fn stream<H: Declaration + StreamHandler>(handler: H) -> StreamTest<H> {
    StreamTest::new(handler)
}
