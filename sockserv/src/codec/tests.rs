use bytes::BytesMut;
use proptest::prelude::*;

use super::*;

/// What a decoder made of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Made {
    Frame(Vec<u8>),
    TooLong,
    Truncated,
    Malformed(&'static str),
}

fn made(result: Result<Bytes, FrameError>) -> Made {
    match result {
        Ok(frame) => Made::Frame(frame.to_vec()),
        Err(FrameError::TooLong { .. }) => Made::TooLong,
        Err(FrameError::Truncated) => Made::Truncated,
        Err(FrameError::Malformed(what)) => Made::Malformed(what),
        Err(error @ (FrameError::ReplyTooLong { .. } | FrameError::Io(_))) => panic!("{error}"),
    }
}

/// Feeds a decoder, as long as it wants more; insists that it neither allocates nor goes round in circles.
fn feed<D>(mut decoder: D, max: usize, reads: &[&[u8]]) -> Vec<Made>
where
    D: Decoder<Item = Bytes, Error = FrameError>,
{
    let all: usize = reads.iter().map(|read| read.len()).sum();
    let mut src = BytesMut::with_capacity(all);
    let mut outcome = Vec::new();
    let mut take = |src: &mut BytesMut, decoder: &mut D, is_end: bool| {
        let (there, room) = (src.len(), src.capacity());
        for _ in 0..there + 2 {
            let result = match is_end {
                true => decoder.decode_eof(src),
                false => decoder.decode(src),
            };
            assert!(src.capacity() <= room, "it allocated");
            match result.transpose() {
                None => return,
                Some(result) => outcome.push(made(result)),
            }
        }
        panic!("more frames and errors than bytes");
    };
    for read in reads {
        src.extend_from_slice(read);
        take(&mut src, &mut decoder, false);
        assert!(src.len() <= 5 * max + 20, "{} bytes are kept", src.len());
    }
    take(&mut src, &mut decoder, true);
    assert!(src.is_empty(), "{src:?} is left");
    outcome
}

/// Cuts bytes at these places.
fn cut<'a>(bytes: &'a [u8], places: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|at| at % (bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places
        .windows(2)
        .map(|pair| &bytes[pair[0]..pair[1]])
        .collect()
}

/// Any split of the bytes gives the same; returns what.
fn check<D>(decoder: &D, max: usize, bytes: &[u8], places: &[usize]) -> Vec<Made>
where
    D: Decoder<Item = Bytes, Error = FrameError> + Clone,
{
    let whole = feed(decoder.clone(), max, &[bytes]);
    assert_eq!(feed(decoder.clone(), max, &cut(bytes, places)), whole);
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(feed(decoder.clone(), max, &single), whole);
    for frame in &whole {
        assert!(!matches!(frame, Made::Frame(frame) if frame.len() > max));
    }
    whole
}

/// What was encoded is decoded; what cannot be leaves nothing.
fn there_and_back<C>(codec: &C, frames: &[Vec<u8>], places: &[usize])
where
    C: Decoder<Item = Bytes, Error = FrameError> + Clone,
    C: for<'a> Encoder<&'a [u8], Error = FrameError>,
{
    let mut bytes = BytesMut::new();
    let mut kept = Vec::new();
    for frame in frames {
        let before = bytes.clone();
        match codec.clone().encode(frame, &mut bytes) {
            Ok(()) => kept.push(Made::Frame(frame.clone())),
            Err(_) => assert_eq!(bytes, before),
        }
    }
    let longest = frames.iter().map(Vec::len).max().unwrap_or(0);
    assert_eq!(check(codec, longest, &bytes, places), kept);
}

/// Splitting at once, without a memory: what lines and delimiters should come to.
///
/// The last part has no mark; its last `begun` bytes may be the beginning of one, and then it is not yet too long.
fn expected(parts: &[&[u8]], begun: usize, max: usize, overflow: Overflow) -> Vec<Made> {
    let mut expected = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let is_last = index + 1 == parts.len();
        if is_last && part.is_empty() {
            break;
        }
        let certain = if is_last {
            part.len() - begun
        } else {
            part.len()
        };
        match (certain > max, overflow) {
            (true, Overflow::Discard) => {}
            (true, Overflow::Error) => expected.push(Made::TooLong),
            (true, Overflow::Close) => {
                expected.push(Made::TooLong);
                break;
            }
            (false, _) if is_last => expected.push(Made::Truncated),
            (false, _) => expected.push(Made::Frame(part.to_vec())),
        }
    }
    expected
}

