//! Files over udp, for machines that boot (RFC 1350 and 1123, with the options of RFC 2347 to 2349).
//! Run:  `cargo run --example tftp -- --dir /tmp`; without `--dir` it serves the current folder, read only
//! Talk: `curl -O tftp://127.0.0.1:6969/NAME`, `curl -T FILE tftp://127.0.0.1:6969`, `tftp 127.0.0.1 6969 -c get NAME`
//! See:  the file at the other end, byte for byte

use std::cmp::Ordering;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{env, mem, str};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, fsync, openat, renameat, unlinkat};
use rustix::io::Errno;
use sockserv::prelude::*;
use sockserv::{Conversation, ServerHandle};

const READ: u16 = 1;
const WRITE: u16 = 2;
const DATA: u16 = 3;
const ACK: u16 = 4;
const ERROR: u16 = 5;
const OACK: u16 = 6;
/// An opcode and a block's number; in `DATA`, the block follows.
const HEADER: usize = 4;

/// How long the first answer may take. Later ones may take eight times as long as the one before; each try doubles that.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
const TRIES: u32 = 8;
/// Longer than the 5 seconds after which clients repeat a block.
const LINGER: Duration = Duration::from_secs(6);
/// Anybody may upload, so an upload may not fill the disk.
const LARGEST_UPLOAD: u64 = 1 << 30;

#[derive(Clone)]
struct Tftp {
    folder: Arc<Folder>,
    asked: Arc<Mutex<Asked>>,
}

/// Who asked for what, and when that ended: a request that arrives twice is served once.
type Asked = HashMap<(Address, Vec<u8>), Option<Instant>>;

#[server(udp, threading, addr = "127.0.0.1:6969")]
impl Tftp {
    fn handle(&mut self, datagram: &mut Datagram) -> io::Result<()> {
        let packet = datagram.packet();
        if !packet.starts_with(&READ.to_be_bytes()) && !packet.starts_with(&WRITE.to_be_bytes()) {
            return Ok(()); // Without even an error, or two servers could go on for ever.
        }
        let mut transfer = Transfer::new(datagram.conversation()?);
        let key = (datagram.peer_addr().clone(), packet.to_vec());
        if !self.is_new(&key) {
            return Ok(());
        }
        let served = self.serve(packet, &mut transfer);
        self.asked().insert(key, Some(Instant::now()));
        match served.and_then(|()| transfer.finish(datagram.server())) {
            Err(error) if !is_over(&error) => transfer.fail(error),
            _ => Ok(()),
        }
    }

    fn serve(&self, request: &[u8], transfer: &mut Transfer) -> io::Result<()> {
        let request = Request::parse(request).ok_or(ErrorKind::InvalidInput)?;
        if request.opcode == READ {
            let (file, length) = self.folder.open(request.name)?;
            match request.mode {
                Encoding::Octet => {
                    transfer.agree(&request, Some(length));
                    transfer.send(BufReader::new(file))
                }
                Encoding::Netascii => {
                    transfer.agree(&request, None); // Its length on the wire is not known yet.
                    let text = BufReader::new(file).bytes();
                    transfer.send(ToNetascii { text, owed: None })
                }
            }
        } else {
            let upload = self.folder.create(request.name, transfer)?;
            let file = BufWriter::new(&upload.file);
            transfer.agree(&request, request.option("tsize"));
            match request.mode {
                Encoding::Octet => transfer.receive(file)?,
                Encoding::Netascii => transfer.receive(FromNetascii {
                    text: file,
                    after_cr: false,
                })?,
            }
            upload.keep()
        }
    }

