//! Memory that a process shares with its children: how a child's request reports itself.

use std::ops::Deref;
use std::{fmt, io, ptr, slice};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// Values that may live in memory which several processes see.
///
/// # Safety
///
/// All bytes zero must be a valid value, every field must be an atomic, and there is nothing to drop.
pub(crate) unsafe trait Shareable: Sync {}

/// Declares a struct of atomics fit for shared memory; the compiler checks that it is `Sync`, needs no drop, and has a zero.
macro_rules! shareable {
    ($ty:ty) => {
        const _: () = assert!(!std::mem::needs_drop::<$ty>());
        // SAFETY: what is declared so, in `requests` and `limits`, holds atomics only, for which any bytes are valid.
        #[allow(unsafe_code, reason = "the macro belongs to `sys`")]
        unsafe impl $crate::sys::shared::Shareable for $ty {}
    };
}
pub(crate) use shareable;

/// A fixed number of zeroed values in an anonymous mapping; a forked child sees, and makes, the same changes.
///
/// The kernel lends a page only when it is first touched, so a large table that is hardly used costs hardly anything.
pub(crate) struct Shared<T: Shareable> {
    start: ptr::NonNull<T>,
    count: usize,
}

impl<T: Shareable> Shared<T> {
    pub(crate) fn zeroed(count: usize) -> io::Result<Self> {
        let length = Self::bytes(count).ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: a null hint lets the kernel choose the place, so no existing mapping is replaced.
        let start = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                length,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
            )
        }?;
        let start = ptr::NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, count })
    }

    fn bytes(count: usize) -> Option<usize> {
        count.max(1).checked_mul(size_of::<T>())
    }
}

impl<T: Shareable> Deref for Shared<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the mapping holds `count` values, page-aligned, zeroed (valid by `Shareable`), until `self` is dropped.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.count) }
    }
}

impl<T: Shareable> Drop for Shared<T> {
    fn drop(&mut self) {
        let length = Self::bytes(self.count).unwrap_or_default();
        // SAFETY: start and length are those of the mapping, and `&mut self` proves that nobody borrows from it.
        // An unmapping that fails leaves the memory mapped, which harms nobody.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), length) };
    }
}

// SAFETY: the mapping may be unmapped from any thread.
unsafe impl<T: Shareable> Send for Shared<T> {}
// SAFETY: only `&T` is handed out, and `T: Sync`.
unsafe impl<T: Shareable> Sync for Shared<T> {}

impl<T: Shareable> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("count", &self.count)
            .finish()
    }
}
