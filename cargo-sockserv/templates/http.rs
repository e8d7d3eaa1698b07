//! As much of HTTP/1.1 as a small service needs: kept connections, pipelining, bodies that say how long they are
//! (RFC 9110, RFC 9112).

use std::time::SystemTime;

use httpdate::HttpDate;
use sockserv::prelude::*;

const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;
const MAX_BODY: usize = 1024 * 1024;

/// One request.
pub struct Asked {
    pub method: String,
    /// With the query, if there is one.
    pub path: String,
    pub body: Vec<u8>,
    pub keep_alive: bool,
}

/// Why there is no request: the peer can be told, or not even that.
pub enum Refusal {
    Answer(&'static str),
    Lost(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Self::Answer("408 Request Timeout"),
            io::ErrorKind::InvalidData => Self::Answer("431 Request Header Fields Too Large"),
            io::ErrorKind::UnexpectedEof => Self::Answer("400 Bad Request"),
            _ => Self::Lost(error),
        }
    }
}

/// Waits for the next request; `None` if the peer is done, or silent between two of them.
pub fn next(stream: &mut Stream) -> Result<Option<Asked>, Refusal> {
    let Some(head) = read_head(stream)? else {
        return Ok(None);
    };
    let (mut asked, fields) = parse(&head)?;
    if fields.expects_continue && fields.length > 0 {
        stream.wfile.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    asked.body.resize(fields.length, 0);
    stream.rfile.read_exact(&mut asked.body)?;
    Ok(Some(asked))
}

/// Writes the reply; replies to pipelined requests leave together.
pub fn reply(
    out: &mut impl Write,
    now: SystemTime,
    asked: &Asked,
    status: &str,
    text: &str,
) -> io::Result<()> {
    let connection = if asked.keep_alive { "keep-alive" } else { "close" };
    write_head(out, now, status, text.len(), connection)?;
    if asked.method == "HEAD" {
        return Ok(());
    }
    out.write_all(text.as_bytes())
}

/// Says what is wrong; the connection is closed after that.
pub fn refuse(out: &mut impl Write, now: SystemTime, status: &str) -> io::Result<()> {
    write_head(out, now, status, status.len() + 1, "close")?;
    writeln!(out, "{status}")
}

fn write_head(out: &mut impl Write, now: SystemTime, status: &str, length: usize, connection: &str) -> io::Result<()> {
    let date = HttpDate::from(now);
    write!(out, "HTTP/1.1 {status}\r\nDate: {date}\r\nContent-Type: text/plain; charset=utf-8\r\n")?;
    write!(out, "Content-Length: {length}\r\nConnection: {connection}\r\n\r\n")
}

/// Reads up to the empty line.
fn read_head(stream: &mut Stream) -> Result<Option<Vec<u8>>, Refusal> {
    let mut head = Vec::new();
    loop {
        let start = head.len();
        match stream.rfile.read_until(b'\n', &mut head) {
            Ok(0) | Err(_) if head.is_empty() => return Ok(None),
            Ok(_) if !head.ends_with(b"\n") => return Err(Refusal::Answer("400 Bad Request")),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        match &head[start..] {
            b"\r\n" | b"\n" if start == 0 => head.clear(), // RFC 9112, 2.2
            b"\r\n" | b"\n" => return Ok(Some(head)),
            _ if head.len() > MAX_HEAD => return Err(Refusal::Answer("431 Request Header Fields Too Large")),
            _ => {}
        }
    }
}

/// The header fields that say where a request ends, and what comes after it.
#[derive(Default)]
struct Fields {
    hosts: usize,
    length: usize,
    close: bool,
    keep_alive: bool,
    expects_continue: bool,
}

fn parse(head: &[u8]) -> Result<(Asked, Fields), Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::Version) => return Err(Refusal::Answer("505 HTTP Version Not Supported")),
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::Answer("431 Request Header Fields Too Large")),
        _ => return Err(Refusal::Answer("400 Bad Request")),
    }
    let fields = read_fields(request.headers)?;
    let is_modern = request.version == Some(1);
    if fields.hosts > 1 || (is_modern && fields.hosts == 0) {
        return Err(Refusal::Answer("400 Bad Request"));
    }
    let asked = Asked {
        method: request.method.unwrap_or_default().to_owned(),
        path: request.path.unwrap_or_default().to_owned(),
        body: Vec::new(),
        keep_alive: !fields.close && (is_modern || fields.keep_alive),
    };
    Ok((asked, fields))
}

/// Refuses what two servers could read in two ways (RFC 9112, 11.2).
fn read_fields(headers: &[httparse::Header<'_>]) -> Result<Fields, Refusal> {
    let mut fields = Fields::default();
    let mut lengths = 0;
    for header in headers {
        let lists = |word: &str| {
            let mut items = header.value.split(|&byte| byte == b',');
            items.any(|item| item.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
        };
        match header.name.to_ascii_lowercase().as_str() {
            "host" => fields.hosts += 1,
            "content-length" => {
                lengths += 1;
                fields.length = length(header.value)?;
            }
            "transfer-encoding" => return Err(Refusal::Answer("501 Not Implemented")),
            "connection" => {
                fields.close |= lists("close");
                fields.keep_alive |= lists("keep-alive");
            }
            "expect" => fields.expects_continue |= lists("100-continue"),
            _ => {}
        }
    }
    if lengths > 1 {
        return Err(Refusal::Answer("400 Bad Request"));
    }
    Ok(fields)
}

/// Digits only: a sign or a list here is how requests are smuggled.
fn length(value: &[u8]) -> Result<usize, Refusal> {
    let text = str::from_utf8(value).unwrap_or_default();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::Answer("400 Bad Request"));
    }
    match text.parse() {
        Ok(length @ ..=MAX_BODY) => Ok(length),
        _ => Err(Refusal::Answer("413 Content Too Large")),
    }
}
