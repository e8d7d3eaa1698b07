//! A transport whose peer is a script.

use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::os::fd::BorrowedFd;
use std::sync::Mutex;
use std::time::Duration;

use rustix::io::Errno;

use crate::requests::lock;
use crate::transport::{Transport, Wait};

/// What the peer does next.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Sends(Vec<u8>),
    Eof,
    Resets,
}

/// The two ends' bytes, and what is still to come.
#[derive(Debug)]
struct State {
    steps: VecDeque<Step>,
    written: Vec<u8>,
    is_read_shut: bool,
}

/// One end of a connection to a script.
#[derive(Debug)]
pub(super) struct Memory {
    state: Mutex<State>,
}

impl Memory {
    pub(super) fn new(steps: VecDeque<Step>) -> Self {
        Self {
            state: Mutex::new(State {
                steps,
                written: Vec::new(),
                is_read_shut: false,
            }),
        }
    }

    pub(super) fn take_written(&self) -> Vec<u8> {
        std::mem::take(&mut lock(&self.state).written)
    }
}

impl State {
    /// What a read finds now.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.steps.front_mut() {
            _ if self.is_read_shut => Ok(0),
            Some(Step::Eof) => Ok(0),
            Some(Step::Resets) => Err(Errno::CONNRESET.into()),
            Some(Step::Sends(bytes)) => {
                let count = bytes.len().min(buffer.len());
                buffer[..count].copy_from_slice(&bytes[..count]);
                bytes.drain(..count);
                if bytes.is_empty() {
                    self.steps.pop_front();
                }
                Ok(count)
            }
            None => Err(Errno::AGAIN.into()),
        }
    }
}

impl Transport for Memory {
    fn recv(&self, buffer: &mut [u8], _wait: Wait) -> io::Result<usize> {
        lock(&self.state).receive(buffer)
    }

    fn send(&self, bytes: &[u8], _wait: Wait) -> io::Result<usize> {
        lock(&self.state).written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        if how != Shutdown::Write {
            lock(&self.state).is_read_shut = true;
        }
        Ok(())
    }

    fn set_timeout(&self, _timeout: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
