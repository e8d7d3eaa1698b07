//! Frames that end at a mark, found without looking at any byte twice.

use bytes::{Buf, Bytes, BytesMut};

use crate::codec::{FrameError, Overflow};

/// What ends a frame.
pub(super) trait Mark {
    /// Finds the first mark that begins at `from` or later; returns where the frame before it ends, and where it ends itself.
    fn find(&self, bytes: &[u8], from: usize) -> Option<(usize, usize)>;

    /// How many of the last bytes may be the beginning of a mark, if no whole one is there.
    fn begun(&self, bytes: &[u8]) -> usize;
}

/// Frames of at most `max` bytes before each mark, by a search that goes on where it stopped.
#[derive(Clone, Debug)]
pub(super) struct Search<M> {
    pub(super) mark: M,
    pub(super) max: usize,
    pub(super) on_overflow: Overflow,
    /// No mark begins before here.
    scanned: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reading,
    /// What comes belongs to a frame that is too long.
    Skipping,
    Ended,
}

impl<M> Search<M> {
    pub(super) const fn new(mark: M, max: usize) -> Self {
        Self {
            mark,
            max,
            on_overflow: Overflow::Error,
            scanned: 0,
            state: State::Reading,
        }
    }
}

impl<M: Mark> Search<M> {
    pub(super) fn has_ended(&self) -> bool {
        self.state == State::Ended
    }

    pub(super) fn next(&mut self, src: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        while self.state != State::Ended {
            let Some((content, end)) = self.mark.find(src, self.scanned.min(src.len())) else {
                return self.wait(src).map(|()| None);
            };
            self.scanned = 0;
            if self.state == State::Skipping {
                self.state = State::Reading;
                src.advance(end);
            } else if content > self.max {
                src.advance(end);
                self.overflow()?;
            } else {
                let mut frame = src.split_to(end);
                frame.truncate(content);
                return Ok(Some(frame.freeze()));
            }
        }
        src.clear();
        Ok(None)
    }

    /// As [`next`](Self::next), when there will be no more bytes: what has no mark is no frame.
    pub(super) fn last(&mut self, src: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        let frame = self.next(src)?;
        if frame.is_some() || src.is_empty() {
            return Ok(frame);
        }
        src.clear();
        self.scanned = 0;
        match self.state {
            State::Reading => Err(FrameError::Truncated),
            State::Skipping | State::Ended => Ok(None), // That it is too long was said, or was not to be said.
        }
    }

    /// A packet's frame, behind which the mark may stand.
    pub(super) fn packet(&self, mut packet: Bytes) -> Result<Option<Bytes>, FrameError> {
        match self.mark.find(&packet, 0) {
            Some((content, end)) if end == packet.len() => packet.truncate(content),
            Some(_) => return Err(FrameError::Malformed("one frame in a packet")),
            None => {}
        }
        super::packet(packet, self.max, self.on_overflow)
    }

    /// There is no mark yet.
    fn wait(&mut self, src: &mut BytesMut) -> Result<(), FrameError> {
        self.scanned = src.len() - self.mark.begun(src);
        let is_new = self.state == State::Reading;
        if is_new && self.scanned <= self.max {
            return Ok(());
        }
        src.advance(self.scanned);
        self.scanned = 0;
        self.state = State::Skipping;
        match is_new {
            true => self.overflow(),
            false => Ok(()),
        }
    }

    fn overflow(&mut self) -> Result<(), FrameError> {
        match self.on_overflow {
            Overflow::Discard => return Ok(()),
            Overflow::Error => {}
            Overflow::Close => self.state = State::Ended,
        }
        Err(FrameError::TooLong { max: self.max })
    }
}
