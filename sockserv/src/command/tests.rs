//! What holds for any bytes: words, verbs, and replies that do not depend on how the bytes came.

use std::ops::Range;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::{Close, CommandError, Rest, Sentence, Split, Verb};
use crate::prelude::*;
use crate::testing;

/// Writes a word so that it is read as one, in one of three ways.
fn quoted(word: &[u8], way: u8) -> Vec<u8> {
    let escaped = |special: &[u8]| {
        let bytes = word.iter().flat_map(|byte| {
            let escape = special.contains(byte).then_some(b'\\');
            escape.into_iter().chain([*byte])
        });
        bytes.collect::<Vec<u8>>()
    };
    match way % 3 {
        0 if !word.contains(&b'\'') => [b"'", word, b"'"].concat(),
        1 if !word.is_empty() => escaped(b" \t\"'\\"),
        _ => [b"\"", &*escaped(b"\"\\"), b"\""].concat(),
    }
}

/// All words of a message, or what is wrong.
fn words(line: &[u8], quoting: bool) -> Result<Vec<Bytes>, CommandError> {
    let split = Bytes::copy_from_slice(line).split(quoting);
    split.words().all(|words| words.shared("word"))
}

/// Letters that mean something, and others.
fn text(length: Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    vec(
        prop_oneof![
            prop::sample::select(b" \t\"'\\:aAbB\n".to_vec()),
            any::<u8>()
        ],
        length,
    )
}

const VERBS: &[Verb] = &[
    verb("A", &["B", "A:"], 0),
    verb("A", &["B"], 1),
    verb("A", &["B:"], 2),
    verb("A", &[], 3),
    verb("AB", &[], 4),
    verb("B", &["A:", "B"], 5),
    verb("B", &["A"], 6),
];

const fn verb(first: &'static str, rest: &'static [&'static str], command: usize) -> Verb {
    Verb {
        first,
        rest,
        command,
    }
}

/// Finds the verb by asking each.
fn meant(line: &[u8], ignores_case: bool) -> Option<usize> {
    let words = words(line, false).ok()?;
    let same = |wanted: &str, word: &[u8]| match ignores_case {
        true => wanted.as_bytes().eq_ignore_ascii_case(word),
        false => wanted.as_bytes() == word,
    };
    let fits = |verb: &&Verb| {
        let parts = [&[verb.first], verb.rest].concat();
        let last = parts.len() - 1;
        parts.iter().enumerate().all(|(at, part)| {
            let Some(word) = words.get(at) else {
                return false;
            };
            let may_go_on = at == last && at > 0 && part.ends_with(':') && word.len() > part.len();
            same(part, if may_go_on { &word[..part.len()] } else { word })
        })
    };
    let verb = VERBS.iter().filter(fits).max_by_key(|verb| verb.rest.len());
    verb.map(|verb| verb.command)
}

proptest! {
    #[test]
    fn a_quoted_list_of_words_is_read_as_it_was(list in vec((text(0..8), any::<u8>(), 1..3_usize), 0..8)) {
        let line: Vec<Vec<u8>> = list.iter().map(|(word, way, spaces)| {
            [b" ".repeat(*spaces), quoted(word, *way)].concat()
        }).collect();
        let read = words(&line.concat(), true).expect("all quotes are closed");
        prop_assert_eq!(read, list.into_iter().map(|(word, ..)| word).collect::<Vec<_>>());
    }

    #[test]
    fn any_line_has_words_or_an_open_quote(line in text(0..40)) {
        let plain = words(&line, false).expect("there are no quotes");
        let spaces = |byte: &u8| *byte == b' ' || *byte == b'\t';
        let wanted: Vec<&[u8]> = line.split(spaces).filter(|word| !word.is_empty()).collect();
        prop_assert_eq!(&plain, &wanted);
        match words(&line, true) {
            Ok(read) if !line.iter().any(|byte| b"\"'\\".contains(byte)) => prop_assert_eq!(read, plain),
            Ok(read) => prop_assert!(read.iter().map(Bytes::len).sum::<usize>() <= line.len()),
            Err(error) => prop_assert!(matches!(error, CommandError::Unquoted), "{}", error),
        }
    }

    #[test]
    fn the_rest_of_a_quoted_line_stands_as_it_is(line in text(0..40), count in 0..4_usize) {
        let split = Bytes::copy_from_slice(&line).split(true);
        let mut words = split.words();
        let taken = (0..count).try_for_each(|_| words.bytes("word").map(drop));
        if let (Ok(()), Ok(rest)) = (taken, words.rest("text")) {
            prop_assert!(line.ends_with(rest.as_bytes()));
            prop_assert!(words.end().is_ok());
        }
    }

    #[test]
    fn the_verb_is_that_of_a_search_one_by_one(line in "[aAbB: ]{0,10}", ignores_case: bool) {
        let split = Split::Line(Bytes::copy_from_slice(line.as_bytes()));
        let mut words = split.words();
        let found = words.verb(VERBS, ignores_case);
        prop_assert_eq!(found.ok(), meant(line.as_bytes(), ignores_case));
    }

    #[test]
    fn an_argument_is_taken_or_refused(line in text(0..20), list in vec(text(0..5), 0..4)) {
        let list = list.into_iter().map(Bytes::from).collect();
        for split in [Split::Line(line.into()), Split::List(list)] {
            let whole = split.words();
            let _ = whole.clone().parse::<i8>("number").map_err(|error| error.to_string());
            let _ = whole.clone().rest("text").map_err(|error| error.to_string());
            let _ = whole.clone().all(|words| words.text("word")).map_err(|error| error.to_string());
            let mut one_by_one = whole.clone();
            let mut count = 0;
            while one_by_one.optional(|words| words.bytes("word")).expect("it is there").is_some() {
                count += 1;
            }
            prop_assert!(one_by_one.end().is_ok() && one_by_one.bytes("word").is_err());
            prop_assert_eq!(count, whole.clone().all(|words| words.shared("word")).expect("bytes").len());
        }
    }
}

#[derive(Clone, Default)]
struct Account {
    total: i64,
}

#[server(tcp, lines(max = 24, ending = any), ignore_case, quoting)]
impl Account {
    #[command("a")]
    fn add(&mut self, numbers: Vec<i8>) -> i64 {
        self.total += numbers.into_iter().map(i64::from).sum::<i64>();
        self.total
    }

    #[command("b", "a b:")]
    fn say<'a>(&mut self, text: Rest<'a>) -> Option<&'a str> {
        Some(text.0).filter(|text| !text.is_empty())
    }

    #[command("aa")]
    fn raw(&mut self, count: u8, replies: &mut Replies) -> io::Result<()> {
        let bytes = replies.with_stream(|stream| {
            let mut bytes = vec![0; (count % 8).into()];
            stream.rfile.read_exact(&mut bytes).map(|()| bytes)
        });
        write!(replies, "{bytes:?};")
    }

    #[command("bb")]
    fn bye(&mut self) -> Close<String> {
        Close(self.total.to_string())
    }

    fn command_error(&mut self, error: &CommandError, replies: &mut Replies) -> io::Result<()> {
        writeln!(replies, "? {error}")
    }
}

