//! An upgrade in the accept loop: the process that is to take over, and the one that this process takes over from.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::listener::place::{Place, handover};
use crate::observer::Event;
use crate::server::declare::Declaration;
use crate::server::open::listener;
use crate::server::source::Source;
use crate::server::{FIRST_LISTENER, Server, UPGRADE};
use crate::signals::Signals;
use crate::sys::clock::Tick;
use crate::sys::poller::Interest;
use crate::upgrade::handover::{self as process, Look, Predecessor, Successor};

/// How many of the operator's SIGUSR2 were heeded, by whichever server of this process.
static HEEDED: AtomicU32 = AtomicU32::new(0);

/// What the accept loop keeps of upgrades.
#[derive(Debug, Default)]
pub(super) struct Upgrade {
    /// How many calls for one were heeded.
    heeded: u32,
    /// The process that is to take over.
    successor: Option<Successor>,
}

impl Upgrade {
    /// When the process that is to take over must be ready.
    pub(super) fn due(&self) -> Option<Tick> {
        self.successor.as_ref().map(Successor::until)
    }
}

impl<H: Declaration> Server<H> {
    /// Whether SIGUSR2 asks for one.
    pub(super) fn wants_upgrades(&self) -> bool {
        self.requests.options.upgrade
    }

    /// Takes all sockets that the process before this one had at an address of ours, where each of its workers had one and
    /// there are fewer now: closing one would reset who waits in it.
    pub(super) fn take_spare_sockets(&mut self) -> io::Result<()> {
        let workers = self.sources.len() / self.addrs.len().max(1);
        for index in 0..self.addrs.len() {
            let mut own = (0..workers).cycle();
            while let Some(spare) = self.spare(index)? {
                let token = FIRST_LISTENER + self.sources.len() as u64;
                let spare = listener(spare, self.requests.options.max_packet_size);
                let mut source = Source::new(spare, token);
                source.worker = self.sources[index].worker.and(own.next());
                self.sources.push(source);
            }
        }
        Ok(())
    }

    fn spare(&self, index: usize) -> io::Result<Option<Place>> {
        match self.sources[index].listener.place() {
            Some(place) if place.is_taken_over() => Place::take_over(place.kind, &place.address),
            _ => Ok(None),
        }
    }

    /// Begins an upgrade that somebody has asked for.
    pub(super) fn heed_upgrades(&mut self) {
        if self.requests.worker().is_some() {
            return; // It is for the process that bound the server.
        }
        let asked = self.requests.upgrades();
        let is_asked = std::mem::replace(&mut self.upgrade.heeded, asked) != asked;
        let is_signalled = self.handles_signals && {
            let signals = Signals::upgrades();
            HEEDED.swap(signals, Ordering::SeqCst) != signals
        };
        if !is_asked && !is_signalled {
            return;
        }
        if !process::begin() {
            return self.upgrade_failed("another upgrade is under way");
        }
        if let Err(error) = self.start_successor() {
            process::end();
            self.upgrade_failed(&error.to_string());
        }
    }

    fn start_successor(&mut self) -> io::Result<()> {
        if let Some(predecessor) = process::predecessor().filter(|_| self.requests.is_held()) {
            self.hear(predecessor); // It may just have answered.
        }
        check_may_end(self.requests.is_held())?;
        if self.requests.is_shutting_down() {
            return Err(io::Error::other("the server is shutting down"));
        }
        let timeout = self.requests.options.upgrade_timeout;
        let new = Successor::start(&handover::to_hand_over()?, timeout)?;
        let poller = &self.requests.poller;
        let watch = |fd| poller.add(fd, UPGRADE, Interest::IN);
        let watched = watch(new.channel()).and_then(|()| watch(new.process()));
        if let Err(error) = watched {
            new.kill();
            return Err(error);
        }
        let pid = new.id();
        self.upgrade.successor = Some(new);
        self.requests
            .options
            .observers
            .tell(|| Event::Upgrading { pid });
        Ok(())
    }

    /// Something has come from the process that is to take over, or from the one that is to be taken over from.
    pub(super) fn upgrade_goes_on(&mut self) {
        match process::predecessor().filter(|_| self.requests.is_held()) {
            Some(predecessor) => self.hear(predecessor),
            None => self.see_to_successor(),
        }
    }

    /// Looks how far the process is that is to take over.
    pub(super) fn see_to_successor(&mut self) {
        let Some(new) = &mut self.upgrade.successor else {
            return;
        };
        let why = match new.look() {
            Look::Starting => return,
            // It fails only if it was never added.
            Look::Closed => return drop(self.requests.poller.remove(new.channel())),
            Look::Failed(why) => why,
            Look::Ready => match self.hand_over() {
                Ok(()) => return,
                Err(error) => error.to_string(),
            },
        };
        self.end_upgrade(&why);
    }

