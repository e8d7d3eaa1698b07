//! A mail server that keeps every mail it is given (RFC 5321; SIZE, 8BITMIME, PIPELINING: RFC 1870, 6152, 2920).
//! Run:  `cargo run --example smtp_sink -- --dir /tmp/mail`; without `--dir` the maildir is `./maildir`
//! Talk: `swaks --server 127.0.0.1:2525 --to joe@example.org`
//! See:  `250 it is safe`, and a new file in `/tmp/mail/new`

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{BufWriter, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, process};

use rustix::system::uname;
use sockserv::codec::{self, Ending, FrameError};
use sockserv::command;
use sockserv::prelude::*;

const LARGEST_MAIL: usize = 10 << 20;
/// The minimum of RFC 5321.
const MOST_RECIPIENTS: usize = 100;
/// Of a mail: far more than RFC 5321's thousand bytes, because some programs write long lines.
const LONGEST_LINE: usize = 1 << 20;

#[derive(Clone)]
struct Sink {
    maildir: Arc<Maildir>,
    /// What the client calls itself.
    client: String,
    sender: Option<Mailbox>,
    recipients: Vec<Mailbox>,
}

#[server(
    tcp,
    threading,
    addr = "127.0.0.1:2525",
    lines(max = "2 KiB", ending = "\r\n"),
    ignore_case
)]
impl Sink {
    fn setup(&mut self, stream: &mut Stream) -> io::Result<()> {
        write!(stream, "220 {} ESMTP sockserv\r\n", self.maildir.host)
    }

    /// Says who the client is.
    #[command("HELO")]
    fn helo(&mut self, name: Name) -> String {
        self.reset();
        self.client = name.0;
        format!("250 {}", self.maildir.host)
    }

    /// Says who the client is, and asks for extensions.
    #[command("EHLO")]
    fn ehlo(&mut self, name: Name) -> Lines {
        self.helo(name);
        let size = format!("SIZE {LARGEST_MAIL}");
        let texts = [&self.maildir.host, &size, "8BITMIME", "PIPELINING", "HELP"];
        lines(250, &texts)
    }

    /// Begins a mail.
    #[command("MAIL FROM:", when = Self::may_begin)]
    fn mail(&mut self, sender: Mailbox, parameters: Vec<&str>) -> &'static str {
        for parameter in parameters {
            let parameter = parameter.to_ascii_uppercase();
            match parameter.split_once('=') {
                Some(("BODY", "7BIT" | "8BITMIME")) => {}
                Some(("SIZE", size)) => match size.parse() {
                    Ok(0..=LARGEST_MAIL) => {}
                    Ok(_) => return TOO_LARGE,
                    Err(_) => return "501 the SIZE is no number",
                },
                _ => return "555 unknown parameter",
            }
        }
        self.sender = Some(sender);
        "250 OK"
    }

    /// Adds a recipient.
    #[command("RCPT TO:", when = Self::has_sender)]
    fn recipient(&mut self, recipient: Mailbox) -> &'static str {
        if recipient.0.is_empty() {
            return "553 nobody has an empty name";
        }
        if self.recipients.len() == MOST_RECIPIENTS {
            return "452 too many recipients";
        }
        self.recipients.push(recipient);
        "250 OK"
    }

    /// Takes the mail itself, which ends with a line of just a dot.
    #[command("DATA", when = Self::has_recipients)]
    fn data(&mut self, stream: &mut Stream) -> io::Result<&'static str> {
        stream.wfile.write_all(b"354 end with a dot\r\n")?;
        let mut mail = self.begin(stream.peer_addr());
        let mut lines = stream.framed(codec::Lines::new(LONGEST_LINE).ending(Ending::CrLf));
        // After a failure the rest of the mail is read all the same, because commands follow it.
        loop {
            mail = match lines.next() {
                Ok(Some(line)) if line == "." => break,
                Ok(Some(line)) => mail.and_then(|mail| mail.add(undotted(&line))),
                Ok(None) => return Err(ErrorKind::UnexpectedEof.into()),
                Err(FrameError::TooLong { .. }) => Err(ErrorKind::InvalidData.into()),
                Err(error) => return Err(error.into()),
            };
        }
        drop(lines);
        self.reset();
        match mail.and_then(Mail::keep) {
            Ok(()) => Ok("250 it is safe"),
            Err(error) if error.kind() == ErrorKind::FileTooLarge => Ok(TOO_LARGE),
            Err(error) if error.kind() == ErrorKind::InvalidData => Ok("500 a line is too long"),
            Err(error) => {
                stream.wfile.write_all(b"421 it cannot be kept now\r\n")?;
                stream.wfile.flush()?;
                Err(error)
            }
        }
    }

    /// Forgets the mail that was begun.
    #[command("RSET")]
    fn rset(&mut self) -> &'static str {
        self.reset();
        "250 OK"
    }

    /// Says whether a name is known: every name is.
    #[command("VRFY")]
    fn verify(&mut self, _name: Rest) -> &'static str {
        "252 whoever it is, the mail is kept"
    }

    /// Does nothing.
    #[command("NOOP")]
    fn noop(&mut self, _ignored: Option<Rest>) -> &'static str {
        "250 OK"
    }

    /// Lists the commands.
    #[command("HELP")]
    fn help(&mut self, _about: Option<Rest>) -> Lines {
        let Lines(known) = command::help::<Self>();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        lines(214, &known)
    }

    /// Ends the session.
    #[command("QUIT")]
    fn quit(&mut self) -> Close<&'static str> {
        Close("221 bye")
    }

    fn command_error(&mut self, error: &CommandError, replies: &mut Replies) -> io::Result<()> {
        let code = match error {
            CommandError::Unknown { .. } | CommandError::Frame(_) => 500,
            CommandError::Refused { .. } => 503,
            CommandError::TooMany { command } if command.verb == "RCPT TO:" => 555,
            _ => 501,
        };
        replies.send(format!("{code} {error}"))
    }

    fn may_begin(&self) -> bool {
        !self.client.is_empty() && self.sender.is_none()
    }

    fn has_sender(&self) -> bool {
        self.sender.is_some()
    }

    fn has_recipients(&self) -> bool {
        !self.recipients.is_empty()
    }

    fn reset(&mut self) {
        self.sender = None;
        self.recipients.clear();
    }

    /// Begins the mail's file with what the mail itself does not say.
    fn begin(&self, peer: &Address) -> io::Result<Mail> {
        let Sink { client, sender, .. } = self;
        let host = &self.maildir.host;
        let date = httpdate::fmt_http_date(SystemTime::now());
        let mut mail = self.maildir.create()?;
        if let Some(sender) = sender {
            mail = mail.add(format!("Return-Path: <{}>", sender.0).as_bytes())?;
        }
        for recipient in &self.recipients {
            mail = mail.add(format!("Delivered-To: {}", recipient.0).as_bytes())?;
        }
        mail.add(format!("Received: from {client} ({peer}) by {host}; {date}").as_bytes())
    }
}