#[derive(Clone)]
struct Short;

#[server(tcp, udp, lines(max = 10))]
impl Short {
    #[command("GO")]
    fn go(&mut self) -> Result<(), &'static str> {
        Err("not für you")
    }
}

#[test]
fn an_answer_is_cut_to_what_may_be_sent() {
    testing::stream(Short)
        .sends("GO\nNO\nmore than ten\nGO on\n")
        .expects("ERR not f\nERR unknow\nERR a fram\nERR too ma\n")
        .run();
    testing::datagram(Short)
        .sends("GO")
        .expects("ERR not f\n")
        .run();
}

#[derive(Clone)]
struct Lengths;

#[server(tcp, length_prefixed(u8, max = 9))]
impl Lengths {
    #[allow(clippy::needless_pass_by_value, reason = "as every message is passed")]
    fn message(&mut self, message: Bytes, replies: &mut Replies) -> io::Result<()> {
        replies.send(message.slice(..message.len() / 2))
    }

    #[allow(clippy::needless_pass_by_value, reason = "as every error is passed")]
    fn frame_error(&mut self, error: FrameError, replies: &mut Replies) -> io::Result<()> {
        writeln!(replies, "? {error}")
    }
}

/// What a client gets that sends these bytes in pieces of these lengths.
macro_rules! said {
    ($handler:expr, $bytes:expr, $cuts:expr) => {{
        let mut rest: &[u8] = $bytes;
        let mut script = testing::stream($handler);
        for cut in $cuts {
            let (piece, behind) = rest.split_at(rest.len().min(*cut));
            script = if piece.is_empty() {
                script
            } else {
                script.sends(piece)
            };
            rest = behind;
        }
        script = if rest.is_empty() {
            script
        } else {
            script.sends(rest)
        };
        let record = script.eof().run();
        (record.text(), record.error().map(ToString::to_string))
    }};
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn replies_do_not_depend_on_the_reads(
        lines in vec("(a|b|a b:|AA|bb|x|)( ?[0-9a:\"]{0,9}){0,3}\r?", 0..8),
        cuts in vec(1..20_usize, 0..20),
    ) {
        let bytes = lines.join("\n");
        let whole = said!(Account::default(), bytes.as_bytes(), &[] as &[usize]);
        prop_assert_eq!(&said!(Account::default(), bytes.as_bytes(), &cuts), &whole);
        prop_assert_eq!(&said!(Account::default(), bytes.as_bytes(), &vec![1; bytes.len()]), &whole);
    }

    #[test]
    fn frames_do_not_depend_on_the_reads(bytes in vec(0..12_u8, 0..80), cuts in vec(1..20_usize, 0..20)) {
        let whole = said!(Lengths, &bytes, &[] as &[usize]);
        prop_assert_eq!(&said!(Lengths, &bytes, &cuts), &whole);
        prop_assert_eq!(&said!(Lengths, &bytes, &vec![1; bytes.len()]), &whole);
    }
}

#[derive(Clone)]
struct Level;

impl std::str::FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Err(format!("{text} is no level\r\n+OK"))
    }
}

#[derive(Clone)]
struct Lamp;

#[server(tcp, lines)]
impl Lamp {
    #[command("SET")]
    fn set(&mut self, _level: Level) {}

    #[command("BREAK")]
    fn smash(&mut self) -> Result<(), String> {
        Err("two\nlines".to_owned())
    }
}

#[test]
fn an_error_is_one_line_whatever_it_says() {
    let script = testing::stream(Lamp).sends("SET \x1b[2J\nBREAK\nSET\n");
    let record = script.eof().run();
    let text = record.text();
    let replies: Vec<_> = text.split('\n').collect();
    let set = r#"ERR malformed "level" (\u{1b}[2J is no level\r\n+OK): SET level"#;
    let last = r#"ERR missing "level": SET level"#;
    assert_eq!(replies, [set, r"ERR two\nlines", last, ""]);
}
