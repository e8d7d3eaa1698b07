//! The words of a message, taken one by one.

use std::cmp::Ordering;
use std::fmt::{self, Display};
use std::ops::Deref;
use std::str::FromStr;

use bytes::Bytes;

use super::quoted::{Quoted, has_quotes};
use super::{Command, CommandError, Verb};

/// A message that has words: a line, or a list of words.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no words",
    label = "a command needs words",
    note = "commands are made of lines (`Bytes`) or of lists of words (`Vec<Bytes>`); let the codec decode either"
)]
pub trait Sentence {
    /// Splits it, as far as that must be done before its words can be taken.
    fn split(self, quoting: bool) -> Split;
}

impl Sentence for Bytes {
    fn split(self, quoting: bool) -> Split {
        if quoting && has_quotes(&self) {
            let words = Quoted::all(&self);
            return Split::Quoted(self, words);
        }
        Split::Line(self)
    }
}

impl Sentence for Vec<Bytes> {
    fn split(self, _: bool) -> Split {
        Split::List(self)
    }
}

/// A message whose words can be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Split {
    /// The words stand between spaces and tabs.
    Line(Bytes),
    /// A line, and the words in it, of which some are quoted.
    Quoted(Bytes, Vec<Quoted>),
    /// The words themselves.
    List(Vec<Bytes>),
}

impl Split {
    /// Returns its words.
    #[must_use]
    pub fn words(&self) -> Words<'_> {
        let mut words = match self {
            Self::Line(line) => Words::new(line, line, Form::Line),
            Self::Quoted(line, words) => Words::new(line, line, Form::Quoted { words, taken: 0 }),
            Self::List(list) => match list.split_first() {
                Some((first, behind)) => Words::new(first, first, Form::List(behind)),
                None => Words::new(&NOTHING, &[], Form::Line),
            },
        };
        words.skip();
        words
    }
}

static NOTHING: Bytes = Bytes::new();

pub(super) fn is_space(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// What is left of a message's words.
#[derive(Clone, Debug)]
pub struct Words<'a> {
    /// What is left of the line, or of the first word.
    rest: &'a [u8],
    /// The memory that it stands in.
    owner: &'a Bytes,
    form: Form<'a>,
    /// Whether nothing is left; an empty word is something.
    is_over: bool,
    command: Option<&'static Command>,
}

