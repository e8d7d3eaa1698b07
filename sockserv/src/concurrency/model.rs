//! [`Model`]: where and when a request runs.

use std::io;
use std::time::Instant;

use crate::concurrency::{Unit, prefork};
use crate::options::Options;
use crate::sys::fork::Threads;

/// Decides where and when each request runs: Python's `process_request`, F37. The models of this crate use the same door.
///
/// [`dispatch`](Self::dispatch) and [`drain`](Self::drain) make a model: limits, deadlines, drain, statistics, packets and
/// message handlers work as under ours. [`Unit::run`] is the whole request: a connection of a message handler keeps its
/// thread between two messages, as under `threading`. To park it there, as `pool` does, hand it to a
/// [`Pool`](crate::Pool) of yours: any model may be wrapped by one that passes on the calls that it does not change, as the
/// second example does.
///
/// | a model that | has |
/// |---|---|
/// | runs so many requests at most | [`most`](Self::most): the rest waits in the kernel's queue, or is refused (`on_full`) |
/// | refuses a request | `Err(unit.refuse(reason))` from `dispatch` |
/// | is full for other reasons | [`has_room`](Self::has_room), and [`ServerHandle::wake`](crate::ServerHandle::wake) when that changes |
/// | has threads that begin and end with the server | [`start`](Self::start), `drain` |
/// | makes handlers elsewhere, or later | [`admit`](Self::admit) |
/// | collects what one turn of the accept loop brings | [`end_of_turn`](Self::end_of_turn) |
/// | does something at a certain time | [`next_due`](Self::next_due), `end_of_turn` |
///
/// All are called on the accepting thread, and a panic of the model itself goes up through `serve_forever`: what panics in a
/// handler is caught within `Unit::run`. A model that waits for something else, a descriptor of its own, say, has a thread
/// that does, and wakes the loop.
///
/// # Examples
///
/// A model that runs each request in a thread of its own, without any limit, named in the attribute:
///
/// ```
/// use std::thread::JoinHandle;
/// use std::time::Instant;
///
/// use sockserv::prelude::*;
/// use sockserv::{Model, Unit};
///
/// #[derive(Default)]
/// struct Spawning {
///     threads: Vec<JoinHandle<()>>,
/// }
///
/// impl<H: Send + 'static> Model<H> for Spawning {
///     fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
///         self.threads.retain(|thread| !thread.is_finished());
///         self.threads.push(std::thread::spawn(move || unit.run()));
///         Ok(())
///     }
///
///     fn drain(&mut self, _until: Instant) {
///         self.threads.clear(); // They have ended, or are left behind.
///     }
/// }
///
/// #[derive(Clone)]
/// struct Hello;
///
/// #[server(tcp, model = Spawning, addr = "127.0.0.1:0")]
/// impl Hello {
///     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
///         stream.wfile.write_all(b"hello\n")
///     }
/// }
///
/// let mut text = String::new();
/// HelloServer::bind(Hello)?.spawn()?.connect()?.read_to_string(&mut text)?;
/// assert_eq!(text, "hello\n");
/// # Ok::<(), io::Error>(())
/// ```
///
/// A model around two of ours: connections go to a pool, which parks them between two messages, and packets are served
/// where they arrive:
///
/// ```
/// use std::time::Instant;
///
/// use sockserv::prelude::*;
/// use sockserv::{Model, Options, Pool, Synchronous, Unit};
///
/// struct Split<H> {
///     streams: Pool<H>,
///     packets: Synchronous,
/// }
///
/// impl<H: Send + 'static> Model<H> for Split<H> {
///     fn configure(&mut self, options: &Options) -> io::Result<()> {
///         self.streams.configure(options) // `workers` and `queue`, set by the builder.
///     }
///
///     fn start(
///         &mut self,
///         prototype: &H,
///         worker_start: fn(&mut H, usize) -> io::Result<()>,
///     ) -> io::Result<()>
///     where
///         H: Clone,
///     {
///         self.streams.start(prototype, worker_start)
///     }
///
///     fn has_room(&self, is_stream: bool) -> bool {
///         !is_stream || self.streams.has_room(true)
///     }
///
///     fn admit(&mut self, unit: Unit<H>, prototype: &H) -> Result<(), Unit<H>>
///     where
///         H: Clone,
///     {
///         match unit.is_stream() {
///             true => self.streams.admit(unit, prototype),
///             false => self.packets.admit(unit, prototype),
///         }
///     }
///
///     fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
///         self.streams.dispatch(unit)
///     }
///
///     fn end_of_turn(&mut self) {
///         self.streams.end_of_turn();
///     }
///
///     fn next_due(&self) -> Option<Instant> {
///         self.streams.next_due()
///     }
///
///     fn drain(&mut self, until: Instant) {
///         self.streams.drain(until);
///     }
/// }
/// #
/// # impl<H> Default for Split<H> {
/// #     fn default() -> Self {
/// #         Self { streams: Pool::default(), packets: Synchronous }
/// #     }
/// # }
///
/// #[derive(Clone)]
/// struct Shout;
///
/// #[server(tcp, udp, model = Split<Self>, lines, addr = "127.0.0.1:0")]
/// impl Shout {
///     fn message(&mut self, line: Bytes, replies: &mut Replies) -> io::Result<()> {
///         replies.send(line.to_ascii_uppercase())
///     }
/// }
///
/// let server = ShoutServer::builder(Shout).workers(1).bind()?.spawn()?;
/// let mut clients = [server.connect()?, server.connect()?];
/// for client in &mut clients {
///     client.write_all(b"one thread is enough\n")?;
///     let mut line = [0; 21];
///     client.read_exact(&mut line)?;
///     assert_eq!(&line, b"ONE THREAD IS ENOUGH\n");
/// }
/// # Ok::<(), io::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot run requests of `{H}`",
    label = "this model cannot run `{H}`",
    note = "a model is a type with `impl Model<{H}>`; `threading` and `pool` need a handler that is `Send + 'static`, `sync`, `forking` and `prefork` take any"
)]
pub trait Model<H> {
    /// Runs a request, now or later, here or elsewhere, by [`Unit::run`].
    ///
    /// # Errors
    ///
    /// Gives the request back if it cannot run: it is closed, and reported in phase `dispatch`
    /// with the reason that [`Unit::refuse`] was told.
    fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>>;

