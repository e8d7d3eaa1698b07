//! Signal handlers that do one thing, write to descriptors, and that are put back when they are no longer needed.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::{fmt, io, mem, ptr};

pub(crate) use libc::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};

/// How many servers one set of signals can reach.
const SERVERS: usize = 64;

/// Where the handler writes: two descriptors at the first signal, one at each further one; -1 is nowhere.
static DRAIN: [[AtomicI32; 2]; SERVERS] = [const { [const { AtomicI32::new(-1) }; 2] }; SERVERS];
static CUT: [AtomicI32; SERVERS] = [const { AtomicI32::new(-1) }; SERVERS];

/// How many signals came since the last [`aim`].
static COUNT: AtomicU32 = AtomicU32::new(0);

/// How many threads run a handler now: each may be about to write to what it has loaded.
static HANDLING: AtomicU32 = AtomicU32::new(0);

/// How often SIGHUP and SIGUSR1 came.
static HANG_UPS: AtomicU32 = AtomicU32::new(0);
static QUESTIONS: AtomicU32 = AtomicU32::new(0);

/// How often SIGUSR2 came.
static UPGRADES: AtomicU32 = AtomicU32::new(0);

/// The operator's signals that were ever handled, a bit each: a child need not look at the others.
static HEEDED: AtomicU32 = AtomicU32::new(0);

/// Handles one signal until it is dropped; then what was there before handles it again.
pub(crate) struct Handled {
    signal: i32,
    before: libc::sigaction,
}

/// Chooses the descriptors that the handler writes to; all that were chosen before are forgotten, also by a handler that
/// runs on another thread meanwhile.
///
/// They must stay open until the next call. Beyond the first 64 servers none is told.
pub(crate) fn aim(targets: impl Iterator<Item = ([RawFd; 2], RawFd)>) {
    let mut targets = targets.fuse();
    COUNT.store(0, Ordering::SeqCst);
    for (drain, cut) in DRAIN.iter().zip(&CUT) {
        let ([wake, life], over) = targets.next().unwrap_or(([-1, -1], -1));
        // SeqCst: either the handler finds these, or it is found below.
        drain[0].store(wake, Ordering::SeqCst);
        drain[1].store(life, Ordering::SeqCst);
        cut.store(over, Ordering::SeqCst);
    }
    await_handlers();
}

/// Waits until no handler is left that runs now on another thread.
fn await_handlers() {
    while HANDLING.load(Ordering::SeqCst) > 0 {
        std::thread::yield_now();
    }
}

/// The same in the child of a fork, where no other thread runs a handler, whatever its parent's did.
pub(crate) fn aim_in_child(target: ([RawFd; 2], RawFd)) {
    HANDLING.store(0, Ordering::SeqCst);
    aim([target].into_iter());
}

/// How many signals came since the last [`aim`].
pub(crate) fn count() -> u32 {
    COUNT.load(Ordering::SeqCst)
}

/// Makes a signal write to the descriptors chosen by [`aim`].
pub(crate) fn handle(signal: i32) -> io::Result<Handled> {
    set(signal, on_signal as *const () as usize)
}

/// Makes SIGHUP wake the servers, and be remembered.
pub(crate) fn handle_hang_up() -> io::Result<Handled> {
    HEEDED.fetch_or(1 << SIGHUP, Ordering::Relaxed);
    set(SIGHUP, on_hang_up as *const () as usize)
}

/// Makes SIGUSR1 wake the servers, and be remembered, unless the application handles it.
pub(crate) fn handle_question() -> io::Result<Option<Handled>> {
    HEEDED.fetch_or(1 << SIGUSR1, Ordering::Relaxed);
    let handled = set(SIGUSR1, on_question as *const () as usize)?;
    let is_free = handled.before.sa_sigaction == libc::SIG_DFL;
    Ok(is_free.then_some(handled)) // Dropped, it gives the signal back.
}

/// How often SIGHUP came.
pub(crate) fn hang_ups() -> u32 {
    HANG_UPS.load(Ordering::SeqCst)
}

/// How often SIGUSR1 came.
pub(crate) fn questions() -> u32 {
    QUESTIONS.load(Ordering::SeqCst)
}

/// Makes SIGUSR2 wake the servers, and be remembered.
pub(crate) fn handle_upgrade() -> io::Result<Handled> {
    HEEDED.fetch_or(1 << SIGUSR2, Ordering::Relaxed);
    set(SIGUSR2, on_upgrade as *const () as usize)
}

/// How often SIGUSR2 came.
#[cfg(feature = "upgrade")]
pub(crate) fn upgrades() -> u32 {
    UPGRADES.load(Ordering::SeqCst)
}

/// All signals wait while this lives.
pub(crate) struct Masked(libc::sigset_t);

