//! What a command's result is answered with. The first trait of three that fits a type is the one that counts.

use std::cell::Cell;
use std::error::Error;
use std::fmt::{self, Display};
use std::io;
use std::marker::PhantomData;

use super::CommandError;
use crate::codec::Encoder;
use crate::message::Replies;

/// Several lines, as one reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines(pub Vec<String>);

impl<T: Into<String>> FromIterator<T> for Lines {
    fn from_iter<I: IntoIterator<Item = T>>(lines: I) -> Self {
        Self(lines.into_iter().map(Into::into).collect())
    }
}

/// The last reply: the connection ends behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Close<T = ()>(pub T);

/// A result on its way to the peer, whose codec is `C`.
pub struct Answer<R, C: ?Sized>(Cell<Option<R>>, PhantomData<fn(&C)>);

impl<R, C: ?Sized> Answer<R, C> {
    /// Made of a method's result; the codec is that of the replies.
    pub fn new(result: R, _: &Replies<'_, C>) -> Self {
        Self(Cell::new(Some(result)), PhantomData)
    }

    fn take(&self) -> Result<R, CommandError> {
        let gone = || CommandError::Fatal("a reply was sent twice".into());
        self.0.take().ok_or_else(gone)
    }
}

/// First: the codec itself encodes such a result, whatever it is.
pub trait Encodes<R, C: ?Sized> {
    /// Returns it as it is.
    ///
    /// # Errors
    ///
    /// None.
    fn settle(&self, replies: &mut Replies<'_, C>) -> Result<R, CommandError>;

    /// Sends it.
    ///
    /// # Errors
    ///
    /// What the codec or the transport says.
    fn send(&self, replies: &mut Replies<'_, C>) -> Result<(), CommandError>;
}

impl<R, C> Encodes<R, C> for &&Answer<R, C>
where
    C: Encoder<R> + ?Sized,
    io::Error: From<C::Error>,
{
    fn settle(&self, _: &mut Replies<'_, C>) -> Result<R, CommandError> {
        self.take()
    }

    fn send(&self, replies: &mut Replies<'_, C>) -> Result<(), CommandError> {
        sent(replies.send(self.take()?))
    }
}

fn sent(result: io::Result<()>) -> Result<(), CommandError> {
    result.map_err(|error| CommandError::Fatal(error.into()))
}

/// Second: it is a result around another.
pub trait Opens<T, C: ?Sized> {
    /// Returns the other.
    ///
    /// # Errors
    ///
    /// That there is none.
    fn settle(&self, replies: &mut Replies<'_, C>) -> Result<T, CommandError>;
}

impl<T, E, C: ?Sized> Opens<T, C> for &Answer<Result<T, E>, C>
where
    E: Into<Box<dyn Error + Send + Sync>>,
{
    fn settle(&self, _: &mut Replies<'_, C>) -> Result<T, CommandError> {
        self.take()?
            .map_err(|error| CommandError::Failed(error.into()))
    }
}

impl<T, C: ?Sized> Opens<T, C> for &Answer<Option<T>, C> {
    fn settle(&self, _: &mut Replies<'_, C>) -> Result<T, CommandError> {
        self.take()?.ok_or(CommandError::NotFound)
    }
}

impl<T, C: ?Sized> Opens<T, C> for &Answer<Close<T>, C> {
    fn settle(&self, replies: &mut Replies<'_, C>) -> Result<T, CommandError> {
        replies.close();
        Ok(self.take()?.0)
    }
}

/// Third: it is what it is.
pub trait Settles<R, C: ?Sized> {
    /// Returns it as it is.
    ///
    /// # Errors
    ///
    /// None.
    fn settle(&self, replies: &mut Replies<'_, C>) -> Result<R, CommandError>;
}

impl<R, C: ?Sized> Settles<R, C> for Answer<R, C> {
    fn settle(&self, _: &mut Replies<'_, C>) -> Result<R, CommandError> {
        self.take()
    }
}

/// Second, when it is sent: nothing, or several.
pub trait Sends<C: ?Sized> {
    /// Sends it.
    ///
    /// # Errors
    ///
    /// What the codec or the transport says.
    fn send(&self, replies: &mut Replies<'_, C>) -> Result<(), CommandError>;
}

impl<C: ?Sized> Sends<C> for &Answer<(), C> {
    fn send(&self, _: &mut Replies<'_, C>) -> Result<(), CommandError> {
        Ok(())
    }
}

impl<C> Sends<C> for &Answer<Lines, C>
where
    C: Encoder<String> + ?Sized,
    io::Error: From<C::Error>,
{
    fn send(&self, replies: &mut Replies<'_, C>) -> Result<(), CommandError> {
        let lines = self.take()?.0;
        sent(lines.into_iter().try_for_each(|line| replies.send(line)))
    }
}

/// Third, when it is sent: it is text.
pub trait Prints<R, C: ?Sized> {
    /// Sends it.
    ///
    /// # Errors
    ///
    /// What the codec or the transport says.
    fn send(&self, replies: &mut Replies<'_, C>) -> Result<(), CommandError>
    where
        R: Text<C>;
}

impl<R, C: ?Sized> Prints<R, C> for Answer<R, C> {
    fn send(&self, replies: &mut Replies<'_, C>) -> Result<(), CommandError>
    where
        R: Text<C>,
    {
        sent(self.take()?.say(replies))
    }
}

/// What can be said in one line.
#[diagnostic::on_unimplemented(
    message = "a command cannot reply with `{Self}`",
    label = "no reply",
    note = "return what implements `Display`, bytes, `()`, `Lines`, `Close`, an `Option` of those, or a `Result` whose error converts into `Box<dyn Error + Send + Sync>`; with an own codec `C`, anything that has `C: Encoder<{Self}>`"
)]
pub trait Text<C: ?Sized> {
    /// Says it.
    ///
    /// # Errors
    ///
    /// What the codec or the transport says.
    fn say(self, replies: &mut Replies<'_, C>) -> io::Result<()>;
}

impl<R, C> Text<C> for R
where
    R: Display,
    C: Encoder<String> + ?Sized,
    io::Error: From<C::Error>,
{
    fn say(self, replies: &mut Replies<'_, C>) -> io::Result<()> {
        replies.send(self.to_string())
    }
}

impl<R, C: ?Sized> fmt::Debug for Answer<R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").finish_non_exhaustive()
    }
}
