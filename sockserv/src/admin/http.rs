//! As much of HTTP/1.1 as a reader of numbers needs: a question without a body, an answer, the end.

use std::net::IpAddr;
use std::time::SystemTime;

/// How long a question may be, its header fields included.
pub(super) const MAX_QUESTION: usize = 8 << 10;

/// How many header fields it may have.
const FIELDS: usize = 64;

/// What somebody wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    /// Without what stands behind a question mark.
    pub(super) path: String,
    /// The host that was asked for, without its port.
    pub(super) host: Option<String>,
    /// Whether the answer's body is wanted.
    pub(super) wants_body: bool,
}

/// What is said in return.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    status: u16,
    kind: &'static str,
    fields: &'static str,
    body: Vec<u8>,
}

impl Ask {
    /// Reads the beginning of a connection: `None` if it is not complete, the answer if it cannot be understood.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Self>, Reply> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut request = httparse::Request::new(&mut fields);
        match request.parse(bytes) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) if bytes.len() < MAX_QUESTION => return Ok(None),
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                return Err(Reply::text(431, "the question is too long\n"));
            }
            Err(error) => return Err(Reply::text(400, format!("not HTTP: {error}\n"))),
        }
        let wants_body = match request.method {
            Some("GET") => true,
            Some("HEAD") => false,
            _ => {
                let reply = Reply::text(405, "everything here is read only\n");
                return Err(reply.with("Allow: GET, HEAD\r\n"));
            }
        };
        let target = request.path.unwrap_or_default();
        let path = target.split('?').next().unwrap_or_default().to_owned();
        let mut hosts = request.headers.iter();
        let host = hosts.find(|field| field.name.eq_ignore_ascii_case("host"));
        let host = host.map(|field| without_port(&String::from_utf8_lossy(field.value)));
        if host.is_none() && request.version == Some(1) {
            return Err(Reply::text(400, "HTTP/1.1 wants a `Host`\n"));
        }
        Ok(Some(Self {
            path,
            host,
            wants_body,
        }))
    }
}

impl Ask {
    /// Whether the host that was asked for is this machine. A page from elsewhere whose name was made to mean this machine
    /// asks for another: DNS rebinding.
    pub(super) fn is_for_this_machine(&self) -> bool {
        let Some(host) = &self.host else {
            return true; // HTTP/1.0, which no browser speaks.
        };
        let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
        host.parse::<IpAddr>().is_ok() || host == "localhost" || host.ends_with(".localhost")
    }
}

fn without_port(host: &str) -> String {
    let host = host.trim();
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) => name.to_owned(),
        _ => host.to_owned(),
    }
}

impl Reply {
    pub(super) fn new(status: u16, kind: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            kind,
            fields: "",
            body: body.into(),
        }
    }

    pub(super) fn text(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::new(status, "text/plain; charset=utf-8", body)
    }

    /// Adds header fields, each with its end of line.
    pub(super) fn with(mut self, fields: &'static str) -> Self {
        self.fields = fields;
        self
    }

    /// The form in which it is sent.
    pub(super) fn into_bytes(self, wants_body: bool) -> Vec<u8> {
        let Self {
            status,
            kind,
            fields,
            body,
        } = self;
        let (reason, length) = (reason(status), body.len());
        let date = httpdate::fmt_http_date(SystemTime::now());
        let mut bytes = format!(
            "HTTP/1.1 {status} {reason}\r\nDate: {date}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
             Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n{fields}Connection: close\r\n\r\n"
        )
        .into_bytes();
        if wants_body {
            bytes.extend(body);
        }
        bytes
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        421 => "Misdirected Request",
        431 => "Request Header Fields Too Large",
        _ => "Service Unavailable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_found_without_its_port() {
        for (written, host) in [
            ("localhost", "localhost"),
            ("localhost:9100", "localhost"),
            ("[::1]:9100", "[::1]"),
            ("[::1]", "[::1]"),
            (" 127.0.0.1:80 ", "127.0.0.1"),
        ] {
            assert_eq!(without_port(written), host);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..MAX_QUESTION + 100)) {
            let begins = [b"GET / HTTP/1.1\r\nHost: ".as_slice(), &bytes].concat();
            for bytes in [bytes, begins] {
                let read = Ask::read(&bytes);
                assert!(bytes.len() < MAX_QUESTION || !matches!(read, Ok(None)), "nobody waits for more than that");
            }
        }
    }
}
