//! Any line and any list of words is taken apart, and replies do not depend on how the bytes came.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sockserv::command::{Close, CommandError, Rest, Sentence, Split};
use sockserv::prelude::*;
use sockserv::testing;

#[derive(Clone, Default)]
struct Account {
    total: i64,
}

#[server(tcp, lines(max = 24, ending = any), ignore_case, quoting)]
impl Account {
    #[command("ADD", "A")]
    fn add(&mut self, numbers: Vec<i8>) -> i64 {
        self.total += numbers.into_iter().map(i64::from).sum::<i64>();
        self.total
    }

    #[command("SAY", "SAY TO:", when = Self::is_positive)]
    fn say<'a>(&mut self, text: Rest<'a>) -> Option<&'a str> {
        Some(text.0).filter(|text| !text.is_empty())
    }

    #[command("RAW")]
    fn raw(&mut self, count: u8, stream: &mut Stream) -> io::Result<()> {
        let bytes = stream.rfile.read_bytes((count % 8).into())?;
        write!(stream.wfile, "{bytes:?};")
    }

    #[command("BYE")]
    fn bye(&mut self, why: Option<&[u8]>) -> Close<String> {
        Close(format!("{} {}", self.total, why.map_or(0, <[u8]>::len)))
    }

    fn is_positive(&self) -> bool {
        self.total >= 0
    }

    fn command_error(&mut self, error: &CommandError, replies: &mut Replies) -> io::Result<()> {
        writeln!(replies, "? {error}")
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&[choice, cut], bytes)) = data.split_first_chunk() else {
        return;
    };
    let line = Bytes::copy_from_slice(bytes);
    let split = line.clone().split(choice & 1 == 0);
    match split.words().all(|words| words.shared("word")) {
        Ok(_) => take_apart(&split, line.len()),
        Err(error) => assert_eq!(error.to_string(), "a quote is not closed"),
    }
    let list: Vec<Bytes> = bytes.split(|byte| *byte == b' ').map(Bytes::copy_from_slice).collect();
    take_apart(&Split::List(list), line.len());

    let whole = replies(bytes, usize::MAX);
    assert_eq!(replies(bytes, usize::from(cut) + 1), whole);
});

fn take_apart(split: &Split, length: usize) {
    let words = split.words();
    let all = words.clone().all(|words| words.shared("word")).expect("bytes are words");
    assert!(all.iter().map(Bytes::len).sum::<usize>() <= length);
    assert_eq!(words.is_empty(), all.is_empty());
    let mut one_by_one = words.clone();
    for word in &all {
        let same = one_by_one.clone().text("word").ok();
        assert_eq!(same, std::str::from_utf8(word).ok());
        let _ = one_by_one.clone().parse::<i32>("word").map_err(|error| error.to_string());
        let _ = one_by_one.clone().rest("word").map_err(|error| error.to_string());
        assert_eq!(one_by_one.bytes("word").expect("it is there"), word);
    }
    one_by_one.end().expect("nothing is left");
}

fn replies(bytes: &[u8], most: usize) -> (Vec<u8>, Option<String>) {
    let script = testing::stream(Account::default()).short_reads(most);
    let script = if bytes.is_empty() { script } else { script.sends(bytes) };
    let record = script.eof().run();
    (record.written().to_vec(), record.error().map(ToString::to_string))
}