    /// A duplicate may get its turn when the request has just ended.
    fn is_new(&self, key: &(Address, Vec<u8>)) -> bool {
        let mut asked = self.asked();
        asked.retain(|_, ended| ended.is_none_or(|ended| ended.elapsed() < FIRST_WAIT));
        !asked.contains_key(key) && asked.insert(key.clone(), None).is_none()
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Request<'a> {
    opcode: u16,
    name: &'a Path,
    mode: Encoding,
    /// Names and values alternate.
    options: Vec<&'a [u8]>,
}

/// How a file goes over the wire.
enum Encoding {
    /// As it is.
    Octet,
    /// As lines of text.
    Netascii,
}

impl<'a> Request<'a> {
    fn parse(packet: &'a [u8]) -> Option<Self> {
        let (opcode, words) = packet.split_first_chunk()?;
        let mut words = words.strip_suffix(b"\0")?.split(|&byte| byte == 0);
        Some(Request {
            opcode: u16::from_be_bytes(*opcode),
            name: Path::new(OsStr::from_bytes(words.next()?)),
            mode: match words.next()?.to_ascii_lowercase().as_slice() {
                b"octet" => Encoding::Octet,
                b"netascii" => Encoding::Netascii,
                _ => return None,
            },
            options: words.collect(),
        })
    }

    fn option(&self, name: &str) -> Option<u64> {
        let mut pairs = self.options.chunks_exact(2);
        let pair = pairs.find(|pair| pair[0].eq_ignore_ascii_case(name.as_bytes()))?;
        str::from_utf8(pair[1]).ok()?.parse().ok()
    }
}

/// The server's side of a transfer, in which every packet but the last has an answer.
struct Transfer {
    peer: Conversation,
    blksize: u16,
    timeout: Option<Duration>,
    wait: Duration,
    /// What precedes the first block if options were agreed.
    oack: Option<Vec<u8>>,
    /// The number of an upload's last block, not yet acknowledged.
    last: Option<u16>,
    received: Vec<u8>,
}

impl Transfer {
    fn new(peer: Conversation) -> Self {
        Transfer {
            peer,
            blksize: 512,
            timeout: None,
            wait: FIRST_WAIT,
            oack: None,
            last: None,
            received: vec![0; HEADER + 512 + 1],
        }
    }

    /// Accepts the options that make sense; the peer is told which, and forgets the others.
    fn agree(&mut self, request: &Request, tsize: Option<u64>) {
        let blksize = request.option("blksize").filter(|&size| size >= 8);
        let blksize = blksize.map(|size| u16::try_from(size).map_or(65464, |size| size.min(65464)));
        let timeout = request.option("timeout").filter(|s| (1..=255).contains(s));
        let tsize = request.option("tsize").and(tsize);
        let options = [
            ("blksize", blksize.map(u64::from)),
            ("timeout", timeout),
            ("tsize", tsize),
        ];
        for (name, value) in options {
            if let Some(value) = value {
                let oack = self.oack.get_or_insert(OACK.to_be_bytes().to_vec());
                oack.extend(format!("{name}\0{value}\0").bytes());
            }
        }
        self.timeout = timeout.map(Duration::from_secs);
        self.blksize = blksize.unwrap_or(self.blksize);
        self.received = vec![0; HEADER + usize::from(self.blksize) + 1];
    }

    /// Sends a file; its end is a block that is not full.
    fn send(&mut self, mut file: impl Read) -> io::Result<()> {
        if let Some(oack) = self.oack.take() {
            self.exchange(&oack, ACK, 0)?;
        }
        let (mut block, mut packet) = (1_u16, Vec::new());
        loop {
            packet.clear();
            packet.extend(header(DATA, block));
            let length = (&mut file)
                .take(self.blksize.into())
                .read_to_end(&mut packet)?;
            self.exchange(&packet, ACK, block)?;
            if length < self.blksize.into() {
                return Ok(());
            }
            block = block.wrapping_add(1); // Clients that take more than 65535 blocks go on with 0.
        }
    }

    /// Receives a file; its last block is acknowledged by [`finish`](Self::finish), once the file is safe.
    fn receive(&mut self, mut file: impl Write) -> io::Result<()> {
        let mut reply = self.oack.take().unwrap_or_else(|| header(ACK, 0).to_vec());
        let (mut block, mut room) = (1_u16, LARGEST_UPLOAD);
        loop {
            let length = self.exchange(&reply, DATA, block)?;
            let data = &self.received[HEADER..length];
            room = room
                .checked_sub(data.len() as u64)
                .ok_or(ErrorKind::FileTooLarge)?;
            file.write_all(data)?;
            match data.len().cmp(&self.blksize.into()) {
                Ordering::Less => break,
                Ordering::Equal => {}
                Ordering::Greater => return Err(ErrorKind::InvalidInput.into()),
            }
            reply = header(ACK, block).to_vec();
            block = block.wrapping_add(1);
        }
        self.last = Some(block);
        file.flush()
    }