fn split<'a>(bytes: &'a [u8], mark: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(mark.len()).position(|window| window == mark) {
        parts.push(&rest[..at]);
        rest = &rest[at + mark.len()..];
    }
    parts.push(rest);
    parts
}

const OVERFLOWS: [Overflow; 3] = [Overflow::Error, Overflow::Discard, Overflow::Close];
const ENDINGS: [Ending; 3] = [Ending::Lf, Ending::CrLf, Ending::Any];
const WIDTHS: [Width; 6] = [
    Width::U8,
    Width::U16Be,
    Width::U16Le,
    Width::U32Be,
    Width::U32Le,
    Width::Varint,
];

/// Bytes in which marks, and halves of them, are frequent.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop::sample::select(b"ab\r\n\n\r-".to_vec());
    prop::collection::vec(byte, 0..60)
}

/// Bytes in which small numbers are frequent.
fn numbers() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![6 => 0..6_u8, 1 => any::<u8>(), 1 => Just(0x80)];
    prop::collection::vec(byte, 0..80)
}

fn places() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(any::<usize>(), 0..6)
}

fn frames() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let frame = prop_oneof![
        3 => text(),
        1 => prop::collection::vec(any::<u8>(), 0..300),
    ];
    prop::collection::vec(frame, 0..6)
}