    /// Lets it accept, and ends all servers of this process.
    fn hand_over(&mut self) -> io::Result<()> {
        let Some(new) = self.forget_successor() else {
            return Ok(());
        };
        let pid = new.id();
        if let Err((new, error)) = new.go() {
            self.upgrade.successor = Some(new);
            return Err(error);
        }
        crate::notify::name_successor(pid);
        let servers = process::servers();
        servers.iter().for_each(|server| server.hand_over());
        crate::error::note(&format!("process {pid} has taken over"));
        self.requests
            .options
            .observers
            .tell(|| Event::Upgraded { pid });
        Ok(())
    }

    /// Takes it out of the poll set.
    fn forget_successor(&mut self) -> Option<Successor> {
        let new = self.upgrade.successor.take()?;
        for descriptor in [new.channel(), new.process()] {
            // It fails only if it was never added, or is not there any more.
            let _ = self.requests.poller.remove(descriptor);
        }
        Some(new)
    }

    /// In a worker: an upgrade that is under way, in either direction, is its parent's.
    pub(super) fn leave_upgrade(&mut self) {
        if let Some(new) = self.upgrade.successor.take() {
            new.leave_to_parent();
        }
        // What no server has asked for its parent will close, and it is closed only when all have.
        drop(process::predecessor().map(Predecessor::close_the_rest));
    }

    /// The run ends: whoever is to take over comes too late.
    pub(super) fn give_up_upgrade(&mut self) {
        self.end_upgrade("the server is shutting down");
    }

    fn end_upgrade(&mut self, why: &str) {
        if let Some(new) = self.forget_successor() {
            new.kill();
            process::end();
            self.upgrade_failed(why);
        }
    }

    fn upgrade_failed(&self, why: &str) {
        crate::error::note(&format!("cannot upgrade: {why}; this process goes on"));
        self.requests
            .options
            .observers
            .tell(|| Event::UpgradeFailed { why });
    }

    /// In a process that is to take over: tells when all its servers could accept, and goes on when it may.
    pub(super) fn see_to_predecessor(&mut self) {
        let requests = &self.requests;
        if !requests.is_held() || requests.worker().is_some() || requests.is_draining() {
            return;
        }
        let Some(predecessor) = process::predecessor().filter(|old| !old.is_over()) else {
            return self.take_over();
        };
        if self.handles_signals {
            process::note_run();
        }
        if self.leaves_it_to_workers() && !requests.are_workers_ready() {
            return;
        }
        requests.note_prepared();
        let watch = |channel: BorrowedFd<'_>| requests.poller.add(channel, UPGRADE, Interest::IN);
        if process::is_ready(predecessor)
            && let Err(error) = predecessor.tell_ready(watch)
        {
            // Nor can anything else be waited for. The other one goes on when this one ends.
            crate::error::note(&format!("cannot take over: {error}"));
            requests.shutdown();
        }
    }

    /// The process before this one has answered, or died.
    fn hear(&mut self, predecessor: &Predecessor) {
        if !predecessor.look() {
            return;
        }
        // It fails only if it was never added.
        let _ = self.requests.poller.remove(predecessor.channel());
        handover::close(predecessor.close_the_rest());
        for server in process::servers() {
            server.ring();
        }
        self.take_over();
    }

    /// This server accepts from now on.
    fn take_over(&mut self) {
        for place in self.places() {
            if let Err(error) = place.own(&self.requests.options) {
                let at = place.announced();
                crate::error::note(&format!("cannot set the options of `{at}` anew: {error}"));
            }
        }
        self.requests.release();
    }

    /// Leaves the paths to the process that has taken over.
    pub(super) fn disown(&self) {
        if self.requests.is_handed_over() {
            self.places().for_each(Place::disown);
        }
    }

    /// All that this server listens on.
    fn places(&self) -> impl Iterator<Item = &Place> {
        let sources = self.sources.iter();
        #[cfg(feature = "admin")]
        let sources = sources.chain(self.admin.iter().flat_map(super::admin::Admin::sources));
        sources.filter_map(|source| source.listener.place())
    }
}

/// Returns an error if the end of this process would be the end of more, or if another one must end first.
fn check_may_end(is_held: bool) -> io::Result<()> {
    let why = if std::process::id() == 1 {
        "this is process 1, with which all others would end; replace its container"
    } else if is_held {
        "this process itself has not taken over yet"
    } else if process::predecessor().is_some_and(|old| old.is_there()) {
        "the process that this one took over from still serves its last requests"
    } else {
        return Ok(());
    };
    Err(io::Error::other(why))
}