    /// Runs what the model still holds, or ends what it keeps: the server drains, and accepts no more.
    ///
    /// Called when nothing else is alive than requests that the model holds and has not [run](Unit::run): `until` the grace
    /// ends it may run them, here or elsewhere. What it holds beyond that is cut, and until it returns the accept loop does
    /// nothing else. Called once more at the end of each run of the server, for what the model itself keeps (idle threads,
    /// say): requests have ended by then, or were left behind. What takes longer than `until` is to be left behind too.
    ///
    /// # Examples
    ///
    /// Requests run in pairs, and in a drain the last one alone:
    ///
    /// ```
    /// # use std::time::Instant;
    /// #
    /// # use sockserv::prelude::*;
    /// # use sockserv::{Model, Unit};
    /// #
    /// struct Pairs<H> {
    ///     held: Option<Unit<H>>,
    /// }
    ///
    /// impl<H> Model<H> for Pairs<H> {
    ///     fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
    ///         match self.held.take() {
    ///             None => self.held = Some(unit),
    ///             Some(first) => [first, unit].into_iter().for_each(Unit::run),
    ///         }
    ///         Ok(())
    ///     }
    ///
    ///     fn drain(&mut self, _until: Instant) {
    ///         self.held.take().into_iter().for_each(Unit::run);
    ///     }
    /// }
    /// #
    /// # impl<H> Default for Pairs<H> {
    /// #     fn default() -> Self {
    /// #         Self { held: None }
    /// #     }
    /// # }
    ///
    /// # #[derive(Clone)]
    /// # struct Hello;
    /// #
    /// # #[server(tcp, model = Pairs<Self>, addr = "127.0.0.1:0")]
    /// # impl Hello {
    /// #     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
    /// #         stream.wfile.write_all(b"hello\n")
    /// #     }
    /// # }
    /// #
    /// let server = HelloServer::bind(Hello)?.spawn()?;
    /// let client = server.connect()?;
    /// assert_eq!(server.shutdown()?.finished(), 1);
    /// assert_eq!(io::read_to_string(client)?, "hello\n");
    /// # Ok::<(), io::Error>(())
    /// ```
    fn drain(&mut self, until: Instant);