proptest! {
    #[test]
    fn lines(bytes in text(), places in places(), max in 0..6_usize) {
        for overflow in OVERFLOWS {
            for ending in ENDINGS {
                let codec = Lines::new(max).ending(ending).on_overflow(overflow);
                let got = check(&codec, max, &bytes, &places);
                let mark: &[u8] = if ending == Ending::CrLf { b"\r\n" } else { b"\n" };
                let mut parts = split(&bytes, mark);
                if ending == Ending::Any {
                    let last = parts.len() - 1;
                    for part in &mut parts[..last] {
                        *part = part.strip_suffix(b"\r").unwrap_or(part);
                    }
                }
                let begun = ending != Ending::Lf && bytes.last() == Some(&b'\r');
                let expected = expected(&parts, begun.into(), max, overflow);
                prop_assert_eq!(got, expected);
            }
        }
    }

    #[test]
    fn delimited(bytes in text(), places in places(), max in 0..6_usize) {
        for overflow in OVERFLOWS {
            for delimiter in [&b"\n"[..], b"aba", b"aa", b"--\r\n"] {
                let codec = Delimited::by(delimiter, max).on_overflow(overflow);
                let got = check(&codec, max, &bytes, &places);
                let parts = split(&bytes, delimiter);
                let begins = |count: &usize| parts[parts.len() - 1].ends_with(&delimiter[..*count]);
                let begun = (0..delimiter.len()).filter(begins).max().unwrap_or(0);
                prop_assert_eq!(got, expected(&parts, begun, max, overflow));
            }
        }
    }

    #[test]
    fn length_prefixed(bytes in numbers(), places in places(), max in 0..6_usize) {
        for overflow in OVERFLOWS {
            for width in WIDTHS {
                for includes_itself in [false, true] {
                    let codec = LengthPrefixed::new(width, max);
                    let codec = codec.includes_itself(includes_itself).on_overflow(overflow);
                    check(&codec, max, &bytes, &places);
                }
            }
        }
    }

    #[test]
    fn fixed(bytes in numbers(), places in places(), length in 1..6_usize) {
        let got = check(&Fixed::new(length), length, &bytes, &places);
        let expected = bytes.chunks(length).map(|chunk| match chunk.len() == length {
            true => Made::Frame(chunk.to_vec()),
            false => Made::Truncated,
        });
        prop_assert_eq!(got, expected.collect::<Vec<_>>());
    }

    #[test]
    fn any_bytes_as_records(bytes in numbers(), places in places(), max in 0..6_usize) {
        for overflow in OVERFLOWS {
            check(&RecordMarking::new(max).on_overflow(overflow), max, &bytes, &places);
        }
    }

    #[test]
    fn records(
        records in prop::collection::vec(prop::collection::vec(text(), 1..5), 0..5),
        places in places(),
        max in 0..100_usize,
    ) {
        let mut bytes = Vec::new();
        let mut whole = Vec::new();
        for record in &records {
            let last = record.len() - 1;
            for (index, fragment) in record.iter().enumerate() {
                let head = if index == last { 1 << 31 } else { 0 } | fragment.len() as u32;
                if head != 0 {
                    bytes.extend_from_slice(&head.to_be_bytes());
                    bytes.extend_from_slice(fragment);
                }
            }
            whole.push(record.concat());
        }
        for overflow in OVERFLOWS {
            let codec = RecordMarking::new(max).on_overflow(overflow);
            let parts: Vec<&[u8]> = whole.iter().map(Vec::as_slice).chain([&b""[..]]).collect();
            prop_assert_eq!(check(&codec, max, &bytes, &places), expected(&parts, 0, max, overflow));
        }
    }

    #[test]
    fn encoding_is_undone(frames in frames(), places in places()) {
        for ending in ENDINGS {
            there_and_back(&Lines::new(40).ending(ending), &frames, &places);
        }
        for delimiter in [&b"\n"[..], b"aba", b"aa", b"--\r\n"] {
            there_and_back(&Delimited::by(delimiter, 40), &frames, &places);
        }
        for width in WIDTHS {
            for includes_itself in [false, true] {
                let codec = LengthPrefixed::new(width, 250);
                there_and_back(&codec.includes_itself(includes_itself), &frames, &places);
            }
        }
        there_and_back(&Fixed::new(3), &frames, &places);
        there_and_back(&RecordMarking::new(250), &frames, &places);
    }

    #[test]
    fn a_varint_that_counts_itself(count in 0..70_000_usize) {
        let mut codec = LengthPrefixed::new(Width::Varint, 70_000).includes_itself(true);
        let mut bytes = BytesMut::new();
        codec.encode(vec![7; count], &mut bytes).expect("a frame");
        let frame = codec.decode(&mut bytes).expect("no error").expect("a frame");
        prop_assert_eq!((frame.len(), bytes.len()), (count, 0));
    }
}

/// What a decoder makes of bytes that come all at once.
fn all<D>(decoder: &D, bytes: &[u8]) -> Vec<Made>
where
    D: Decoder<Item = Bytes, Error = FrameError> + Clone,
{
    check(decoder, 1 << 20, bytes, &[3, 1, 4, 1, 5])
}

fn frame(bytes: &str) -> Made {
    Made::Frame(bytes.into())
}

#[test]
fn behind_a_line_that_is_too_long() {
    let bytes = b"one\ntoo long\ntwo\n";
    let lines = Lines::new(3);
    assert_eq!(
        all(&lines, bytes),
        [frame("one"), Made::TooLong, frame("two")]
    );
    let discards = lines.clone().on_overflow(Overflow::Discard);
    assert_eq!(all(&discards, bytes), [frame("one"), frame("two")]);
    let closes = lines.on_overflow(Overflow::Close);
    assert_eq!(all(&closes, bytes), [frame("one"), Made::TooLong]);
    let mut closed = closes;
    let mut src = BytesMut::from(&b"too long"[..]);
    assert!(closed.decode(&mut src).is_err());
    assert!(closed.has_ended() && src.is_empty());
    src.extend_from_slice(b"one\n");
    assert!(matches!(closed.decode(&mut src), Ok(None)));
    assert!(src.is_empty());
}

