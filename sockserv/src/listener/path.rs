//! Unix paths that are ours and stay ours: made, given to whom they are for, and removed.

use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{io, process, thread};

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::options::Options;
use crate::sys::clock::Tick;

/// A Unix path that this process made, removed when it closes: only if it is still the same file.
#[derive(Debug)]
pub(super) struct OwnPath {
    path: PathBuf,
    device: u64,
    inode: u64,
    /// A child has a copy of this, and the path is not its to remove.
    owner: u32,
}

impl OwnPath {
    /// Binds the socket to a path, with the mode that it is to have.
    pub(super) fn bind(
        socket: &Socket,
        path: &Path,
        address: &SockAddr,
        options: &Options,
    ) -> io::Result<Self> {
        if let Some(mode) = options.mode {
            // The file gets it when it is made (less the umask's bits), so nobody can connect under another one.
            rustix::fs::fchmod(socket, mode.into())?;
        }
        let lock = lock_folder(path);
        bind(socket, path, address)?;
        let own = Self::made(path)?;
        drop(lock); // Before `own` may be dropped, which takes it again.
        if let Some(mode) = options.mode {
            rustix::fs::chmod(path, mode.into())?; // Before `listen`: gives the bits that the umask took.
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
            owner: process::id(),
        })
    }

    fn is_ours(&self) -> bool {
        fs::symlink_metadata(&self.path)
            .is_ok_and(|now| (now.dev(), now.ino()) == (self.device, self.inode))
    }
}

impl Drop for OwnPath {
    fn drop(&mut self) {
        if self.owner != process::id() {
            return;
        }
        let _lock = lock_folder(&self.path);
        if self.is_ours() {
            // Somebody may have removed it meanwhile: then it is gone, as intended.
            let _ = fs::remove_file(&self.path);
        }
    }
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
const PATIENCE: Duration = Duration::from_secs(1);

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
    let until = Tick::now().after(PATIENCE);
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
    let Ok(table) = fs::read_to_string("/proc/net/unix") else {
        return false;
    };
    let absolute = std::path::absolute(path).unwrap_or_default();
    table.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace().skip(5);
        let (state, bound) = (fields.next(), fields.nth(1).map(Path::new));
        state == Some("01") && (bound == Some(path) || bound == Some(&absolute))
    })
}