    /// Learns the options, when the server is bound and before anything is opened.
    ///
    /// Only the models of this crate read them: one that wraps another passes them on. The settings of a model of your own
    /// are fields of the value that [`Builder::model`](crate::Builder::model) is given.
    ///
    /// # Errors
    ///
    /// What keeps the model from working here: it ends the bind.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Instant;
    /// #
    /// # use sockserv::prelude::*;
    /// # use sockserv::{Model, Options, Unit};
    /// #
    /// struct Crew {
    ///     threads: usize,
    /// }
    ///
    /// impl<H> Model<H> for Crew {
    ///     fn configure(&mut self, _options: &Options) -> io::Result<()> {
    ///         match self.threads {
    ///             0 => Err(io::Error::new(io::ErrorKind::InvalidInput, "a crew of no thread")),
    ///             _ => Ok(()),
    ///         }
    ///     }
    ///     // ...
    /// #     fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
    /// #         unit.run();
    /// #         Ok(())
    /// #     }
    /// #
    /// #     fn drain(&mut self, _until: Instant) {}
    /// }
    ///
    /// # #[derive(Clone)]
    /// # struct Hello;
    /// #
    /// # #[server(tcp, model = Crew, addr = "127.0.0.1:0")]
    /// # impl Hello {
    /// #     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
    /// #         stream.wfile.write_all(b"hello\n")
    /// #     }
    /// # }
    /// #
    /// let server = HelloServer::builder(Hello).model(Crew { threads: 0 }).bind();
    /// assert_eq!(server.unwrap_err().to_string(), "a crew of no thread");
    /// # Ok::<(), io::Error>(())
    /// ```
    fn configure(&mut self, options: &Options) -> io::Result<()> {
        let _ = options;
        Ok(())
    }

    /// Returns how many requests it can run at once, if it is the model that limits them. The accept loop takes no more: as
    /// with `max_connections` the rest waits in the kernel's queue, or is refused.
    ///
    /// Asked once, when the server is bound.
    ///
    /// # Examples
    ///
    /// A thread for each request, of which there are a hundred at most:
    ///
    /// ```
    /// # use std::thread;
    /// # use std::time::Instant;
    /// #
    /// # use sockserv::prelude::*;
    /// # use sockserv::{Model, Options, Unit};
    /// #
    /// #[derive(Default)]
    /// struct Hundred;
    ///
    /// impl<H: Send + 'static> Model<H> for Hundred {
    ///     fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
    ///         thread::spawn(|| unit.run());
    ///         Ok(())
    ///     }
    ///
    ///     fn drain(&mut self, _until: Instant) {}
    ///
    ///     fn most(&self, _options: &Options) -> Option<usize> {
    ///         Some(100)
    ///     }
    /// }
    ///
    /// # #[derive(Clone)]
    /// # struct Hello;
    /// #
    /// # #[server(tcp, model = Hundred, addr = "127.0.0.1:0")]
    /// # impl Hello {
    /// #     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
    /// #         stream.wfile.write_all(b"hello\n")
    /// #     }
    /// # }
    /// #
    /// let server = HelloServer::bind(Hello)?;
    /// assert_eq!(server.handle().set_max_connections(1000), 100);
    /// # Ok::<(), io::Error>(())
    /// ```
    fn most(&self, options: &Options) -> Option<usize> {
        let _ = options;
        None
    }

    /// The worker processes that accept in place of the one that bound the server: those of `prefork`.
    ///
    /// A model that wraps [`Prefork`](crate::Prefork) passes its constant on.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// use sockserv::{Model, Prefork, Unit, Workers};
    ///
    /// /// `prefork`, and what it was given is counted.
    /// #[derive(Default)]
    /// struct Counted {
    ///     inner: Prefork,
    ///     count: u64,
    /// }
    ///
    /// impl<H> Model<H> for Counted {
    ///     const WORKERS: Workers = <Prefork as Model<H>>::WORKERS;
    ///
    ///     fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
    ///         self.inner.dispatch(unit)
    ///     }
    ///
    ///     fn admit(&mut self, unit: Unit<H>, prototype: &H) -> Result<(), Unit<H>>
    ///     where
    ///         H: Clone,
    ///     {
    ///         self.count += 1;
    ///         self.inner.admit(unit, prototype)
    ///     }
    ///
    ///     fn drain(&mut self, until: Instant) {
    ///         Model::<H>::drain(&mut self.inner, until);
    ///     }
    /// }
    ///
    /// assert!(<Counted as Model<()>>::WORKERS != Workers::NONE);
    /// ```
    const WORKERS: Workers = Workers::NONE;

