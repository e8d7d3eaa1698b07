//! Memory that a process shares with its children: how a child's request reports itself.

use std::ffi::c_void;
use std::ops::Deref;
use std::sync::Arc;
use std::{fmt, io, ptr, slice};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// Values that may live in memory which several processes see.
///
/// # Safety
///
/// All bytes zero must be a valid value, every field must be an atomic, and there is nothing to drop.
pub(crate) unsafe trait Shareable: Sync {}

/// Declares a type of nothing but atomics fit for shared memory; the compiler checks that it is `Sync` and needs no drop.
macro_rules! shareable {
    ($ty:ty) => {
        const _: () = assert!(!std::mem::needs_drop::<$ty>());
        // SAFETY: all that is declared so holds atomics only, for which any bytes are valid; none is dropped, as was checked.
        #[allow(unsafe_code, reason = "the macro belongs to `sys`")]
        unsafe impl $crate::sys::shared::Shareable for $ty {}
    };
}
pub(crate) use shareable;

/// How much is mapped at a time, unless one table needs more.
const CHUNK: usize = 256 << 10;

/// Where the tables of one server come from: they lie side by side, because a fork pays for each mapping.
///
/// The kernel lends a page only when it is first touched, so a large table that is hardly used costs hardly anything.
#[derive(Default)]
pub(crate) struct Memory {
    chunk: Option<Arc<Mapping>>,
    used: usize,
}

impl Memory {
    /// Returns a table of `count` zeroed values; a forked child sees, and makes, the same changes.
    pub(crate) fn table<T: Shareable>(&mut self, count: usize) -> io::Result<Shared<T>> {
        let length = size_of::<T>().checked_mul(count);
        let length = length.ok_or(io::ErrorKind::OutOfMemory)?;
        let (chunk, start) = self.take(length, align_of::<T>().max(CACHE_LINE))?;
        // SAFETY: `take` returns a place within the mapping.
        let start = unsafe { chunk.start.byte_add(start) }.cast();
        Ok(Shared {
            start,
            count,
            _chunk: chunk,
        })
    }

    /// Takes so many bytes that nobody has, and returns where they are.
    fn take(&mut self, length: usize, align: usize) -> io::Result<(Arc<Mapping>, usize)> {
        let start = self.used.next_multiple_of(align);
        let fits = |chunk: &&Arc<Mapping>| {
            let left = chunk.length.checked_sub(start);
            left.is_some_and(|left| left >= length)
        };
        let (chunk, start) = match self.chunk.as_ref().filter(fits) {
            Some(chunk) => (Arc::clone(chunk), start),
            None => (Arc::new(Mapping::new(length.max(CHUNK))?), 0),
        };
        self.used = start + length;
        self.chunk = Some(Arc::clone(&chunk));
        Ok((chunk, start))
    }
}

/// An anonymous mapping, zeroed, that children share; no two tables in it are on one line of the processor's cache.
struct Mapping {
    start: ptr::NonNull<c_void>,
    length: usize,
}

const CACHE_LINE: usize = 64;

impl Mapping {
    fn new(length: usize) -> io::Result<Self> {
        // SAFETY: a null hint lets the kernel choose the place, so no existing mapping is replaced.
        let start = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                length,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
            )
        }?;
        let start = ptr::NonNull::new(start).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, length })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: start and length are those of the mapping, and `&mut self` proves that no table in it is left.
        // An unmapping that fails leaves the memory mapped, which harms nobody.
        let _ = unsafe { munmap(self.start.as_ptr(), self.length) };
    }
}

// SAFETY: the mapping may be unmapped from any thread.
unsafe impl Send for Mapping {}
// SAFETY: it is only kept; who reads or writes in it is a table.
unsafe impl Sync for Mapping {}

/// A fixed number of values in [`Memory`].
pub(crate) struct Shared<T: Shareable> {
    start: ptr::NonNull<T>,
    count: usize,
    _chunk: Arc<Mapping>,
}

impl<T: Shareable> Deref for Shared<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `count` values were set apart for this table alone, aligned and zeroed (valid by `Shareable`), and their
        // mapping lives as long as `self`.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.count) }
    }
}

// SAFETY: it is a borrow of the mapping that it keeps, which may go to any thread.
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

    use super::*;

    shareable!(AtomicU8);

    #[test]
    fn tables_do_not_overlap() {
        let mut memory = Memory::default();
        let bytes: Shared<AtomicU8> = memory.table(3).expect("memory");
        let none: Shared<AtomicU64> = memory.table(0).expect("memory");
        let words: Shared<AtomicU64> = memory.table(2).expect("memory");
        let odd: Shared<AtomicU8> = memory.table(CHUNK + 1).expect("memory"); // More than is left.
        let last: Shared<AtomicU64> = memory.table(1).expect("memory");
        bytes.iter().for_each(|byte| byte.store(1, Relaxed));
        odd.iter().for_each(|byte| byte.store(2, Relaxed));
        drop(memory); // Each table keeps its mapping.
        assert!(none.is_empty());
        assert!(
            words
                .iter()
                .chain(&*last)
                .all(|word| word.load(Relaxed) == 0)
        );
        assert_eq!(words.as_ptr() as usize % CACHE_LINE, 0);
        assert!(bytes.iter().all(|byte| byte.load(Relaxed) == 1));
        assert_eq!(odd.len(), CHUNK + 1);
    }
}
