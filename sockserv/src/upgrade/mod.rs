//! A new process of the program takes over from the old one, and no client notices.
//!
//! ```
//! # #[cfg(feature = "upgrade")]
//! use sockserv::prelude::*;
//!
//! # #[cfg(feature = "upgrade")]
//! #[derive(Clone)]
//! struct Echo;
//!
//! # #[cfg(feature = "upgrade")]
//! #[server(tcp, threading, addr = "127.0.0.1:7007", upgrade)]
//! impl Echo {
//!     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
//!         io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
//!     }
//! }
//!
//! # #[cfg(feature = "upgrade")]
//! fn main() -> io::Result<()> {
//! #     if true {
//! #         // Not at its own port, which may be taken.
//! #         let server = EchoServer::bind_to("127.0.0.1:0", Echo)?.spawn()?;
//! #         sockserv::testing::Client::connect(&server).send("hello\n").expect_line("hello");
//! #         return Ok(());
//! #     }
//!     EchoServer::bind(Echo)?.run()
//! }
//! # #[cfg(not(feature = "upgrade"))]
//! # fn main() {}
//! ```
//!
//! Put the new version in the place of the old one, and ask the process that runs for it:
//!
//! ```sh
//! mv echod.new /usr/local/bin/echod
//! kill -USR2 "$(pidof echod)"
//! ```
//!
//! It needs the feature `upgrade`. The signal is an option, because the process that runs *ends* by it. `ServerHandle::upgrade` asks for the same
//! without one, from anywhere: a handler, a worker, an admin's command.
//!
//! # What happens
//!
//! 1. The old process starts the program anew: by the path that it was called by itself, so that a link which was
//!    exchanged counts, with the same arguments, the same environment and the same working folder.
//! 2. The new process is given the listening sockets. Each `bind` takes the one that a server of the old process had for
//!    the same transport and address, as it was asked for: also for port 0 and for Unix paths. What systemd handed over
//!    (`systemd:web`) and what has a number (`fd:3`) it finds under the same word. What it asks for and the old one did
//!    not have, it binds.
//! 3. It prepares itself, the workers of `pool` and `prefork` included, and accepts nothing. When all its servers could
//!    accept, it says so.
//! 4. The old process lets go of the sockets and answers. From then on the new one accepts, and what waited in the kernel's
//!    queues is its first work: no connection is refused or reset, no packet is lost.
//! 5. The old process drains as at a shutdown, without `lame_duck`, and ends. Who has connected and not said a word yet is
//!    still served by it: those words may be on their way.
//!
//! Whatever goes wrong before 4, the old process goes on, and nothing of it has changed: the new one cannot be started,
//! ends, closes its sockets, is not ready within `upgrade_timeout` (then it is killed). A line on standard error says so,
//! an [`Observer`](crate::observer::Observer) is told [`Upgrading`], [`Upgraded`] or [`UpgradeFailed`].
//!
//! # The rules
//!
//! They are those of Cloudflare's [tableflip] for Go and its sister [shellflip] for Rust:
//!
//! | rule | here |
//! |---|---|
//! | no old code keeps running after an upgrade | the old process drains for `shutdown_grace`, and ends |
//! | the new process has time to prepare itself | `upgrade_timeout`, 30 s |
//! | a crash while it starts does no harm | the old one has accepted all the time |
//! | one upgrade at a time | nor is there another one before the process has ended that was before this one |
//! | who asked learns the result | the line, the event, `ServerHandle::is_handed_over`, and at last the end of the process |
//!
//! The signal is that of nginx. Why the ones who have just come are spared: Go's `net/http` gives its `StateNew` connections
//! five seconds for the same reason ([golang/go#22682]).
//!
//! [tableflip]: https://github.com/cloudflare/tableflip
//! [shellflip]: https://github.com/cloudflare/shellflip
//! [golang/go#22682]: https://github.com/golang/go/issues/22682
//! [`Upgrading`]: crate::observer::Event::Upgrading
//! [`Upgraded`]: crate::observer::Event::Upgraded
//! [`UpgradeFailed`]: crate::observer::Event::UpgradeFailed
//!
//! # A program with several servers
//!
//! It is upgraded as a whole. The new process is ready when each server that it has made serves, and either one of them is
//! in `run` or every socket was asked for: so make all servers before the first `run`. Then the sockets that nobody
//! asked for are closed, with what waits in them, and their Unix paths removed: a new version may do without an address.
//!
//! # What it does not do
//!
//! - Sockets alone are handed over: no connections, no memory. What requests share belongs into a database, or is gone.
//! - A [`Listener`](crate::Listener) of your own is not known to it.
//! - A path keeps the `mode`, `owner` and `group` that it has, a port its `reuse_port` and `only_v6`, whatever the new
//!   version's attribute says. `timeout`, `nodelay` and `keepalive` are those of the new version.
//! - A file that the old process locks is locked until it ends.
//!
//! # Who watches the process
//!
//! Its number changes. Process 1 of a container refuses, because all others would end with it: there the container is
//! replaced, behind a load balancer that `lame_duck` serves. A service manager that takes the end of the process for the
//! end of the service must be told of the new one; under systemd that is `Type=notify`.
//!
//! # Platforms
//!
//! Linux, as everything here. It needs `/proc` only to find out where a program is that was not called by its path.

#[cfg(feature = "upgrade")]
pub(crate) mod handover;
pub(crate) mod label;
