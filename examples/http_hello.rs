//! HTTP/1.1 that says hello: keep-alive, pipelining, bodies, bad input (RFC 9110, 9112).
//! Run:  `cargo run --release --example http_hello`
//! Talk: `curl -i http://127.0.0.1:8080/`, or `wrk -c 64 http://127.0.0.1:8080/`
//! See:  `HTTP/1.1 200 OK`, some headers, and `Hello, world!`

use std::mem::MaybeUninit;
use std::time::SystemTime;

use httpdate::HttpDate;
use sockserv::prelude::*;

const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;
const MAX_BODY: u64 = 1024 * 1024;

#[derive(Clone, Default)]
struct Hello {
    /// The head of the request, and a line between its chunks: buffers that are used again.
    head: Vec<u8>,
    line: Vec<u8>,
}

// A slow peer holds a thread, but not for long; 500 bytes a second is what Apache's mod_reqtimeout asks for.
#[server(
    tcp,
    threading,
    addr = "127.0.0.1:8080",
    first_byte_timeout = "5s",
    timeout = "5s",
    min_rate = "500 B/s",
    max_line = "16 KiB"
)]
impl Hello {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        loop {
            match self.exchange(stream) {
                Ok(Then::Next) => {}
                Ok(Then::Close) => return Ok(()),
                Err(Refusal::Answer(status)) => return refuse(stream, status),
                Err(Refusal::Lost(error)) => return Err(error),
            }
        }
    }

    /// Reads one request and answers it; replies to pipelined requests leave together.
    fn exchange(&mut self, stream: &mut Stream) -> Result<Then, Refusal> {
        if !self.read_head(stream)? {
            return Ok(Then::Close);
        }
        let head = Head::parse(&self.head)?;
        if head.expects_continue {
            stream.wfile.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        match head.body {
            Body::Length(length) => skip(stream, length)?,
            Body::Chunked => self.skip_chunks(stream)?,
        }
        let keep_alive = head.keep_alive && !stream.server().is_shutting_down();
        head.answer(&mut stream.wfile, keep_alive)?;
        Ok(if keep_alive { Then::Next } else { Then::Close })
    }

    /// Reads up to the empty line; `false` if the peer is done, or silent between two requests.
    fn read_head(&mut self, stream: &mut Stream) -> Result<bool, Refusal> {
        self.head.clear();
        loop {
            let start = self.head.len();
            match read_line(stream, &mut self.head) {
                Ok(()) => {}
                Err(Refusal::Answer(Status::TIMEOUT | Status::BAD)) if self.head.is_empty() => {
                    return Ok(false);
                }
                Err(refusal) => return Err(refusal),
            }
            match &self.head[start..] {
                b"\r\n" | b"\n" if start == 0 => self.head.clear(),
                b"\r\n" | b"\n" => return Ok(true),
                _ if self.head.len() > MAX_HEAD => return Err(Status::HEAD_TOO_LARGE.into()),
                _ => {}
            }
        }
    }

    /// Skips chunks, the empty one that ends them, and the trailer fields after it.
    fn skip_chunks(&mut self, stream: &mut Stream) -> Result<(), Refusal> {
        let mut total = 0;
        loop {
            match httparse::parse_chunk_size(self.next_line(stream)?) {
                Ok(httparse::Status::Complete((_, 0))) => break,
                Ok(httparse::Status::Complete((_, size))) => {
                    total += size.min(MAX_BODY + 1);
                    if total > MAX_BODY {
                        return Err(Status::BODY_TOO_LARGE.into());
                    }
                    skip(stream, size)?;
                }
                _ => return Err(Status::BAD.into()),
            }
            if self.next_line(stream)? != b"\r\n" {
                return Err(Status::BAD.into());
            }
        }
        for _ in 0..MAX_HEADERS {
            if self.next_line(stream)? == b"\r\n" {
                return Ok(());
            }
        }
        Err(Status::HEAD_TOO_LARGE.into())
    }

    fn next_line(&mut self, stream: &mut Stream) -> Result<&[u8], Refusal> {
        self.line.clear();
        read_line(stream, &mut self.line)?;
        Ok(&self.line)
    }
}

enum Then {
    Next,
    Close,
}