/// How what is left is divided into words.
#[derive(Clone, Copy, Debug)]
enum Form<'a> {
    /// By spaces.
    Line,
    /// By spaces, into these words; so many bytes of the first one are taken.
    Quoted { words: &'a [Quoted], taken: usize },
    /// What is left is one word, and these are behind it.
    List(&'a [Bytes]),
}

/// A command before it is known.
static NONE: Command = Command {
    verb: "",
    usage: "",
    about: "",
};

impl<'a> Words<'a> {
    fn new(owner: &'a Bytes, rest: &'a [u8], form: Form<'a>) -> Self {
        Self {
            rest,
            owner,
            form,
            is_over: false,
            command: None,
        }
    }

    /// Skips what stands before the next word of a line.
    fn skip(&mut self) {
        if !matches!(self.form, Form::List(_)) {
            let spaces = self.rest.iter().take_while(|byte| is_space(**byte)).count();
            self.rest = &self.rest[spaces..];
            self.is_over = self.rest.is_empty();
        }
    }

    /// Returns whether there are no more.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.is_over
    }

    /// Errors name this command from now on.
    pub(super) fn is_for(&mut self, command: &'static Command) {
        self.command = Some(command);
    }

    fn command(&self) -> &'static Command {
        self.command.unwrap_or(&NONE)
    }

    /// Takes the next word, with the memory that it stands in; none if nothing is left.
    fn next(&mut self) -> Result<Option<(&'a [u8], &'a Bytes)>, CommandError> {
        if self.is_over {
            return Ok(None);
        }
        let (word, owner) = (self.rest, self.owner);
        match self.form {
            Form::Line => {
                let end = self.rest.iter().position(|byte| is_space(*byte));
                let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
                self.rest = rest;
                self.skip();
                return Ok(Some((word, owner)));
            }
            Form::Quoted { words, taken } => return self.next_quoted(words, taken),
            Form::List([]) => self.is_over = true,
            Form::List([first, behind @ ..]) => {
                (self.rest, self.owner, self.form) = (first, first, Form::List(behind));
            }
        }
        Ok(Some((word, owner)))
    }

    /// Takes the first of these words, without what is taken of it.
    #[cold]
    fn next_quoted(
        &mut self,
        words: &'a [Quoted],
        taken: usize,
    ) -> Result<Option<(&'a [u8], &'a Bytes)>, CommandError> {
        let Some((first, words)) = words.split_first() else {
            return Ok(None);
        };
        let word = first.word.as_ref().ok_or(CommandError::Unquoted)?;
        self.rest = words.first().map_or(&[], |next| &self.owner[next.at..]);
        self.is_over = words.is_empty();
        self.form = Form::Quoted { words, taken: 0 };
        Ok(Some((&word[taken..], word)))
    }

    /// Takes so many bytes of the next word, which is longer.
    fn begin(&mut self, count: usize) {
        self.rest = &self.rest[count..];
        if let Form::Quoted { taken, .. } = &mut self.form {
            *taken += count;
        }
    }

    /// Takes a verb, and returns the place of its command.
    pub(super) fn verb(
        &mut self,
        verbs: &[Verb],
        ignores_case: bool,
    ) -> Result<usize, CommandError> {
        let Some((word, owner)) = self.next()? else {
            return Err(CommandError::Unknown { verb: Bytes::new() });
        };
        let order = |verb: &Verb| compare(verb.first.as_bytes(), word, ignores_case);
        let begin = verbs.partition_point(|verb| order(verb) == Ordering::Less);
        let same = verbs[begin..].iter();
        let mut same = same.take_while(|verb| order(verb) == Ordering::Equal);
        let found = same.find(|verb| self.take(verb.rest, ignores_case));
        found.map(|verb| verb.command).ok_or_else(|| {
            let verb = owner.slice_ref(word);
            CommandError::Unknown { verb }
        })
    }

    /// Takes these words, or none.
    fn take(&mut self, words: &[&str], ignores_case: bool) -> bool {
        if words.is_empty() {
            return true; // Nearly always.
        }
        let mut after = self.clone();
        for (at, wanted) in words.iter().enumerate() {
            let (before, wanted) = (after.clone(), wanted.as_bytes());
            let Ok(Some((word, _))) = after.next() else {
                return false;
            };
            let is_mark = wanted
                .last()
                .is_some_and(|byte| !byte.is_ascii_alphanumeric());
            let begins = word.len() > wanted.len() && is_mark && at + 1 == words.len();
            // As it stands: what is in quotes is an argument.
            let word = if begins {
                &before.rest[..wanted.len()]
            } else {
                word
            };
            if compare(wanted, word, ignores_case) != Ordering::Equal {
                return false;
            }
            if begins {
                after = before; // An argument follows at once.
                after.begin(wanted.len());
            }
        }
        *self = after;
        true
    }

    fn word(&mut self, argument: &'static str) -> Result<(&'a [u8], &'a Bytes), CommandError> {
        let command = self.command();
        self.next()?
            .ok_or(CommandError::Missing { argument, command })
    }

    fn malformed(&self, argument: &'static str, why: String) -> CommandError {
        CommandError::Malformed {
            argument,
            why,
            command: self.command(),
        }
    }

    /// Takes a word of bytes.
    ///
    /// # Errors
    ///
    /// [`CommandError::Missing`].
    pub fn bytes(&mut self, argument: &'static str) -> Result<&'a [u8], CommandError> {
        self.word(argument).map(|(word, _)| word)
    }

    /// Takes a word of bytes that may be kept.
    ///
    /// # Errors
    ///
    /// [`CommandError::Missing`].
    pub fn shared(&mut self, argument: &'static str) -> Result<Bytes, CommandError> {
        self.word(argument)
            .map(|(word, owner)| owner.slice_ref(word))
    }

    /// Takes a word of text.
    ///
    /// # Errors
    ///
    /// [`CommandError::Missing`], or [`CommandError::Malformed`] if it is not UTF-8.
    pub fn text(&mut self, argument: &'static str) -> Result<&'a str, CommandError> {
        let word = self.bytes(argument)?;
        std::str::from_utf8(word).map_err(|error| self.malformed(argument, error.to_string()))
    }

    /// Takes a word and parses it.
    ///
    /// # Errors
    ///
    /// [`CommandError::Missing`], or [`CommandError::Malformed`] with what the type says.
    pub fn parse<T: Argument>(&mut self, argument: &'static str) -> Result<T, CommandError> {
        let word = self.text(argument)?;
        T::read(word).map_err(|why| self.malformed(argument, why))
    }

    /// Takes all that is left of a line as it stands; the next word of a list of words.
    ///
    /// # Errors
    ///
    /// [`CommandError::Malformed`] if it is not UTF-8.
    pub fn rest(&mut self, argument: &'static str) -> Result<Rest<'a>, CommandError> {
        let rest = match self.form {
            _ if self.is_over => &[],
            Form::List(_) => self.bytes(argument)?,
            Form::Line | Form::Quoted { .. } => {
                self.is_over = true;
                std::mem::take(&mut self.rest)
            }
        };
        let text = std::str::from_utf8(rest);
        text.map(Rest)
            .map_err(|error| self.malformed(argument, error.to_string()))
    }

    /// Takes an argument that may be missing.
    ///
    /// # Errors
    ///
    /// Those of `take`.
    pub fn optional<T>(
        &mut self,
        take: impl FnOnce(&mut Self) -> Result<T, CommandError>,
    ) -> Result<Option<T>, CommandError> {
        if self.is_empty() {
            return Ok(None);
        }
        take(self).map(Some)
    }

    /// Takes all arguments that are left.
    ///
    /// # Errors
    ///
    /// Those of `take`.
    pub fn all<T>(
        &mut self,
        mut take: impl FnMut(&mut Self) -> Result<T, CommandError>,
    ) -> Result<Vec<T>, CommandError> {
        let mut all = Vec::new();
        while !self.is_empty() {
            all.push(take(self)?);
        }
        Ok(all)
    }

    /// Says that nothing may be left.
    ///
    /// # Errors
    ///
    /// [`CommandError::TooMany`].
    pub fn end(&self) -> Result<(), CommandError> {
        match self.is_empty() {
            true => Ok(()),
            false => Err(CommandError::TooMany {
                command: self.command(),
            }),
        }
    }

    /// Says whether the command is allowed.
    ///
    /// # Errors
    ///
    /// [`CommandError::Refused`].
    pub fn allow(&self, is_allowed: bool) -> Result<(), CommandError> {
        match is_allowed {
            true => Ok(()),
            false => Err(CommandError::Refused {
                command: self.command(),
            }),
        }
    }
}

/// Compares a word of ours with one of a peer's. Ours is in upper case if case is ignored.
#[inline]
fn compare(ours: &[u8], word: &[u8], ignores_case: bool) -> Ordering {
    let plain = |byte: &u8| match ignores_case {
        false => *byte,
        true => byte.to_ascii_uppercase(),
    };
    // The first byte says most; and words are so short that a call would cost more than the rest.
    ours.iter().copied().cmp(word.iter().map(plain))
}

/// What a word can be parsed as: whatever implements [`FromStr`].
#[diagnostic::on_unimplemented(
    message = "a word of a command cannot be parsed as `{Self}`",
    label = "no argument",
    note = "an argument is `&str`, `&[u8]`, `Bytes`, `Rest`, a type that implements `FromStr` with an error that implements `Display`, or an `Option` or a `Vec` of these"
)]
pub trait Argument: Sized {
    /// Parses a word.
    ///
    /// # Errors
    ///
    /// What the type says about it.
    fn read(word: &str) -> Result<Self, String>;
}

