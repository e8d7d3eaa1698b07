//! [`StreamTest`]: a script for one connection, and its run.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use super::memory::{Memory, Step};
use super::record::{Record, Witness};
use crate::address::Address;
use crate::concurrency::Unit;
use crate::listener::{Incoming, Kind};
use crate::requests::Requests;
use crate::server::declare::{Declaration, Transport as _};
use crate::transport::Transport;

/// What the peer of one connection does, in order. Made by [`stream`](super::stream).
#[derive(Debug)]
#[must_use = "nothing happens until `run`"]
pub struct StreamTest<H> {
    handler: H,
    steps: VecDeque<Step>,
}

impl<H: Declaration> StreamTest<H> {
    pub(super) fn new(handler: H) -> Self {
        Self {
            handler,
            steps: VecDeque::new(),
        }
    }

    /// The peer sends bytes, which arrive in one piece.
    pub fn sends(self, bytes: impl AsRef<[u8]>) -> Self {
        self.step(Step::Sends(bytes.as_ref().to_vec()))
    }

    /// The peer has said everything: the handler reads end-of-file, and may still answer.
    pub fn eof(self) -> Self {
        self.step(Step::Eof)
    }

    /// The peer leaves in the middle: the connection is reset.
    pub fn resets(self) -> Self {
        self.step(Step::Resets)
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push_back(step);
        self
    }

    /// Runs the request from `setup` to its end, on this thread.
    ///
    /// # Panics
    ///
    /// Panics if the operating system refuses what a server needs.
    pub fn run(self) -> Record {
        let witness = Witness::default();
        let mut options = H::options().observer(witness.clone());
        options.max_connections = 1;
        let requests = Requests::new(options, None, None).expect("a poll set");
        let requests = Arc::new(requests);
        let memory = Arc::new(Memory::new(self.steps));
        let transport: Arc<dyn Transport> = Arc::clone(&memory) as _;
        let peer = Address::Unnamed;
        let ticket = requests.take(&peer, Some(&transport)).expect("a place");
        ticket.start(&peer, None, None);
        let kind = Kind::Stream {
            transport,
            local: OnceLock::new(),
            inherits: false,
        };
        let (methods, tell) = (H::Transport::methods(), H::hooks().handle_error);
        let unit = Unit::new(Incoming { kind }, peer, ticket, methods, tell);
        let mut unit = unit.unwrap_or_else(|_| unreachable!("its handler serves streams"));
        match unit.clone_handler(&self.handler) {
            true => unit.run(),
            false => unit.give_up_on(&self.handler),
        }
        Record::new(memory.take_written(), &witness)
    }
}
