//! A checked `fork`: refused while the process has other threads, with their names in the error.

use std::io::{self, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, FromRawFd as _, IntoRawFd as _, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fs, process, thread};

use super::inherited;
use rustix::io::{DupFlags, Errno, dup3};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
};

/// How often, a millisecond apart, other threads are looked for before a fork is refused.
const LOOKS: usize = 10;

/// Whether a fork must be safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Threads {
    /// Refuse to fork while there are other threads: one of them may hold a lock that the child needs.
    Refuse,
    /// The user vouches for it: `unsafe(forking)`.
    Allow,
}

/// Where the program goes on after [`fork`].
#[derive(Debug)]
pub(crate) enum Fork {
    Child,
    Parent(Child),
}

/// A child process that is ours: known by a descriptor, so its number can never mean a stranger.
#[derive(Debug)]
pub(crate) struct Child {
    pid: Pid,
    pidfd: OwnedFd,
}

/// Makes a child process, with the standard streams flushed so that nothing is written twice.
///
/// In the child the listeners of all servers are closed, but for those in `keep`: a port is free once its server has ended.
pub(crate) fn fork(threads: Threads, keep: &[RawFd]) -> io::Result<Fork> {
    if threads == Threads::Refuse {
        check_alone()?;
    }
    // Held across the fork, so that the child does not inherit a lock whose owner is not there, nor text that another thread
    // writes after the flush: it would be written twice.
    let hold = || {
        (
            io::stdout().lock(),
            io::stderr().lock(),
            listeners(),
            inherited::taken(),
        )
    };
    let held = (threads == Threads::Allow).then(hold);
    flush();
    share();
    // SAFETY: no other thread can hold a lock in the child: there is none, or the user took that on with `unsafe(forking)`.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    match Pid::from_raw(pid) {
        Some(pid) => Child::adopt(pid).map(Fork::Parent),
        None => {
            drop(held);
            close_listeners(keep);
            Ok(Fork::Child)
        }
    }
}

/// Whether another process may hold what this one does: its parent, or a child of its own.
static IS_SHARED: AtomicBool = AtomicBool::new(false);

fn share() {
    // A store would be a page for the parent to copy after each fork.
    if !is_shared() {
        IS_SHARED.store(true, Ordering::SeqCst);
    }
}

/// Whether closing a descriptor need not be the end of what it names.
pub(crate) fn is_shared() -> bool {
    IS_SHARED.load(Ordering::SeqCst)
}

/// In a worker: what it opens from now on nobody else has.
pub(crate) fn share_no_longer() {
    IS_SHARED.store(false, Ordering::SeqCst);
}

/// The descriptors that no child keeps.
static LISTENERS: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());

fn listeners() -> MutexGuard<'static, Vec<RawFd>> {
    LISTENERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// In a child: closes them, but for those in `keep`.
fn close_listeners(keep: &[RawFd]) {
    listeners().retain(|descriptor| {
        let keeps = keep.contains(descriptor);
        if !keeps {
            // SAFETY: this is a child that ends with `exit`, so the owner of the descriptor never uses or closes it here.
            unsafe { rustix::io::close(*descriptor) };
        }
        keeps // The number may mean another from here on.
    });
}

/// Has a descriptor closed in every child, as long as this lives. It must be dropped before the descriptor is closed.
#[derive(Debug)]
pub(crate) struct ClosedInChildren(RawFd);

impl ClosedInChildren {
    pub(crate) fn new(descriptor: impl AsFd) -> Self {
        let descriptor = descriptor.as_fd().as_raw_fd();
        listeners().push(descriptor);
        Self(descriptor)
    }
}

impl Drop for ClosedInChildren {
    fn drop(&mut self) {
        listeners().retain(|descriptor| *descriptor != self.0);
    }
}

/// Returns an error that says why this process cannot fork, or not watch its children.
pub(crate) fn check(threads: Threads) -> io::Result<()> {
    pidfd_open(rustix::process::getpid(), PidfdFlags::empty()).map_err(|errno| {
        let text = format!(
            "cannot watch children: pidfd_open: {errno}; `forking` and `prefork` need Linux 5.4 or later, and a container \
             that allows this call"
        );
        match errno {
            Errno::NOSYS | Errno::PERM => io::Error::new(errno.kind(), text),
            _ => errno.into(),
        }
    })?;
    match threads {
        Threads::Refuse => check_alone(),
        Threads::Allow => {
            share(); // Another thread may close something while the first child is made.
            Ok(())
        }
    }
}

