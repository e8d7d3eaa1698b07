//! Unix paths that are ours and stay ours: made, given to whom they are for, and removed.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU32;
#[cfg(feature = "upgrade")]
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::{io, process, thread};

use rustix::fs::{AtFlags, FileType, FlockOperation, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::options::Options;
use crate::sys::accounts;
use crate::sys::clock::Tick;

/// A Unix path that this process made, removed when it closes: only if it is still the same file.
#[derive(Debug)]
pub(super) struct OwnPath {
    path: PathBuf,
    device: u64,
    inode: u64,
    /// The process that removes it, if any does: a child has a copy of this, a successor the path.
    owner: AtomicU32,
}

impl OwnPath {
    /// Binds the socket to a path, with the mode, the owner and the group that it is to have.
    ///
    /// The order is what makes them right from the first moment, although bind(2) knows neither: a datagram socket receives
    /// as soon as it is bound, a stream socket not before `listen`.
    /// 1. `fchmod`: the file gets this mode when it is made (less the umask's bits). If it is to change hands, this is the
    ///    part of its mode that is the owner's alone, so that nobody but the server's own user can use it yet.
    /// 2. `bind` makes the file.
    /// 3. `chown`: now the owner's part is the new owner's.
    /// 4. `chmod`: everybody's part, with the bits that the umask took.
    pub(super) fn bind(
        socket: &Socket,
        path: &Path,
        address: &SockAddr,
        options: &Options,
    ) -> io::Result<Self> {
        let account = Account::of(options)?; // First: an unknown name leaves no file behind.
        let mode = match options.mode {
            None if account.is_some() => Some(0o777 & !umask()), // What `bind` would have given it.
            mode => mode,
        };
        if let Some(mode) = mode {
            let first = if account.is_some() {
                mode & OWNER
            } else {
                mode
            };
            rustix::fs::fchmod(socket, first.into())?;
        }
        let lock = lock_folder(path);
        bind(socket, path, address)?;
        let own = Self::made(path)?;
        drop(lock); // Before `own` may be dropped, which takes it again.
        if let Some(mode) = mode {
            let made = own.open()?;
            if let Some(account) = account {
                account.give(&made, path)?;
            }
            change_mode(&made, path, mode)?;
        }
        Ok(own)
    }

    fn made(path: &Path) -> io::Result<Self> {
        let made = fs::symlink_metadata(path)?;
        // Absolute, so that a later change of the working folder does not matter.
        let path = std::path::absolute(path)?;
        Ok(Self {
            path,
            device: made.dev(),
            inode: made.ino(),
            owner: AtomicU32::new(process::id()),
        })
    }

    /// A path that still belongs to the process which made it: see [`own`](Self::own).
    #[cfg(feature = "upgrade")]
    pub(super) fn of_predecessor(path: &Path, (device, inode): (u64, u64)) -> io::Result<Self> {
        Ok(Self {
            path: std::path::absolute(path)?,
            device,
            inode,
            owner: AtomicU32::new(0),
        })
    }

    /// The file that it is.
    pub(super) fn file(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    /// Removes it at the end.
    #[cfg(feature = "upgrade")]
    pub(super) fn own(&self) {
        self.owner.store(process::id(), Ordering::Relaxed);
    }

    /// Leaves it to another process.
    #[cfg(feature = "upgrade")]
    pub(super) fn disown(&self) {
        self.owner.store(0, Ordering::Relaxed);
    }

    /// Opens the file itself, so that what follows concerns no other one: who may write to the folder could exchange it for
    /// a link to a file of ours that is none of his business.
    fn open(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(&self.path, flags, Mode::empty())?;
        let found = rustix::fs::fstat(&file)?;
        let is_ours = (found.st_dev, found.st_ino) == (self.device, self.inode)
            && FileType::from_raw_mode(found.st_mode) == FileType::Socket
            && found.st_nlink == 1;
        match is_ours {
            true => Ok(file),
            false => Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                "somebody has put another file in the socket's place",
            )),
        }
    }

    fn is_ours(&self) -> bool {
        fs::symlink_metadata(&self.path)
            .is_ok_and(|now| (now.dev(), now.ino()) == (self.device, self.inode))
    }
}

