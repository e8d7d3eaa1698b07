//! [`LifeLine`]: one pipe that tells all processes of a server that it ends.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::pipe::{PipeFlags, pipe_with};

use crate::requests::lock;
use crate::sys::fork::ClosedInChildren;

/// Readable, or at its end, once a shutdown was asked for or the parent died. Nobody reads from it until another run begins.
#[derive(Debug)]
pub(super) struct LifeLine {
    fd: OwnedFd,
    /// Its other end; children do not have it.
    end: Mutex<Option<End>>,
    is_pulled: AtomicBool,
}

/// The end that the process keeps which bound the server: when that dies, all children see the end. So no child keeps it,
/// neither this server's nor another's of the same process.
#[derive(Debug)]
struct End {
    _closed_in_children: ClosedInChildren,
    fd: OwnedFd,
}

impl LifeLine {
    pub(super) fn new() -> io::Result<Self> {
        let (fd, end) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let end = End {
            _closed_in_children: ClosedInChildren::new(&end),
            fd: end,
        };
        Ok(Self {
            fd,
            end: Mutex::new(Some(end)),
            is_pulled: AtomicBool::new(false),
        })
    }

    /// What the handler of a signal pulls it by; children cannot.
    pub(super) fn end(&self) -> Option<RawFd> {
        lock(&self.end).as_ref().map(|end| end.fd.as_raw_fd())
    }

    /// Lets everybody know who polls it. Not for children: they have no end, and perhaps a lock that nobody will open.
    pub(super) fn pull(&self) {
        if let Some(end) = &*lock(&self.end)
            && !self.is_pulled.swap(true, Ordering::Relaxed)
        {
            // It fails only when the pipe is full, and then it is readable already.
            let _ = rustix::io::write(&end.fd, &[0]);
        }
    }

    /// In a child, where the other end is closed already. If another thread held the lock at the fork it is locked for ever,
    /// which harms nobody: only the process that bound the server asks for it.
    pub(super) fn forget_end(&self) {
        if let Ok(mut end) = self.end.try_lock() {
            std::mem::forget(end.take());
        }
    }

    /// Nobody has pulled it: another run begins.
    pub(super) fn mend(&self) {
        self.is_pulled.store(false, Ordering::Relaxed);
        // Empty already unless there was a shutdown.
        while rustix::io::read(&self.fd, &mut [0; 64]).is_ok_and(|count| count == 64) {}
    }
}

impl AsFd for LifeLine {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use crate::options::Options;
    use crate::requests::{Requests, lock};

    #[test]
    fn a_worker_does_not_wait_for_a_lock_of_its_parent() {
        let requests = Requests::new(Options::new(), None, Some(1)).expect("memory");
        requests.process.set_id(1);
        let (tell, told) = mpsc::channel();
        let held = lock(&requests.life.end); // As another thread's at the fork.
        thread::scope(|scope| {
            scope.spawn(|| {
                requests.pull_life_line();
                tell.send(())
            });
            let told = told.recv_timeout(Duration::from_secs(10));
            drop(held);
            told.expect("it returns");
        });
    }
}
