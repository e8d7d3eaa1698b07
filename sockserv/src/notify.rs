//! What a service manager is told, one datagram each: sd_notify(3).

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::sys::clock::Tick;

/// How long a manager may be too busy to listen: what it misses then is lost, and the server goes on.
const MANAGER_WAIT: Duration = Duration::from_secs(1);

/// The service manager that started this process, if it wants to be told.
#[derive(Debug)]
pub(crate) struct Manager {
    at: SocketAddr,
    /// How often it wants to hear that we are alive, at least.
    watchdog: Option<Duration>,
    /// When the next beat is due.
    beat: Option<Tick>,
}

impl Manager {
    /// Finds the manager by the environment, which an upgrade `inherits` from the process that it takes over from.
    ///
    /// # Errors
    ///
    /// That `NOTIFY_SOCKET` names something that cannot be told.
    pub(crate) fn find(inherits: bool) -> io::Result<Option<Self>> {
        let Some(name) = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let number = |name| env::var(name).ok()?.parse::<u64>().ok();
        let own = u64::from(std::process::id());
        let is_mine = inherits || number("WATCHDOG_PID").is_none_or(|process| process == own);
        let watchdog = number("WATCHDOG_USEC").filter(|&micros| is_mine && micros > 0);
        let watchdog = watchdog.map(Duration::from_micros);
        Ok(Some(Self {
            at: address(&name)?,
            watchdog,
            beat: watchdog.map(|_| Tick::coarse()),
        }))
    }

    /// Tells it what `assignments` say: lines of `NAME=value`.
    pub(crate) fn tell(&self, assignments: &str) -> io::Result<()> {
        // One socket for each: it is seldom, and no child inherits one.
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(MANAGER_WAIT))?;
        loop {
            match socket.send_to_addr(assignments.as_bytes(), &self.at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.map(drop),
            }
        }
    }

    /// When it must hear from us next.
    pub(crate) fn due(&self) -> Option<Tick> {
        self.beat
    }

    /// Whether it must hear from us now; if so, the next beat is half of its patience away, as sd_watchdog_enabled(3)
    /// recommends.
    pub(crate) fn must_beat(&mut self) -> bool {
        let now = Tick::now();
        let is_due = self.beat.is_some_and(|beat| beat <= now);
        if is_due {
            self.beat = self.watchdog.map(|interval| now.after(interval / 2));
        }
        is_due
    }
}

/// Tells the manager, if there is one, that another process is the service's main one from now on.
#[cfg(feature = "upgrade")]
pub(crate) fn name_successor(pid: u32) {
    let told = Manager::find(false).and_then(|manager| match manager {
        Some(manager) => manager.tell(&format!("MAINPID={pid}")),
        None => Ok(()),
    });
    if let Err(error) = told {
        crate::error::note(&format!(
            "cannot tell the service manager of process {pid}: {error}"
        ));
    }
}

/// A path, or an abstract name after `@`.
fn address(name: &OsString) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'/', ..] => SocketAddr::from_pathname(name),
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "neither a path nor an abstract name",
        )),
    }
}
