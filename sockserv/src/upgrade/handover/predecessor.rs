//! The process that this one is to take over from.

use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{env, io};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::sys::inherited;
use crate::upgrade::handover::{GO, READY, VARIABLE, sockets};
use crate::upgrade::label::Label;

/// The process that started this one to take its place.
#[derive(Debug)]
pub(crate) struct Predecessor {
    channel: OwnedFd,
    sockets: Vec<(RawFd, Label)>,
    is_told: AtomicBool,
    has_gone: AtomicBool,
}

/// Returns the process that started this one to take its place, if one did.
pub(crate) fn predecessor() -> Option<&'static Predecessor> {
    static PREDECESSOR: OnceLock<Option<Predecessor>> = OnceLock::new();
    let find = || match Predecessor::find() {
        Ok(predecessor) => predecessor,
        Err(error) => {
            crate::error::note(&format!(
                "cannot take over what `{VARIABLE}` names: {error}"
            ));
            None
        }
    };
    PREDECESSOR.get_or_init(find).as_ref()
}

impl Predecessor {
    fn find() -> io::Result<Option<Self>> {
        let Some(channel) = env::var(VARIABLE).ok().and_then(|text| channel(&text)) else {
            return Ok(None);
        };
        let channel = inherited::take(channel)?;
        let mut sockets = Vec::new();
        while let Some((fd, label)) = sockets::receive(channel.as_fd())? {
            sockets.push((fd.into_raw_fd(), label)); // Like any inherited one: nobody's until a server takes it.
        }
        Ok(Some(Self {
            channel,
            sockets,
            is_told: AtomicBool::new(false),
            has_gone: AtomicBool::new(false),
        }))
    }

    /// The sockets that it gave, by their numbers here; those that were taken meanwhile as well.
    pub(crate) fn sockets(&self) -> &[(RawFd, Label)] {
        &self.sockets
    }

    /// Whether all that a server must ask for by its address was asked for.
    pub(crate) fn is_taken(&self) -> bool {
        let mut asked = self
            .sockets
            .iter()
            .filter(|(_, label)| must_be_taken(label));
        asked.all(|(fd, _)| inherited::peek(*fd).is_none())
    }

    /// Tells it, once, that this process is ready to accept. Before that `watch` is given what becomes readable when it
    /// answers: its answer is the last thing that it does for its clients, and must not be missed.
    ///
    /// # Errors
    ///
    /// That of `watch`, and it is not told.
    pub(crate) fn tell_ready(
        &self,
        watch: impl FnOnce(BorrowedFd<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        if !self.is_told.swap(true, Ordering::SeqCst) {
            watch(self.channel())?;
            // It fails if the other one has died; then `look` finds that.
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            let _ = send(&self.channel, READY, flags);
        }
        Ok(())
    }

    /// What becomes readable when it answers.
    pub(crate) fn channel(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }

    /// Looks whether it has let this process accept, or died since it was told.
    pub(crate) fn look(&self) -> bool {
        if !self.is_told.load(Ordering::SeqCst) {
            return false;
        }
        let mut word = [0; GO.len()];
        match recv(&self.channel, &mut word, RecvFlags::DONTWAIT) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            _ => self.has_gone.store(true, Ordering::SeqCst),
        }
        self.is_over()
    }

    /// Whether this process accepts in its place.
    pub(crate) fn is_over(&self) -> bool {
        self.has_gone.load(Ordering::SeqCst)
    }

    /// Whether it still runs, to serve what it has accepted.
    pub(crate) fn is_there(&self) -> bool {
        let end = recv(&self.channel, &mut [0; 1], RecvFlags::DONTWAIT);
        matches!(end, Err(Errno::AGAIN | Errno::INTR))
    }

    /// Closes the sockets that no server of this process has asked for; returns their labels.
    pub(crate) fn close_the_rest(&self) -> Vec<(OwnedFd, Label)> {
        let rest = self
            .sockets
            .iter()
            .filter(|(_, label)| must_be_taken(label));
        let rest = rest.filter_map(|(fd, label)| Some((inherited::take(*fd).ok()?, label.clone())));
        rest.collect()
    }
}

/// What systemd handed over may wait for a server that asks for it by name.
fn must_be_taken(label: &Label) -> bool {
    !matches!(label, Label::Systemd { .. })
}

/// Returns the descriptor of the channel, if it was meant for this process: who made it is our parent.
fn channel(text: &str) -> Option<RawFd> {
    let (parent, fd) = text.split_once(':')?;
    let is_ours = parent.parse() == Ok(std::os::unix::process::parent_id());
    fd.parse().ok().filter(|_| is_ours)
}