impl<T: FromStr<Err: Display>> Argument for T {
    fn read(word: &str) -> Result<Self, String> {
        word.parse().map_err(|error: T::Err| error.to_string())
    }
}

/// The rest of a line as it stands, quotes included, but without the spaces before it: the last argument of a command.
///
/// Of an own codec's list of words it is the next word. It can be shown and sent as the text that it is.
///
/// # Examples
///
/// ```
/// use sockserv::prelude::*;
///
/// #[derive(Clone)]
/// struct Room;
///
/// #[server(tcp, lines)]
/// impl Room {
///     #[command("SAY")]
///     fn say(&mut self, name: &str, text: Rest) -> String {
///         format!("{name}: {text}")
///     }
/// }
///
/// let record = sockserv::testing::stream(Room).sends("SAY joe  how  are you?\n").eof().run();
/// assert_eq!(record.text(), "joe: how  are you?\n");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest<'a>(pub &'a str);

impl Deref for Rest<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        self.0
    }
}

impl AsRef<str> for Rest<'_> {
    fn as_ref(&self) -> &str {
        self.0
    }
}

impl AsRef<[u8]> for Rest<'_> {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Display for Rest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(line: &'static str, quoting: bool) -> Vec<Bytes> {
        let split = Bytes::from(line).split(quoting);
        let mut words = split.words();
        words.all(|words| words.shared("word")).expect(line)
    }

    #[test]
    fn words_stand_between_spaces() {
        assert_eq!(all(" one\t two  ", false), ["one", "two"]);
        assert_eq!(all("'one two'", false), ["'one", "two'"]);
        assert!(all(" \t", false).is_empty());
        assert!(Split::List(Vec::new()).words().is_empty());
    }

    #[test]
    fn a_quoted_word_may_have_spaces_or_be_empty() {
        assert_eq!(
            all(r#"a "b c" 'd e' f\ g"#, true),
            ["a", "b c", "d e", "f g"]
        );
        assert_eq!(all(r#""" x'y'"z""#, true), ["", "xyz"]);
        assert_eq!(all(r#""a\"b\\c\d" '\'"#, true), [r#"a"b\c\d"#, r"\"]);
        for open in ["\"a", "'a", "a\\", "\"a\\"] {
            let split = Bytes::from(open).split(true);
            let error = split.words().bytes("word");
            assert!(matches!(error, Err(CommandError::Unquoted)), "{open}");
        }
    }

    const VERBS: &[Verb] = &[
        Verb {
            first: "MAIL",
            rest: &["FROM:"],
            command: 0,
        },
        Verb {
            first: "SET",
            rest: &["ALL", "NOW"],
            command: 1,
        },
        Verb {
            first: "SET",
            rest: &["ALL"],
            command: 2,
        },
        Verb {
            first: "SET",
            rest: &[],
            command: 3,
        },
    ];

    fn verb(line: &'static str) -> (Option<usize>, Vec<Bytes>) {
        let split = Split::Line(line.into());
        let mut words = split.words();
        let command = words.verb(VERBS, true).ok();
        (
            command,
            words.all(|words| words.shared("word")).expect(line),
        )
    }

    #[test]
    fn the_longest_verb_counts() {
        assert_eq!(verb("set all now x"), (Some(1), vec!["x".into()]));
        assert_eq!(verb("SET ALL x"), (Some(2), vec!["x".into()]));
        assert_eq!(verb("Set now"), (Some(3), vec!["now".into()]));
        assert_eq!(verb("SE all").0, None);
        assert_eq!(verb("SETS").0, None);
    }

    #[test]
    fn an_argument_may_follow_a_mark_at_once() {
        assert_eq!(
            verb("mail from:<a@b> SIZE=1"),
            (Some(0), vec!["<a@b>".into(), "SIZE=1".into()])
        );
        assert_eq!(verb("MAIL FROM: <a@b>"), (Some(0), vec!["<a@b>".into()]));
        assert_eq!(verb("MAIL FROM:"), (Some(0), vec![]));
        assert_eq!(verb("MAIL FROMAGE").0, None);
        let list = Split::List(vec!["MAIL".into(), "FROM:x".into(), "y".into()]);
        let mut words = list.words();
        assert_eq!(words.verb(VERBS, false).ok(), Some(0));
        assert_eq!(
            words.all(|words| words.text("word")).expect("text"),
            ["x", "y"]
        );
    }

    #[test]
    fn the_rest_stands_as_it_is() {
        let split = Split::Line("SET  two  words ".into());
        let mut words = split.words();
        assert_eq!(words.verb(VERBS, false).ok(), Some(3));
        assert_eq!(&*words.rest("text").expect("text"), "two  words ");
        assert!(words.is_empty() && words.end().is_ok());
        assert_eq!(&*words.rest("text").expect("text"), "");
    }

    #[test]
    fn the_rest_keeps_its_quotes() {
        let rest = |line: &'static str| {
            let split = Bytes::from(line).split(true);
            let mut words = split.words();
            words.verb(VERBS, true).expect(line);
            let rest = words.rest("text").expect(line).0.to_owned();
            assert!(words.is_empty() && words.end().is_ok(), "{line}");
            rest
        };
        assert_eq!(rest(r#"set "hi"  bob "#), r#""hi"  bob "#);
        assert_eq!(rest("SET it's me"), "it's me");
        assert_eq!(rest(r#""SET" 'all' a\ b"#), r"a\ b");
        assert_eq!(rest(r#"MAIL FROM:"a b" c"#), r#""a b" c"#);
        assert_eq!(rest(r"SET ''"), "''");
        assert_eq!(rest("'SET'"), "");
    }

    #[test]
    fn a_quoted_word_may_follow_a_mark_at_once() {
        let split = Bytes::from(r#"MAIL FROM:"a b" 'c d'"#).split(true);
        let mut words = split.words();
        assert_eq!(words.verb(VERBS, false).ok(), Some(0));
        let all = words.all(|words| words.shared("word"));
        assert_eq!(all.expect("closed quotes"), ["a b", "c d"]);
        let split = Bytes::from(r#"MAIL "FROM:a b""#).split(true);
        assert!(split.words().verb(VERBS, false).is_err());
    }
}