    /// Sends a packet until the answer comes, and returns the answer's length.
    ///
    /// A duplicate answer is no reason to send again, or all that follows would be doubled (RFC 1123, 4.2.3.1). A block
    /// that comes again late is a reason: its acknowledgement was lost.
    fn exchange(&mut self, packet: &[u8], opcode: u16, block: u16) -> io::Result<usize> {
        let mut wait = self.wait;
        for attempt in 0..TRIES {
            let sent = Instant::now();
            self.peer.send(packet)?;
            while let Some(length) = self.receive_until(sent + self.timeout.unwrap_or(wait))? {
                if self.received[..length].starts_with(&header(opcode, block)) {
                    if attempt == 0 {
                        self.wait = (sent.elapsed() * 8).clamp(SHORTEST_WAIT, FIRST_WAIT);
                    }
                    return Ok(length);
                }
                if opcode == DATA && sent.elapsed() > SHORTEST_WAIT {
                    break;
                }
            }
            // A repeated acknowledgement restarts some clients' clocks, so the second one outwaits them.
            wait = if opcode == DATA { LINGER } else { wait * 2 };
        }
        Err(ErrorKind::TimedOut.into())
    }

    /// Receives a packet and returns its length; `None` at the deadline.
    fn receive_until(&mut self, deadline: Instant) -> io::Result<Option<usize>> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        self.peer.set_timeout(left)?;
        match self.peer.recv(&mut self.received) {
            Ok(_) if self.received.starts_with(&ERROR.to_be_bytes()) => {
                Err(ErrorKind::ConnectionAborted.into())
            }
            Err(error) if error.kind() == ErrorKind::TimedOut => Ok(None),
            result => result.map(Some),
        }
    }

    /// Acknowledges the last block of an upload, again if the client did not hear it.
    fn finish(&mut self, server: &ServerHandle) -> io::Result<()> {
        let Some(last) = self.last else {
            return Ok(());
        };
        self.peer.send(&header(ACK, last))?;
        let end = Instant::now() + LINGER;
        while Instant::now() < end && !server.is_shutting_down() {
            if let Some(length) = self.receive_until(Instant::now() + FIRST_WAIT)?
                && self.received[..length].starts_with(&header(DATA, last))
            {
                self.peer.send(&header(ACK, last))?;
            }
        }
        Ok(())
    }

    /// Tells the peer; what is not the peer's mistake is an error here, too.
    fn fail(&self, error: io::Error) -> io::Result<()> {
        let (code, message) = match error.kind() {
            ErrorKind::NotFound => (1, "file not found"),
            ErrorKind::PermissionDenied => (2, "access violation"),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                (3, "no room for it")
            }
            ErrorKind::InvalidInput => (4, "illegal TFTP operation"),
            _ => (0, "the server failed"),
        };
        self.peer
            .send(&[&header(ERROR, code)[..], message.as_bytes(), b"\0"].concat())?;
        if code == 0 { Err(error) } else { Ok(()) }
    }
}

fn header(opcode: u16, number: u16) -> [u8; HEADER] {
    let ([a, b], [c, d]) = (opcode.to_be_bytes(), number.to_be_bytes());
    [a, b, c, d]
}

/// Whether the peer has left, or wants no more.
fn is_over(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::TimedOut
    )
}

/// The files that can be named: plain ones below one folder, reached without symbolic links.
struct Folder {
    root: OwnedFd,
    access: Access,
}

/// What a peer may do with a folder.
#[derive(PartialEq, Eq)]
enum Access {
    Read,
    /// And upload.
    Write,
}

impl Folder {
    fn new(path: &str, access: Access) -> io::Result<Self> {
        let root = openat(
            CWD,
            path,
            OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|error| io::Error::other(format!("cannot open the folder `{path}`: {error}")))?;
        Ok(Folder { root, access })
    }