/// Returns an error that names the other threads of this process, if it has any.
pub(crate) fn check_alone() -> io::Result<()> {
    // A thread that was joined leaves the process a moment after `pthread_join` has returned.
    for _ in 0..LOOKS {
        // A process's task folder has two links and one more for each thread: proc(5), one call instead of three.
        if rustix::fs::stat("/proc/self/task").is_ok_and(|stat| stat.st_nlink == 3) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(1));
    }
    let names = others().map_err(|error| {
        let text = format!(
            "cannot fork without seeing whether other threads run: `/proc/self/task`: {error}; mount /proc, or vouch for \
             them with `unsafe(forking)` or `unsafe(prefork)`"
        );
        io::Error::new(error.kind(), text)
    })?;
    if names.is_empty() {
        return Ok(());
    }
    let names = names.join(", ");
    Err(io::Error::other(format!(
        "cannot fork while other threads run ({names}): a lock that one of them holds would stay locked in the child; \
         start them in `setup` or `worker_start`, which run in the child, or vouch for them with `unsafe(forking)` or \
         `unsafe(prefork)`"
    )))
}

/// Returns the names of this process's other threads, each between backticks.
pub(crate) fn others() -> io::Result<Vec<String>> {
    let own = rustix::thread::gettid().as_raw_nonzero().to_string();
    let mut names = Vec::new();
    for task in fs::read_dir("/proc/self/task")?.flatten() {
        if task.file_name() != *own {
            // A thread that ended in between has no name left, and no lock either.
            names.extend(
                fs::read_to_string(task.path().join("comm"))
                    .map(|name| format!("`{}`", name.trim_end())),
            );
        }
    }
    Ok(names)
}

/// Ends a child without running anybody's destructors twice; the parent's exit code for it is `code`.
pub(crate) fn exit(code: i32) -> ! {
    flush();
    // SAFETY: `_exit` takes any code and does not return.
    unsafe { libc::_exit(code) }
}

/// Makes an open descriptor mean what `new` means; whoever owns it goes on owning it.
pub(crate) fn replace(descriptor: impl AsFd, new: OwnedFd) -> io::Result<()> {
    // SAFETY: it is open, and is not closed here: `dup3` closes what it named before and keeps its number, so that its
    // owner stays right.
    let old = unsafe { OwnedFd::from_raw_fd(descriptor.as_fd().as_raw_fd()) };
    dup3(&new, &mut ManuallyDrop::new(old), DupFlags::CLOEXEC)?;
    // SAFETY: nobody else has it. (The library's own `close` would be one more page for a child to map.)
    unsafe { rustix::io::close(new.into_raw_fd()) };
    Ok(())
}

/// The standard error is never buffered.
fn flush() {
    let _ = io::stdout().flush(); // A stream that cannot be flushed has nowhere to say so.
}

impl Child {
    pub(super) fn adopt(pid: Pid) -> io::Result<Self> {
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => Ok(Self { pid, pidfd }),
            Err(error) => {
                put_down(pid); // Out of descriptors.
                Err(error.into())
            }
        }
    }

    /// Ends it at once: a child that nobody could watch must not run.
    pub(crate) fn put_down(self) {
        put_down(self.pid);
    }

    pub(crate) fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Sends a signal. A child that has ended is not an error.
    pub(crate) fn signal(&self, signal: Signal) {
        let _ = pidfd_send_signal(&self.pidfd, signal);
    }

    /// Returns how the child ended, or `None` while it runs. Never looks at another child.
    pub(crate) fn ended(&self) -> Option<process::ExitStatus> {
        use std::os::unix::process::ExitStatusExt;
        match waitid(
            WaitId::PidFd(self.pidfd.as_fd()),
            WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
        ) {
            Ok(None) => None,
            Ok(Some(status)) => {
                let code = status.exit_status().map_or(0, |code| code << 8);
                let signal = status.terminating_signal().unwrap_or(0);
                let core = if status.dumped() { 0x80 } else { 0 };
                Some(process::ExitStatus::from_raw(code | signal | core))
            }
            // Somebody ignores SIGCHLD, so the kernel kept no status: the child has ended all the same.
            Err(_) => Some(process::ExitStatus::from_raw(0)),
        }
    }
}

/// Ends a child, and waits until it has. Both calls name our own child, which nobody else may reap, so neither can meet a
/// stranger.
fn put_down(pid: Pid) {
    let _ = rustix::process::kill_process(pid, Signal::KILL);
    let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
}

impl AsFd for Child {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}
