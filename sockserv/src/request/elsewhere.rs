//! "Part now, the rest elsewhere" (F65): a handler looks at its request and hands the rest of it to a child or a thread.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::error::{IntoOutcome, Phase, RequestError};
use crate::guard::{guard, leave_handler};
use crate::request::link::Link;
use crate::request::stream::Stream;
use crate::requests::children::Kept;
use crate::requests::lock;
use crate::sys::fork::{self, Threads};

/// Who has the rest of a request.
#[derive(Debug)]
pub(crate) enum Elsewhere {
    /// A thread, or a child of which this is the parent.
    Other,
    /// This is the child; what the rest of the request came to.
    Here(Option<RequestError>),
}

impl Stream {
    /// Hands the rest of this request to a child process and returns in the parent, so that the server can go on.
    ///
    /// The child has everything: the socket, what was read ahead and what was not sent yet. What `rest` returns is the
    /// request's result there; the handler's own `finish` does not run. The code behind this call runs in the parent only,
    /// where the stream is at its end and its senders are closed. The server's limits, errors, reaping and drain treat the
    /// rest like any other request.
    ///
    /// Meant for `sync`, whose other requests would wait otherwise.
    ///
    /// # Errors
    ///
    /// What fork(2) says; an error that names the threads if the process has others; `Unsupported` in a child. The
    /// request is untouched then and may be finished here.
    ///
    /// # Examples
    ///
    /// ```
    /// use sockserv::prelude::*;
    ///
    /// #[derive(Clone)]
    /// struct Router;
    ///
    /// #[server(tcp, sync, addr = "127.0.0.1:7007")]
    /// impl Router {
    ///     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
    ///         let mut command = String::new();
    ///         stream.rfile.read_line(&mut command)?;
    ///         match command.trim_end() {
    ///             "ping" => stream.wfile.write_all(b"pong\n"),
    ///             _ => stream.finish_in_child(|stream| {
    ///                 std::thread::sleep(std::time::Duration::from_secs(5)); // Long work, in a process of its own.
    ///                 stream.wfile.write_all(b"done\n")
    ///             }),
    ///         }
    ///     }
    /// }
    /// # fn main() -> io::Result<()> {
    /// # if true {
    /// #     // Not at its own port, which may be taken.
    /// #     let mut server = RouterServer::bind_to("127.0.0.1:0", Router)?;
    /// #     let mut client = sockserv::testing::Client::connect(server.local_addr());
    /// #     client.send("ping\n");
    /// #     server.handle_request()?;
    /// #     client.expect_line("pong").expect_eof();
    /// #     return Ok(());
    /// # }
    /// RouterServer::bind(Router)?.run()
    /// # }
    /// ```
    pub fn finish_in_child<R: IntoOutcome>(
        &mut self,
        rest: impl FnOnce(&mut Self) -> R,
    ) -> io::Result<()> {
        self.check_here()?;
        let link = Arc::clone(self.link());
        if let Some(child) = link.requests().fork(Threads::Refuse, &[])? {
            link.requests().watch(child, Kept::Held(link.clone()));
            drop(self.rfile.tie.hand_over()); // The child sends it.
            drop(self.rfile.input.take());
            link.close_senders(); // As what they have queued.
            link.forget_fds(); // The child has its own copies of them.
            link.slot().hand_over();
            self.elsewhere = Some(Elsewhere::Other);
            return Ok(());
        }
        link.run_here();
        let failure = finish(self, rest);
        if cfg!(panic = "abort") {
            end(self, failure.as_ref());
            if let Some(error) = failure {
                crate::error::report(&error, self.peer_addr());
            }
            fork::exit(0);
        }
        self.elsewhere = Some(Elsewhere::Here(failure));
        leave_handler()
    }