    fn open(&self, name: &Path) -> io::Result<(File, u64)> {
        let (folder, name) = self.find(name)?;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK; // Opening a pipe would wait for its other end.
        let file = File::from(open_below(&folder, name, flags, Mode::empty())?);
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(ErrorKind::PermissionDenied.into());
        }
        Ok((file, metadata.len()))
    }

    /// Creates a file that gets its name once it is whole.
    fn create<'a>(&self, name: &'a Path, transfer: &Transfer) -> io::Result<Upload<'a>> {
        if self.access == Access::Read {
            return Err(ErrorKind::PermissionDenied.into());
        }
        let (folder, name) = self.find(name)?;
        let part = format!(".upload-{}", transfer.peer.local_addr()?);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let file = open_below(
            &folder,
            OsStr::new(&part),
            flags,
            Mode::from_raw_mode(0o644),
        )?;
        Ok(Upload {
            folder,
            name,
            part,
            file: file.into(),
        })
    }

    /// Opens the folder that a file is in, and returns it with the file's own name. `/NAME` begins at the root, too.
    fn find<'a>(&self, name: &'a Path) -> io::Result<(OwnedFd, &'a OsStr)> {
        let parts = name.components();
        let parts = parts.filter(|part| !matches!(part, Component::RootDir | Component::CurDir));
        let mut folder = self.root.try_clone()?;
        let mut parts = parts.peekable();
        while let Some(Component::Normal(part)) = parts.next() {
            if parts.peek().is_none() {
                return Ok((folder, part));
            }
            folder = open_below(&folder, part, OFlags::DIRECTORY, Mode::empty())?;
        }
        Err(ErrorKind::PermissionDenied.into())
    }
}

fn open_below(folder: &OwnedFd, name: &OsStr, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(folder, name, flags, mode).map_err(|error| match error {
        Errno::LOOP | Errno::NOTDIR => ErrorKind::PermissionDenied.into(),
        _ => error.into(),
    })
}

struct Upload<'a> {
    folder: OwnedFd,
    name: &'a OsStr,
    part: String,
    file: File,
}

impl Upload<'_> {
    fn keep(self) -> io::Result<()> {
        self.file.sync_all()?;
        renameat(&self.folder, &self.part, &self.folder, self.name)?;
        Ok(fsync(&self.folder)?)
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        // It is gone already if the upload was kept.
        let _ = unlinkat(&self.folder, &self.part, AtFlags::empty());
    }
}

/// Reads a text as it goes over the wire (RFC 764): LF as CR LF, CR as CR NUL.
struct ToNetascii<R> {
    text: io::Bytes<R>,
    /// The second byte of two.
    owed: Option<u8>,
}

impl<R: Read> Read for ToNetascii<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        for (filled, slot) in into.iter_mut().enumerate() {
            (*slot, self.owed) = match self.owed {
                Some(byte) => (byte, None),
                None => match self.text.next().transpose()? {
                    Some(b'\n') => (b'\r', Some(b'\n')),
                    Some(b'\r') => (b'\r', Some(0)),
                    Some(byte) => (byte, None),
                    None => return Ok(filled),
                },
            };
        }
        Ok(into.len())
    }
}

/// Writes a text from the wire as one of this machine. A CR waits for what follows it, even if that is in the next block.
struct FromNetascii<W> {
    text: W,
    after_cr: bool,
}

impl<W: Write> Write for FromNetascii<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for &byte in bytes {
            let after_cr = mem::replace(&mut self.after_cr, byte == b'\r');
            if after_cr && byte != b'\n' {
                self.text.write_all(b"\r")?;
            }
            if byte != b'\r' && !(after_cr && byte == 0) {
                self.text.write_all(&[byte])?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if mem::take(&mut self.after_cr) {
            self.text.write_all(b"\r")?;
        }
        self.text.flush()
    }
}

fn main() -> io::Result<()> {
    let (mut dir, mut access, mut addrs) = (Some(".".to_owned()), Access::Read, Vec::new());
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--dir" => (dir, access) = (args.next(), Access::Write),
            _ => addrs.push(arg),
        }
    }
    let dir = dir.ok_or(io::Error::other("write `--dir DIR`"))?;
    let folder = Arc::new(Folder::new(&dir, access)?);
    let asked = Arc::default();
    TftpServer::builder(Tftp { folder, asked })
        .addrs(addrs)
        .bind()?
        .run()
}