const TOO_LARGE: &str = "552 the mail is too large";

/// A reply of several lines: all but the last have a hyphen after the code.
fn lines(code: u16, texts: &[&str]) -> Lines {
    let lines = texts.iter().enumerate().map(|(at, text)| {
        let mark = if at + 1 < texts.len() { '-' } else { ' ' };
        format!("{code}{mark}{text}")
    });
    lines.collect()
}

/// Takes away the dot that a client puts before a line that begins with one.
fn undotted(line: &[u8]) -> &[u8] {
    line.strip_prefix(b".").unwrap_or(line)
}

/// What a client calls itself.
struct Name(String);

impl FromStr for Name {
    type Err = &'static str;

    /// Without control characters, because it will stand in a header.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(Name(text.to_owned())),
            false => Err("only ASCII is allowed"),
        }
    }
}

/// An address between `<` and `>`; an empty one sends what nobody should answer.
#[derive(Clone)]
struct Mailbox(String);

impl FromStr for Mailbox {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Name(path) = text.parse()?;
        let path = path.strip_prefix('<');
        let path = path.and_then(|path| path.strip_suffix('>'));
        let path = path.ok_or("write <user@host>")?;
        // `@host,@host:user@host`: a route is accepted and ignored (RFC 5321, C).
        let mailbox = match path.split_once(':') {
            Some((route, mailbox)) if route.starts_with('@') => mailbox,
            _ => path,
        };
        Ok(Mailbox(mailbox.to_owned()))
    }
}

/// A folder as mail programs read it: `tmp` for mails that are being written, `new` for those that have come.
struct Maildir {
    path: PathBuf,
    host: String,
}

impl Maildir {
    fn open(path: &Path) -> io::Result<Self> {
        for folder in ["tmp", "new", "cur"] {
            let path = path.join(folder);
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
            made.map_err(|error| {
                let message = format!("cannot make `{}`: {error}", path.display());
                io::Error::new(error.kind(), message)
            })?;
        }
        let host = uname().nodename().to_string_lossy().into_owned();
        Ok(Maildir {
            path: path.to_owned(),
            host: host.replace(['/', ':'], "-"),
        })
    }

    /// Creates a mail under a unique name.
    fn create(&self) -> io::Result<Mail> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let time = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let name = format!(
            "{}.M{:06}P{}Q{number}.{}", // The names sort as the mails came.
            time.as_secs(),
            time.subsec_micros(),
            process::id(),
            self.host
        );
        let part = self.path.join("tmp").join(&name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&part)?;
        Ok(Mail {
            folder: self.path.join("new"),
            name,
            part,
            file: BufWriter::new(file),
            room: LARGEST_MAIL,
        })
    }
}

/// A mail that is being written.
struct Mail {
    folder: PathBuf,
    name: String,
    part: PathBuf,
    file: BufWriter<File>,
    room: usize,
}

impl Mail {
    fn add(mut self, line: &[u8]) -> io::Result<Self> {
        self.room = self
            .room
            .checked_sub(line.len() + 2)
            .ok_or(ErrorKind::FileTooLarge)?;
        self.file.write_all(line)?;
        self.file.write_all(b"\n")?;
        Ok(self)
    }

    /// Returns once the mail would survive a power cut.
    fn keep(mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        fs::rename(&self.part, self.folder.join(&self.name))?;
        File::open(&self.folder)?.sync_all()
    }
}

impl Drop for Mail {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.part); // It is gone already if the mail was kept.
    }
}

fn main() -> io::Result<()> {
    let (mut dir, mut addrs) = (Some("maildir".to_owned()), Vec::new());
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--dir" => dir = args.next(),
            _ => addrs.push(arg),
        }
    }
    let dir = dir.ok_or(io::Error::other("write `--dir DIR`"))?;
    let sink = Sink {
        maildir: Arc::new(Maildir::open(Path::new(&dir))?),
        client: String::new(),
        sender: None,
        recipients: Vec::new(),
    };
    SinkServer::builder(sink).addrs(addrs).bind()?.run()
}