    /// Starts what the model keeps from its first request on, as a run of the server begins; harmless when it has started.
    ///
    /// `worker_start` is the handler's hook: for a thread that makes handlers from a prototype of its own, a clone of this
    /// one, to be called there once, with the thread's number.
    ///
    /// # Errors
    ///
    /// What keeps it from starting: the run ends with it.
    ///
    /// # Examples
    ///
    /// One thread, which makes each handler from a prototype of its own, prepared by `worker_start`:
    ///
    /// ```
    /// use std::sync::mpsc::{self, Sender};
    /// use std::thread::{self, JoinHandle};
    /// use std::time::Instant;
    ///
    /// use sockserv::prelude::*;
    /// use sockserv::{Model, Unit};
    ///
    /// struct Lone<H> {
    ///     thread: Option<(Sender<Unit<H>>, JoinHandle<()>)>,
    /// }
    ///
    /// impl<H: Clone + Send + 'static> Model<H> for Lone<H> {
    ///     fn start(
    ///         &mut self,
    ///         prototype: &H,
    ///         worker_start: fn(&mut H, usize) -> io::Result<()>,
    ///     ) -> io::Result<()> {
    ///         if self.thread.is_some() {
    ///             return Ok(());
    ///         }
    ///         let mut prototype = prototype.clone();
    ///         let (give, take) = mpsc::channel::<Unit<H>>();
    ///         let (tell, told) = mpsc::channel();
    ///         let thread = thread::spawn(move || {
    ///             let started = worker_start(&mut prototype, 0);
    ///             let is_ready = started.is_ok();
    ///             let _ = tell.send(started);
    ///             for mut unit in take.into_iter().take_while(|_| is_ready) {
    ///                 unit.clone_handler(&prototype);
    ///                 unit.run(); // If there is no handler now, this reports it.
    ///             }
    ///         });
    ///         self.thread = Some((give, thread));
    ///         told.recv().map_err(io::Error::other)?
    ///     }
    ///
    ///     fn admit(&mut self, unit: Unit<H>, _prototype: &H) -> Result<(), Unit<H>> {
    ///         self.dispatch(unit) // Its handler is made over there.
    ///     }
    ///
    ///     fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
    ///         match &self.thread {
    ///             Some((give, _)) => give.send(unit).map_err(|back| back.0),
    ///             None => Err(unit),
    ///         }
    ///     }
    ///
    ///     fn drain(&mut self, until: Instant) {
    ///         let Some((give, thread)) = self.thread.take() else {
    ///             return;
    ///         };
    ///         drop(give);
    ///         while !thread.is_finished() && Instant::now() < until {
    ///             thread::yield_now(); // A thread in a handler that never ends is left behind.
    ///         }
    ///     }
    /// }
    /// #
    /// # impl<H> Default for Lone<H> {
    /// #     fn default() -> Self {
    /// #         Self { thread: None }
    /// #     }
    /// # }
    ///
    /// #[derive(Clone)]
    /// struct Hello {
    ///     name: String,
    /// }
    ///
    /// #[server(tcp, model = Lone<Self>, addr = "127.0.0.1:0")]
    /// impl Hello {
    ///     fn worker_start(&mut self, worker: usize) -> io::Result<()> {
    ///         self.name = format!("worker {worker}");
    ///         Ok(())
    ///     }
    ///
    ///     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
    ///         write!(stream.wfile, "hello from {}", self.name)
    ///     }
    /// }
    ///
    /// let server = HelloServer::bind(Hello { name: "nobody".into() })?.spawn()?;
    /// assert_eq!(io::read_to_string(server.connect()?)?, "hello from worker 0");
    /// # Ok::<(), io::Error>(())
    /// ```
    fn start(
        &mut self,
        prototype: &H,
        worker_start: fn(&mut H, usize) -> io::Result<()>,
    ) -> io::Result<()>
    where
        H: Clone,
    {
        let _ = (prototype, worker_start);
        Ok(())
    }

