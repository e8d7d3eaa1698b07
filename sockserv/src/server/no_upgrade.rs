//! In the place of `upgrade.rs` where that feature is off: no process takes over from another.

use std::io;

use crate::server::Server;
use crate::server::declare::Declaration;
use crate::sys::clock::Tick;

#[derive(Debug, Default)]
pub(super) struct Upgrade {}

impl Upgrade {
    pub(super) fn due(&self) -> Option<Tick> {
        None
    }
}

impl<H: Declaration> Server<H> {
    pub(super) fn wants_upgrades(&self) -> bool {
        false
    }

    pub(super) fn take_spare_sockets(&mut self) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn heed_upgrades(&mut self) {}

    pub(super) fn upgrade_goes_on(&mut self) {}

    pub(super) fn see_to_successor(&mut self) {}

    pub(super) fn leave_upgrade(&mut self) {}

    pub(super) fn give_up_upgrade(&mut self) {}

    pub(super) fn see_to_predecessor(&mut self) {}

    pub(super) fn disown(&self) {}
}