#[test]
fn a_frame_that_is_too_long_is_not_sent() {
    fn refused(mut codec: impl Encoder<[u8; 9], Error = FrameError>) {
        let mut bytes = BytesMut::from("before");
        for error in [
            codec.encode([7; 9], &mut bytes),
            codec.encode_packet([7; 9], &mut bytes),
        ] {
            let error = io::Error::from(error.expect_err("it is too long"));
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert_eq!(
                error.to_string(),
                "a reply of 9 bytes is longer than `max`, which is 8; write `max = 9` or more, or send less"
            );
        }
        assert_eq!(bytes, "before");
    }
    refused(Lines::new(8));
    refused(Delimited::new(b"--", 8));
    refused(LengthPrefixed::new(Width::U8, 8));
    refused(RecordMarking::new(8));
}

#[test]
fn a_length_beyond_the_cap_allocates_nothing() {
    for (width, head) in [
        (Width::U32Be, &[0xff; 4][..]),
        (Width::U32Le, &[0xff; 4]),
        (
            Width::Varint,
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        ),
    ] {
        let mut src = BytesMut::from(head);
        let room = src.capacity();
        let mut codec = LengthPrefixed::new(width, 64 << 10);
        let result = codec.decode(&mut src);
        assert!(matches!(result, Err(FrameError::TooLong { max: 65536 })));
        for _ in 0..1000 {
            src.extend_from_slice(&[7; 8]);
            assert!(matches!(codec.decode(&mut src), Ok(None)));
        }
        assert!(src.capacity() <= room.max(64), "{}", src.capacity());
    }
}

#[test]
fn a_line_without_end_needs_no_more_than_its_cap() {
    let mut lines = Lines::new(1000).on_overflow(Overflow::Discard);
    let mut src = BytesMut::new();
    for _ in 0..10_000 {
        src.extend_from_slice(&[b'x'; 512]);
        assert!(matches!(lines.decode(&mut src), Ok(None)));
        assert!(src.capacity() <= 4096, "{}", src.capacity());
    }
    src.extend_from_slice(b"\nshort\n");
    let line = lines.decode(&mut src).expect("no error");
    assert_eq!(line.expect("a line"), "short");
}

#[test]
fn lengths_that_cannot_be() {
    let varint = LengthPrefixed::new(Width::Varint, 1 << 20);
    for bytes in [&[0x80, 0][..], &[0xff; 10], &[0x80; 11]] {
        let got = all(&varint, bytes);
        assert!(matches!(got[..], [Made::Malformed(_)]), "{got:?}");
    }
    assert_eq!(all(&varint, &[0x82, 0x00][..1]), [Made::Truncated]);
    let codec = LengthPrefixed::new(Width::U16Be, 10).includes_itself(true);
    let got = all(&codec, b"\0\x02\0\x05one\0\x01rest\0\x05two");
    assert_eq!(
        got,
        [
            frame(""),
            frame("one"),
            Made::Malformed("a length that is less than itself")
        ]
    );
}

#[test]
fn records_in_fragments() {
    let bytes = b"\0\0\0\x02on\x80\0\0\x01e\x80\0\0\0\0\0\0\x09much too \x80\0\0\x04long\x80\0\0\x03two\0\0\0\0rest";
    assert_eq!(
        all(&RecordMarking::new(9), bytes),
        [
            frame("one"),
            frame(""),
            Made::TooLong,
            frame("two"),
            Made::Malformed("an empty fragment before the last")
        ]
    );
}

/// A frame is where it was received.
#[test]
fn frames_are_not_copied() {
    let src = BytesMut::from(&b"\x05hello"[..]);
    let at = src[1..].as_ptr();
    let mut lines = src.clone();
    lines.extend_from_slice(b"\n");
    let line = lines.as_ptr();
    let frame = |result: Result<Option<Bytes>, FrameError>| result.ok().flatten().expect("a frame");
    let mut prefixed = src;
    let mut codec = LengthPrefixed::new(Width::U8, 10);
    assert_eq!(frame(codec.decode(&mut prefixed)).as_ptr(), at);
    assert_eq!(frame(Lines::new(10).decode(&mut lines)).as_ptr(), line);
    let mut record = BytesMut::from(&b"\x80\0\0\x05hello"[..]);
    let at = record[4..].as_ptr();
    let mut codec = RecordMarking::new(10);
    assert_eq!(frame(codec.decode(&mut record)).as_ptr(), at);
}