impl Drop for OwnPath {
    fn drop(&mut self) {
        if *self.owner.get_mut() != process::id() {
            return;
        }
        let _lock = lock_folder(&self.path);
        if self.is_ours() {
            // Somebody may have removed it meanwhile: then it is gone, as intended.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The owner's part of a mode.
const OWNER: u32 = 0o700;

/// To whom a path is given, with the words of the options.
struct Account<'a> {
    owner: Option<(&'a str, Uid)>,
    group: Option<(&'a str, Gid)>,
}

impl<'a> Account<'a> {
    fn of(options: &'a Options) -> io::Result<Option<Self>> {
        let owner = match options.owner.as_deref() {
            Some(name) => Some((name, Uid::from_raw(accounts::user(name)?))),
            None => None,
        };
        let group = match options.group.as_deref() {
            Some(name) => Some((name, Gid::from_raw(accounts::group(name)?))),
            None => None,
        };
        let is_given = owner.is_some() || group.is_some();
        Ok(is_given.then_some(Self { owner, group }))
    }

    /// One after the other, so that an error names the one that it is about. The group first, while the path is ours.
    fn give(&self, file: &OwnedFd, path: &Path) -> io::Result<()> {
        if let Some((name, group)) = self.group {
            rustix::fs::chownat(file, "", None, Some(group), AtFlags::EMPTY_PATH)
                .map_err(|error| refused(error, path, "group", name, "root or a member of it"))?;
        }
        if let Some((name, owner)) = self.owner {
            rustix::fs::chownat(file, "", Some(owner), None, AtFlags::EMPTY_PATH)
                .map_err(|error| refused(error, path, "owner", name, "root"))?;
        }
        Ok(())
    }
}

fn refused(error: Errno, path: &Path, what: &str, name: &str, who: &str) -> io::Error {
    let path = path.display();
    match error {
        Errno::PERM => io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("changing the {what} of `{path}` to `{name}` needs {who}"),
        ),
        error => io::Error::new(
            io::Error::from(error).kind(),
            format!("changing the {what} of `{path}` to `{name}`: {error}"),
        ),
    }
}

/// Linux has no way to change the mode of a handle like this one but its link in /proc: open(2), `O_PATH`.
fn change_mode(file: &OwnedFd, path: &Path, mode: u32) -> io::Result<()> {
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    match rustix::fs::chmod(link, mode.into()) {
        Err(Errno::NOENT) => Ok(rustix::fs::chmod(path, mode.into())?), // No /proc here.
        result => Ok(result?),
    }
}

/// The umask, which umask(2) tells only to who changes it, for all threads: so from proc(5). The strictest, without /proc.
fn umask() -> u32 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut lines = status.lines();
    let mask =
        lines.find_map(|line| u32::from_str_radix(line.strip_prefix("Umask:")?.trim(), 8).ok());
    mask.unwrap_or(0o077)
}

/// Binds to a path, replacing one that is left over from a server that nobody can reach any more.
fn bind(socket: &Socket, path: &Path, address: &SockAddr) -> io::Result<()> {
    match socket.bind(address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            check_stale(path, address)?;
            fs::remove_file(path)?;
            socket.bind(address)
        }
        result => result,
    }
}

/// How long a lock is waited for that servers hold for moments only.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// How often it is looked whether the lock is free.
const NAP: Duration = Duration::from_millis(5);

/// Locks the path's folder against other servers that find the same stale path, until the file is dropped.
fn lock_folder(path: &Path) -> Option<File> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    // A folder that cannot be opened or locked (no read permission, an odd file system) leaves only the small race. So does
    // one that a stranger keeps locked: who may read a folder may lock it, and must not keep a server from starting or ending.
    let folder = File::open(folder).ok()?;
    let until = Tick::now().after(LOCK_WAIT);
    loop {
        match rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Some(folder),
            Err(Errno::WOULDBLOCK | Errno::INTR) if !until.left().is_zero() => thread::sleep(NAP),
            Err(_) => return None,
        }
    }
}

/// Returns an error unless a connect proves that nobody serves this path.
fn check_stale(path: &Path, address: &SockAddr) -> io::Result<()> {
    let in_use = |text: &str| Err(io::Error::new(io::ErrorKind::AddrInUse, text.to_owned()));
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return in_use("a file that is no socket is in the way");
    }
    if is_bound(path) {
        return in_use("another server is alive there");
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    probe.set_nonblocking(true)?;
    match probe.connect(address) {
        // Refused: no socket is bound to the file. One of another type would answer EPROTOTYPE, a busy one EAGAIN.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        _ => in_use("another server is alive there"),
    }
}

/// Whether a socket of this network namespace is bound to the path and not connected: one that does not listen yet refuses
/// a connect just like a stale one. proc_net_unix in proc(5): the state is the sixth field, the path as bound the eighth.
fn is_bound(path: &Path) -> bool {
    // Without /proc only a connect can tell.
    let Ok(table) = fs::read("/proc/net/unix") else {
        return false;
    };
    let absolute = std::path::absolute(path).unwrap_or_default();
    let wanted = [path.as_os_str(), absolute.as_os_str()].map(OsStr::as_bytes);
    let mut lines = table.split(|byte| *byte == b'\n');
    lines.any(|line| unconnected(line).is_some_and(|bound| wanted.contains(&bound)))
}

/// Returns what a socket that is not connected is bound to, by its line of the table: any bytes, after one space.
fn unconnected(line: &[u8]) -> Option<&[u8]> {
    let (mut state, mut rest): (&[u8], _) = (&[], line);
    for field in 0..7 {
        rest = rest.trim_ascii_start();
        let end = rest.iter().position(|byte| *byte == b' ')?;
        if field == 5 {
            state = &rest[..end];
        }
        rest = &rest[end..];
    }
    (state == b"01").then(|| &rest[1..])
}
