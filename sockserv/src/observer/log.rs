//! The access log: a line for each request, through the `log` facade. The option `access_log` is all there is to write.

use std::fmt::{self, Write as _};

use crate::observer::{Event, Observer, Stop};

/// What `access_log` adds. The format is documented in the observer module.
///
/// # Examples
///
/// ```
/// use sockserv::prelude::*;
///
/// struct Lines(std::sync::Mutex<Vec<String>>);
///
/// impl log::Log for Lines {
///     fn enabled(&self, metadata: &log::Metadata) -> bool {
///         metadata.target() == "sockserv::access"
///     }
///
///     fn log(&self, record: &log::Record) {
///         self.0.lock().unwrap().push(record.args().to_string());
///     }
///
///     fn flush(&self) {}
/// }
///
/// static LINES: Lines = Lines(std::sync::Mutex::new(Vec::new()));
///
/// #[derive(Clone)]
/// struct Hello;
///
/// #[server(tcp, addr = "127.0.0.1:0")]
/// impl Hello {
///     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
///         stream.wfile.write_all(b"hello\n")
///     }
/// }
///
/// log::set_logger(&LINES).unwrap();
/// log::set_max_level(log::LevelFilter::Info);
/// let mut server = HelloServer::builder(Hello).access_log(true).bind()?;
/// let client = std::net::TcpStream::connect(server.local_addr().as_inet().unwrap())?;
/// server.handle_request()?;
/// assert_eq!(io::read_to_string(client)?, "hello\n");
/// let lines = LINES.0.lock().unwrap();
/// assert!(lines[0].ends_with(" 0 6 finished"), "{lines:?}");
/// # Ok::<(), io::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccessLog;

impl Observer for AccessLog {
    fn observe(&self, event: &Event<'_>) {
        if let Event::Stopped(stop) = event {
            log::info!(target: "sockserv::access", "{}", Line(stop));
        }
    }
}

struct Line<'a>(&'a Stop<'a>);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stop = self.0;
        write!(OneWord(f), "{}", stop.peer)?;
        match stop.transport {
            Some(transport) => write!(f, " {transport}")?,
            None => f.write_str(" -")?,
        }
        let seconds = stop.duration.as_secs_f64();
        let (bytes_in, bytes_out) = (stop.bytes_in, stop.bytes_out);
        write!(f, " {seconds:.6} {bytes_in} {bytes_out} {}", stop.reason)
    }
}

/// Keeps a peer that chose its own path from writing lines of its own.
struct OneWord<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for OneWord<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if c.is_whitespace() || c.is_control() {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    write!(self.0, "\\x{byte:02x}")?; // As `Address` does.
                }
            } else {
                self.0.write_char(c)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::address::{Address, Kind};
    use crate::error::{Phase, Timeout};
    use crate::observer::Reason;

    #[test]
    fn a_line_is_six_words() {
        let peer = Address::from(std::net::SocketAddr::from(([127, 0, 0, 1], 50312)));
        let stop = Stop {
            request: 1,
            peer: &peer,
            transport: Some(Kind::Tcp),
            duration: Duration::from_micros(1274),
            bytes_in: 27,
            bytes_out: 1024,
            phase: Phase::Close,
            reason: Reason::Finished,
        };
        let line = Line(&stop).to_string();
        assert_eq!(line, "127.0.0.1:50312 tcp 0.001274 27 1024 finished");
        let peer = Address::Unix("/run/a b\nc".into());
        let stop = Stop {
            peer: &peer,
            transport: None,
            duration: Duration::from_secs(61),
            reason: Reason::TimedOut(Timeout::FirstByte),
            ..stop
        };
        let line = Line(&stop).to_string();
        assert_eq!(
            line,
            "unix:/run/a\\x20b\\x0ac - 61.000000 27 1024 first_byte_timeout"
        );
    }
}