    /// Returns whether it takes another request now, a stream or a packet. While it does not, the accept loop leaves such
    /// listeners alone, and the kernel's queue holds the clients; [`admit`](Self::admit) is not called.
    ///
    /// The loop asks whenever it is awake. Who makes room elsewhere wakes it: [`ServerHandle::wake`](crate::ServerHandle::wake).
    ///
    /// # Examples
    ///
    /// One request at a time, on a thread of its own; the others wait where `netstat` sees them:
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicBool, Ordering};
    /// use std::thread;
    /// use std::time::Instant;
    ///
    /// use sockserv::prelude::*;
    /// use sockserv::{Model, Unit};
    ///
    /// #[derive(Default)]
    /// struct Single {
    ///     is_busy: Arc<AtomicBool>,
    /// }
    ///
    /// impl<H: Send + 'static> Model<H> for Single {
    ///     fn has_room(&self, _is_stream: bool) -> bool {
    ///         !self.is_busy.load(Ordering::SeqCst)
    ///     }
    ///
    ///     fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
    ///         let (is_busy, server) = (Arc::clone(&self.is_busy), unit.server().clone());
    ///         is_busy.store(true, Ordering::SeqCst);
    ///         thread::spawn(move || {
    ///             unit.run();
    ///             is_busy.store(false, Ordering::SeqCst);
    ///             server.wake();
    ///         });
    ///         Ok(())
    ///     }
    ///
    ///     fn drain(&mut self, _until: Instant) {}
    /// }
    ///
    /// # #[derive(Clone)]
    /// # struct Hello;
    /// #
    /// # #[server(tcp, model = Single, addr = "127.0.0.1:0")]
    /// # impl Hello {
    /// #     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
    /// #         stream.wfile.write_all(b"hello\n")
    /// #     }
    /// # }
    /// #
    /// let server = HelloServer::bind(Hello)?.spawn()?;
    /// let clients = [server.connect()?, server.connect()?, server.connect()?];
    /// for client in clients {
    ///     assert_eq!(io::read_to_string(client)?, "hello\n");
    /// }
    /// # Ok::<(), io::Error>(())
    /// ```
    fn has_room(&self, is_stream: bool) -> bool {
        let _ = is_stream;
        true
    }

    /// Takes a request that has no handler yet. The default gives it a clone of the prototype, and dispatches it.
    ///
    /// # Errors
    ///
    /// As [`dispatch`](Self::dispatch).
    fn admit(&mut self, mut unit: Unit<H>, prototype: &H) -> Result<(), Unit<H>>
    where
        H: Clone,
    {
        if !unit.clone_handler(prototype) {
            return Err(unit);
        }
        self.dispatch(unit)
    }

    /// Does what is due, and lets begin what was [admitted](Self::admit) and held back: at the end of each turn of the
    /// accept loop, before it waits again.
    ///
    /// # Examples
    ///
    /// The last one to come is the first to be served:
    ///
    /// ```
    /// # use std::time::Instant;
    /// #
    /// # use sockserv::prelude::*;
    /// # use sockserv::{Model, Unit};
    /// #
    /// struct LastFirst<H> {
    ///     stack: Vec<Unit<H>>,
    /// }
    ///
    /// impl<H> Model<H> for LastFirst<H> {
    ///     fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
    ///         self.stack.push(unit);
    ///         Ok(())
    ///     }
    ///
    ///     fn end_of_turn(&mut self) {
    ///         while let Some(unit) = self.stack.pop() {
    ///             unit.run();
    ///         }
    ///     }
    ///
    ///     fn drain(&mut self, _until: Instant) {}
    /// }
    /// #
    /// # impl<H> Default for LastFirst<H> {
    /// #     fn default() -> Self {
    /// #         Self { stack: Vec::new() }
    /// #     }
    /// # }
    ///
    /// #[derive(Clone)]
    /// struct Shout;
    ///
    /// #[server(udp, model = LastFirst<Self>, addr = "127.0.0.1:0")]
    /// impl Shout {
    ///     fn handle(&mut self, datagram: &mut Datagram) -> io::Result<()> {
    ///         datagram.wfile.write_all(&datagram.packet().to_ascii_uppercase())
    ///     }
    /// }
    ///
    /// let server = ShoutServer::bind(Shout)?;
    /// let client = std::net::UdpSocket::bind("127.0.0.1:0")?;
    /// client.connect(server.local_addr().as_inet().unwrap())?;
    /// client.send(b"first")?;
    /// client.send(b"last")?;
    /// let _running = server.spawn()?; // Both are there when it begins.
    /// let mut reply = [0; 5];
    /// let mut receive = || client.recv(&mut reply).map(|count| reply[..count].to_vec());
    /// assert_eq!(receive()?, b"LAST");
    /// assert_eq!(receive()?, b"FIRST");
    /// # Ok::<(), io::Error>(())
    /// ```
    fn end_of_turn(&mut self) {}

    /// Returns when [`end_of_turn`](Self::end_of_turn) has something to do even if nothing happens before.
    ///
    /// # Examples
    ///
    /// Who comes is kept for a moment:
    ///
    /// ```
    /// # use std::collections::VecDeque;
    /// # use std::time::Duration;
    /// # use std::time::Instant;
    /// #
    /// # use sockserv::prelude::*;
    /// # use sockserv::{Model, Unit};
    /// #
    /// struct Delayed<H> {
    ///     queue: VecDeque<(Instant, Unit<H>)>,
    /// }
    ///
    /// impl<H> Model<H> for Delayed<H> {
    ///     fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
    ///         self.queue.push_back((Instant::now() + Duration::from_millis(20), unit));
    ///         Ok(())
    ///     }
    ///
    ///     fn next_due(&self) -> Option<Instant> {
    ///         self.queue.front().map(|(due, _)| *due)
    ///     }
    ///
    ///     fn end_of_turn(&mut self) {
    ///         while self.queue.front().is_some_and(|(due, _)| *due <= Instant::now()) {
    ///             self.queue.pop_front().into_iter().for_each(|(_, unit)| unit.run());
    ///         }
    ///     }
    ///
    ///     fn drain(&mut self, _until: Instant) {}
    /// }
    /// #
    /// # impl<H> Default for Delayed<H> {
    /// #     fn default() -> Self {
    /// #         Self { queue: VecDeque::new() }
    /// #     }
    /// # }
    ///
    /// # #[derive(Clone)]
    /// # struct Hello;
    /// #
    /// # #[server(tcp, model = Delayed<Self>, addr = "127.0.0.1:0")]
    /// # impl Hello {
    /// #     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
    /// #         stream.wfile.write_all(b"hello\n")
    /// #     }
    /// # }
    /// #
    /// let server = HelloServer::bind(Hello)?.spawn()?;
    /// let began = Instant::now();
    /// assert_eq!(io::read_to_string(server.connect()?)?, "hello\n");
    /// assert!(began.elapsed() >= Duration::from_millis(20));
    /// # Ok::<(), io::Error>(())
    /// ```
    fn next_due(&self) -> Option<Instant> {
        None
    }
}

/// Which worker processes accept in place of the one that bound the server: see [`Model::WORKERS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workers {
    /// Whether they may be forked while the process has other threads; nothing where there are none.
    threads: Option<Threads>,
}

impl Workers {
    /// The process that bound the server accepts.
    pub const NONE: Self = Self { threads: None };

    pub(crate) const fn forked(threads: Threads) -> Self {
        Self {
            threads: Some(threads),
        }
    }

    pub(crate) const fn are_some(self) -> bool {
        self.threads.is_some()
    }

    /// How many there are, if there are any.
    pub(crate) fn count(self, options: &Options) -> Option<usize> {
        self.threads
            .map(|_| options.workers.unwrap_or(prefork::WORKERS))
    }

    /// Whether they may be forked beside other threads.
    pub(crate) const fn threads(self) -> Threads {
        match self.threads {
            Some(threads) => threads,
            None => Threads::Refuse,
        }
    }
}
