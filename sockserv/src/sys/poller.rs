//! Epoll, a wake-up and a timer: everything that a server waits for, behind one descriptor.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, epoll, eventfd, poll};
use rustix::io::{Errno, read, write};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

pub(crate) use rustix::event::epoll::EventFlags as Interest;

/// How many events one wait may report; more are reported by the next.
const EVENTS: usize = 64;

/// How long one wait may take at most: what is longer in milliseconds than an `i32` needs Linux 5.11, epoll_wait(2).
const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);

/// The kernel's own text speaks of a device: epoll_ctl(2).
const NO_ROOM: &str =
    "this user polls as many descriptors as it may; raise `fs.epoll.max_user_watches`";

/// An epoll instance whose entries are named by a `u64`.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
        })
    }

    /// Puts a new epoll instance, which no other process shares, in the place of this one.
    pub(crate) fn renew(&self) -> io::Result<()> {
        let Self { epoll } = Self::new()?;
        super::fork::replace(&self.epoll, epoll)
    }

    /// Without memory, or room, for one more the kind of the error is `OutOfMemory`.
    pub(crate) fn add(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        let data = epoll::EventData::new_u64(token);
        epoll::add(&self.epoll, fd, data, interest).map_err(|errno| match errno {
            Errno::NOSPC => io::Error::new(io::ErrorKind::OutOfMemory, NO_ROOM),
            _ => errno.into(),
        })
    }

    pub(crate) fn modify(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(
            &self.epoll,
            fd,
            epoll::EventData::new_u64(token),
            interest,
        )?)
    }

    pub(crate) fn remove(&self, fd: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, fd)?)
    }

    /// Waits until something is ready, at most `timeout`, and appends the ready tokens. A signal, or 24 days, counts as
    /// nothing ready.
    pub(crate) fn wait(&self, ready: &mut Vec<u64>, timeout: Option<Duration>) -> io::Result<()> {
        let mut events = [const { MaybeUninit::<epoll::Event>::uninit() }; EVENTS];
        let timeout = timeout.map(|timeout| timespec(timeout.min(LONGEST)));
        match epoll::wait(&self.epoll, &mut events[..], timeout.as_ref()) {
            Ok((events, _)) => ready.extend(events.iter().map(|event| event.data.u64())),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// An eventfd: readable from [`Wake::wake`] until [`Wake::clear`].
#[derive(Debug)]
pub(crate) struct Wake(OwnedFd);

impl Wake {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(eventfd(
            0,
            EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK,
        )?))
    }

    /// Puts a new eventfd, which no other process shares, in the place of this one.
    pub(crate) fn renew(&self) -> io::Result<()> {
        let Self(new) = Self::new()?;
        super::fork::replace(&self.0, new)
    }

    /// One `write`, which never blocks and may run in a signal handler: signal-safety(7).
    pub(crate) fn wake(&self) {
        // It fails only when the counter is full, and then it is readable already.
        let _ = write(&self.0, &1_u64.to_ne_bytes());
    }

    pub(crate) fn clear(&self) {
        // It fails only when nobody woke it.
        let _ = read(&self.0, &mut [0_u8; 8]);
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A timer that makes a descriptor readable, for those who poll a server from outside.
#[derive(Debug)]
pub(crate) struct Timer(OwnedFd);

impl Timer {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        Ok(Self(timerfd_create(TimerfdClockId::Monotonic, flags)?))
    }

    /// Puts a new timer, which no other process shares, in the place of this one.
    pub(crate) fn renew(&self) -> io::Result<()> {
        let Self(new) = Self::new()?;
        super::fork::replace(&self.0, new)
    }

    /// Rings once after `delay`, or never.
    pub(crate) fn set(&self, delay: Option<Duration>) -> io::Result<()> {
        // A zero would disarm it: what is due now rings after a nanosecond.
        let it_value = delay.map_or(timespec(Duration::ZERO), |delay| {
            timespec(delay.max(Duration::from_nanos(1)))
        });
        let once = Itimerspec {
            it_interval: timespec(Duration::ZERO),
            it_value,
        };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Returns what a descriptor is ready for now, of what is asked, and what poll(2) tells unasked.
pub(crate) fn ready_now(fd: BorrowedFd<'_>, interest: PollFlags) -> io::Result<PollFlags> {
    let mut fds = [PollFd::from_borrowed_fd(fd, interest)];
    poll(&mut fds, Some(&timespec(Duration::ZERO)))?;
    Ok(fds[0].revents())
}

/// The kernel's form of a duration; what does not fit is as good as for ever.
pub(crate) fn timespec(duration: Duration) -> Timespec {
    Timespec::try_from(duration).unwrap_or(Timespec {
        tv_sec: i64::MAX,
        tv_nsec: 0,
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, thread};

    use super::*;

    #[test]
    fn a_wait_of_weeks_needs_no_new_kernel() {
        let poller = Poller::new().expect("descriptors");
        let wake = Wake::new().expect("descriptors");
        poller.add(&wake, 1, Interest::IN).expect("it is open");
        let (own, thread) = std::sync::mpsc::channel();
        let wait = || {
            let told = own.send(rustix::thread::gettid().as_raw_nonzero());
            told.expect("it is waited for");
            let weeks = Duration::from_secs(600 * 3600);
            poller.wait(&mut Vec::new(), Some(weeks)).expect("it waits");
        };
        thread::scope(|scope| {
            let waits = scope.spawn(wait);
            let task = thread.recv().expect("it starts");
            let ways = [libc::SYS_epoll_pwait, libc::SYS_epoll_pwait2];
            let way = loop {
                assert!(!waits.is_finished());
                let call = fs::read_to_string(format!("/proc/self/task/{task}/syscall"));
                let call = call.expect("it runs");
                let number = call.split(' ').next().and_then(|word| word.parse().ok());
                if let Some(way) = number.filter(|number| ways.contains(number)) {
                    break way;
                }
                thread::yield_now();
            };
            wake.wake();
            assert_eq!(way, libc::SYS_epoll_pwait);
        });
    }
}