/// Lets all signals wait: what comes between a fork and the child's own handlers must not run its parent's.
pub(crate) fn mask() -> Masked {
    // SAFETY: all bytes zero is a valid `sigset_t`, and each is filled in before it is used.
    let (mut all, mut before): (libc::sigset_t, libc::sigset_t) = unsafe { mem::zeroed() };
    // SAFETY: it fills in the set that it is given.
    unsafe { libc::sigfillset(&raw mut all) };
    // SAFETY: both sets live through the call, which changes the calling thread's mask alone.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before) };
    Masked(before)
}

impl Drop for Masked {
    fn drop(&mut self) {
        // SAFETY: the set is the thread's own from before.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, ptr::null_mut()) };
    }
}

/// Makes the process ignore the signals that it handles for its operator, for good.
pub(crate) fn ignore_ours() -> io::Result<()> {
    let ours = [on_hang_up, on_question, on_upgrade].map(|handler| handler as *const () as usize);
    let heeded = HEEDED.load(Ordering::Relaxed);
    for signal in [SIGHUP, SIGUSR1, SIGUSR2] {
        if heeded & 1 << signal != 0 {
            let handled = ignore(signal)?;
            if ours.contains(&handled.before.sa_sigaction) {
                mem::forget(handled); // Dropped, it is the application's as before.
            }
        }
    }
    Ok(())
}

/// Makes the process ignore a signal.
pub(crate) fn ignore(signal: i32) -> io::Result<Handled> {
    set(signal, libc::SIG_IGN)
}

extern "C" fn on_signal(_: i32) {
    with_errno_kept(|| {
        let first = COUNT.fetch_add(1, Ordering::SeqCst) == 0;
        for (drain, cut) in DRAIN.iter().zip(&CUT) {
            tell(&drain[0]);
            tell(&drain[1]);
            if !first {
                tell(cut);
            }
        }
    });
}

extern "C" fn on_hang_up(_: i32) {
    with_errno_kept(|| remember(&HANG_UPS));
}

extern "C" fn on_question(_: i32) {
    with_errno_kept(|| remember(&QUESTIONS));
}

fn remember(count: &AtomicU32) {
    count.fetch_add(1, Ordering::SeqCst);
    DRAIN.iter().for_each(|[wake, _]| tell(wake));
}

extern "C" fn on_upgrade(_: i32) {
    with_errno_kept(|| remember(&UPGRADES));
}

/// The interrupted code must find its errno unchanged.
fn with_errno_kept(act: impl FnOnce()) {
    // SAFETY: the address of the calling thread's own errno, valid while the thread runs.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *errno };
    HANDLING.fetch_add(1, Ordering::SeqCst);
    act();
    HANDLING.fetch_sub(1, Ordering::SeqCst);
    // SAFETY: as above.
    unsafe { *errno = before };
}

fn tell(descriptor: &AtomicI32) {
    let descriptor = descriptor.load(Ordering::SeqCst);
    if descriptor >= 0 {
        let one = 1_u64.to_ne_bytes();
        // SAFETY: `write` is async-signal-safe and takes the eight bytes of a live array; the descriptors do not block.
        unsafe { libc::write(descriptor, one.as_ptr().cast(), one.len()) };
    }
}

fn set(signal: i32, action: usize) -> io::Result<Handled> {
    // SAFETY: all bytes zero is a valid `sigaction`: no handler, no flags, an empty mask.
    let mut new: libc::sigaction = unsafe { mem::zeroed() };
    new.sa_sigaction = action;
    new.sa_flags = libc::SA_RESTART;
    // SAFETY: as above.
    let mut before: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: both point to a valid `sigaction`, and the handler does nothing but async-signal-safe `write`s.
    if unsafe { libc::sigaction(signal, &raw const new, &raw mut before) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Handled { signal, before })
}

impl Drop for Handled {
    fn drop(&mut self) {
        // SAFETY: `before` is what the kernel gave us for this signal, and it accepted this signal once.
        unsafe { libc::sigaction(self.signal, &raw const self.before, ptr::null_mut()) };
    }
}

impl fmt::Debug for Handled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handled")
            .field("signal", &self.signal)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::thread;

    use super::*;

    #[test]
    fn a_new_aim_waits_for_a_handler_on_another_thread() {
        let said = Mutex::new(Vec::new());
        let say = |word| said.lock().expect("nobody panics").push(word);
        thread::scope(|scope| {
            with_errno_kept(|| {
                let (started, starts) = std::sync::mpsc::channel();
                scope.spawn(move || {
                    started.send(()).expect("it is waited for");
                    await_handlers();
                    say("aimed");
                });
                starts.recv().expect("it starts");
                (0..1000).for_each(|_| thread::yield_now()); // It could go on now.
                say("handled");
            });
        });
        assert_eq!(*said.lock().expect("nobody panics"), ["handled", "aimed"]);
    }
}