/// Why there is no proper reply: the peer can be told with a status, or cannot be told at all.
enum Refusal {
    Answer(Status),
    Lost(io::Error),
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Refusal::Answer(status)
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Status::TIMEOUT.into(),
            io::ErrorKind::UnexpectedEof => Status::BAD.into(),
            _ => Refusal::Lost(error),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Status(&'static str);

impl Status {
    const OK: Status = Status("200 OK");
    const BAD: Status = Status("400 Bad Request");
    const NOT_FOUND: Status = Status("404 Not Found");
    const TIMEOUT: Status = Status("408 Request Timeout");
    const BODY_TOO_LARGE: Status = Status("413 Content Too Large");
    const HEAD_TOO_LARGE: Status = Status("431 Request Header Fields Too Large");
    const NOT_IMPLEMENTED: Status = Status("501 Not Implemented");
    const VERSION: Status = Status("505 HTTP Version Not Supported");
}

enum Body {
    Length(u64),
    Chunked,
}

/// What matters here of a request's head.
struct Head {
    status: Status,
    only_head: bool,
    keep_alive: bool,
    expects_continue: bool,
    body: Body,
}

impl Head {
    fn parse(head: &[u8]) -> Result<Self, Status> {
        let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut []);
        match request.parse_with_uninit_headers(head, &mut headers) {
            Ok(httparse::Status::Complete(_)) => Fields::read(request.headers)?.head(&request),
            Ok(httparse::Status::Partial) => Err(Status::BAD),
            Err(httparse::Error::TooManyHeaders) => Err(Status::HEAD_TOO_LARGE),
            Err(httparse::Error::Version) => Err(Status::VERSION),
            Err(_) => Err(Status::BAD),
        }
    }

    fn answer(&self, out: &mut impl Write, keep_alive: bool) -> io::Result<()> {
        let text = match self.status {
            Status::OK => "Hello, world!",
            Status(reason) => reason,
        };
        let connection = if keep_alive { "keep-alive" } else { "close" };
        respond(out, self.status, text, connection)?;
        if !self.only_head {
            writeln!(out, "{text}")?;
        }
        Ok(())
    }
}

/// The header fields that say where a request ends, and whether another may follow.
#[derive(Default)]
struct Fields {
    hosts: usize,
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    expects_continue: bool,
}

impl Fields {
    fn read(headers: &[httparse::Header<'_>]) -> Result<Self, Status> {
        let mut fields = Fields::default();
        for header in headers {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            if is("host") {
                fields.hosts += 1;
            } else if is("content-length") {
                let length = Some(length(header.value)?);
                if fields.length.is_some() && fields.length != length {
                    return Err(Status::BAD);
                }
                fields.length = length;
            } else if is("transfer-encoding") {
                if fields.chunked || !header.value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Status::NOT_IMPLEMENTED);
                }
                fields.chunked = true;
            } else if is("connection") {
                fields.close |= lists(header.value, b"close");
                fields.keep_alive |= lists(header.value, b"keep-alive");
            } else if is("expect") {
                fields.expects_continue |= header.value.eq_ignore_ascii_case(b"100-continue");
            }
        }
        Ok(fields)
    }

    /// Refuses what two servers might read differently (RFC 9112, 11.2).
    fn head(&self, request: &httparse::Request<'_, '_>) -> Result<Head, Status> {
        let modern = request.version == Some(1);
        let ambiguous = self.chunked && (self.length.is_some() || !modern);
        if ambiguous || self.hosts > 1 || (modern && self.hosts == 0) {
            return Err(Status::BAD);
        }
        if self.length > Some(MAX_BODY) {
            return Err(Status::BODY_TOO_LARGE);
        }
        let method = request.method.unwrap_or_default();
        let path = request.path.unwrap_or_default();
        let body = if self.chunked {
            Body::Chunked
        } else {
            Body::Length(self.length.unwrap_or(0))
        };
        Ok(Head {
            status: match method {
                "GET" | "HEAD" | "POST" | "PUT" if path.split('?').next() == Some("/") => {
                    Status::OK
                }
                "GET" | "HEAD" | "POST" | "PUT" => Status::NOT_FOUND,
                _ => Status::NOT_IMPLEMENTED,
            },
            only_head: method == "HEAD",
            keep_alive: !self.close && (modern || self.keep_alive),
            expects_continue: self.expects_continue && modern && !matches!(body, Body::Length(0)),
            body,
        })
    }
}

/// Takes digits only: requests are smuggled by signs and lists here.
fn length(value: &[u8]) -> Result<u64, Status> {
    let digits = str::from_utf8(value).map_err(|_| Status::BAD)?;
    if !value.iter().all(u8::is_ascii_digit) {
        return Err(Status::BAD);
    }
    digits.parse().map_err(|_| Status::BAD)
}

/// Whether a comma-separated list has this word, in any case.
fn lists(value: &[u8], word: &[u8]) -> bool {
    let mut items = value.split(|&byte| byte == b',');
    items.any(|item| item.trim_ascii().eq_ignore_ascii_case(word))
}

/// Appends one line, which the end of the stream is not.
fn read_line(stream: &mut Stream, line: &mut Vec<u8>) -> Result<(), Refusal> {
    match stream.rfile.read_until(b'\n', line) {
        Ok(1..) if line.ends_with(b"\n") => Ok(()),
        Ok(_) => Err(Status::BAD.into()),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(Status::HEAD_TOO_LARGE.into())
        }
        Err(error) => Err(error.into()),
    }
}

fn skip(stream: &mut Stream, length: u64) -> Result<(), Refusal> {
    let mut bytes = stream.rfile.by_ref().take(length);
    match io::copy(&mut bytes, &mut io::sink())? {
        skipped if skipped < length => Err(Status::BAD.into()),
        _ => Ok(()),
    }
}

fn refuse(stream: &mut Stream, status: Status) -> io::Result<()> {
    respond(&mut stream.wfile, status, status.0, "close")?;
    writeln!(stream.wfile, "{}", status.0)
}

/// Writes the head of a reply whose body is `text` and a line feed.
fn respond(out: &mut impl Write, status: Status, text: &str, connection: &str) -> io::Result<()> {
    let (Status(status), date) = (status, HttpDate::from(SystemTime::now()));
    let length = text.len() + 1;
    write!(out, "HTTP/1.1 {status}\r\nDate: {date}\r\n")?;
    write!(
        out,
        "Content-Type: text/plain\r\nContent-Length: {length}\r\n"
    )?;
    write!(out, "Connection: {connection}\r\n\r\n")
}

pub(crate) fn main() -> io::Result<()> {
    let server = HelloServer::builder(Hello::default());
    #[cfg(feature = "cli")]
    let server = server.args()?;
    #[cfg(not(feature = "cli"))]
    let server = server.addrs(std::env::args().skip(1));
    server.bind()?.run()
}