    /// Hands the rest of this request to a thread of its own and returns, so that the server can go on.
    ///
    /// As [`finish_in_child`](Self::finish_in_child), in a thread. If the rest fails, `handle_error` is called on a clone of
    /// the prototype in the accepting unit.
    ///
    /// # Errors
    ///
    /// What the operating system says when it starts the thread; `Unsupported` in a child. The request is untouched then.
    ///
    /// # Examples
    ///
    /// ```
    /// use sockserv::prelude::*;
    ///
    /// #[derive(Clone)]
    /// struct Slow;
    ///
    /// #[server(tcp, sync, addr = "127.0.0.1:0")]
    /// impl Slow {
    ///     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
    ///         stream.finish_in_thread(|stream| io::copy(&mut stream.rfile, &mut stream.wfile).map(drop))
    ///     }
    /// }
    ///
    /// let server = SlowServer::bind(Slow)?.spawn()?;
    /// let (mut first, mut second) = (server.connect()?, server.connect()?);
    /// for client in [&mut second, &mut first] {
    ///     client.write_all(b"x")?; // Although the model is `sync`, the second is served while the first is open.
    ///     client.read_exact(&mut [0])?;
    /// }
    /// # Ok::<(), io::Error>(())
    /// ```
    pub fn finish_in_thread<R: IntoOutcome>(
        &mut self,
        rest: impl FnOnce(&mut Self) -> R + Send + 'static,
    ) -> io::Result<()> {
        self.check_here()?;
        let link = Arc::clone(self.link());
        link.lend(); // This handler may go on longer than the rest, and holds the socket meanwhile.
        let unread = self.rfile.input.take();
        let unsent = self.rfile.tie.hand_over();
        // Should the thread not start, what it was to take is still here.
        let parts = Arc::new(Mutex::new(Some((link, unread, unsent, rest))));
        let taken = Arc::clone(&parts);
        let started = thread::Builder::new()
            .name("sockserv-rest".into())
            .spawn(move || {
                let parts = lock(&taken).take();
                if let Some((link, unread, unsent, rest)) = parts {
                    run(link, &unread, &unsent, rest);
                }
            });
        if let Err(error) = started {
            if let Some((_, unread, unsent, _)) = lock(&parts).take() {
                self.rfile.input.put(&unread);
                self.rfile.tie.take_back(unsent);
            }
            return Err(error);
        }
        self.link().slot().hand_over();
        self.elsewhere = Some(Elsewhere::Other);
        Ok(())
    }

    fn check_here(&self) -> io::Result<()> {
        let reason = if self.elsewhere.is_some() {
            "the rest of this request was handed over already"
        } else if self.link().requests().is_child() {
            "this request runs in a child process already: finish it here"
        } else {
            return Ok(());
        };
        Err(io::Error::new(io::ErrorKind::Unsupported, reason))
    }
}

/// The rest of a request on its own thread.
fn run<R: IntoOutcome>(
    link: Arc<Link>,
    unread: &[u8],
    unsent: &[u8],
    rest: impl FnOnce(&mut Stream) -> R,
) {
    link.run_here();
    let mut stream = Stream::new(link, unread, unsent);
    let failure = finish(&mut stream, rest);
    if let Some(error) = &failure {
        stream.link().failed(error, stream.peer_addr());
    }
    end(&stream, failure.as_ref());
    if let Some(error) = failure {
        stream
            .link()
            .requests()
            .report_later(error, stream.peer_addr().clone());
    }
}

/// Runs the rest and sends what it wrote; returns the first failure.
fn finish<R: IntoOutcome>(
    stream: &mut Stream,
    rest: impl FnOnce(&mut Stream) -> R,
) -> Option<RequestError> {
    // A rest runs once, and only its first call finds it.
    let link = Arc::clone(stream.link());
    let mut rest = Some(rest);
    let outcome = link.around(|| match rest.take() {
        Some(rest) => guard(Phase::Handle, || rest(stream).into_outcome()),
        None => Ok(()),
    });
    stream.link().slot().set_phase(Phase::Reply);
    let flushed = stream
        .wfile
        .flush()
        .and_then(|()| stream.link().flush_senders());
    let flushed = flushed.map_err(|error| RequestError::new(Phase::Reply, error));
    outcome
        .and(flushed)
        .err()
        .map(|error| error.saw(stream.link().seen()))
}

fn end(stream: &Stream, failure: Option<&RequestError>) {
    let link = stream.link();
    link.end(failure);
    link.hang_up(stream.rfile.input.unread());
}
