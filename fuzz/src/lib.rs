//! What every codec promises, whatever the bytes are.

use sockserv::bytes::{Bytes, BytesMut};
use sockserv::codec::{Decoder, Encoder, FrameError, Overflow};

/// A fuzzer's bytes: the first ones choose a codec, the next how the rest is cut into reads.
#[derive(Debug)]
pub struct Input<'a> {
    /// Chooses among codecs.
    pub choice: u8,
    /// How long a frame may be.
    pub max: usize,
    /// What becomes of longer ones.
    pub overflow: Overflow,
    cuts: &'a [u8],
    bytes: &'a [u8],
}

impl<'a> Input<'a> {
    /// Takes the fuzzer's bytes apart, if there are enough.
    #[must_use]
    pub fn new(data: &'a [u8]) -> Option<Self> {
        let (&[choice, max, overflow], rest) = data.split_first_chunk()?;
        let (cuts, bytes) = rest.split_at_checked(4)?;
        let overflow = match overflow % 3 {
            0 => Overflow::Error,
            1 => Overflow::Discard,
            _ => Overflow::Close,
        };
        Some(Self {
            choice,
            max: max.into(),
            overflow,
            cuts,
            bytes,
        })
    }
}

/// What a decoder made of some bytes: frames, and errors as their texts.
type Made = Vec<Result<Bytes, String>>;

/// Feeds the bytes at once, as they are cut, and singly: all must give the same, and frames that can be encoded must be
/// decoded again.
///
/// `extra` is how many bytes a frame's framing may take.
///
/// # Panics
///
/// If a codec does not keep its promises.
pub fn check<C>(codec: &C, input: &Input<'_>, extra: usize)
where
    C: Decoder<Item = Bytes, Error = FrameError> + Encoder<Bytes, Error = FrameError> + Clone,
{
    let cap = input.max + extra;
    let whole = feed(codec.clone(), &[input.bytes], cap);
    assert_eq!(feed(codec.clone(), &cut(input), cap), whole, "as cut");
    let single: Vec<&[u8]> = input.bytes.chunks(1).collect();
    assert_eq!(feed(codec.clone(), &single, cap), whole, "singly");

    let mut bytes = BytesMut::new();
    let mut frames = Vec::new();
    for frame in whole.into_iter().flatten() {
        assert!(frame.len() <= input.max, "a frame of {} bytes", frame.len());
        let before = bytes.len();
        match codec.clone().encode(frame.clone(), &mut bytes) {
            Ok(()) => frames.push(Ok(frame)),
            Err(_) => assert_eq!(bytes.len(), before, "a refused frame left something"),
        }
    }
    assert_eq!(feed(codec.clone(), &[&bytes], cap), frames, "there and back");
    encode(codec, input, cap);
}

/// Any bytes as a frame to be sent: refused, or decoded again.
fn encode<C>(codec: &C, input: &Input<'_>, cap: usize)
where
    C: Decoder<Item = Bytes, Error = FrameError> + Encoder<Bytes, Error = FrameError> + Clone,
{
    let frame = Bytes::copy_from_slice(input.bytes);
    let mut bytes = BytesMut::new();
    match codec.clone().encode(frame.clone(), &mut bytes) {
        Ok(()) => assert_eq!(feed(codec.clone(), &[&bytes], cap), [Ok(frame)]),
        Err(_) => assert!(bytes.is_empty(), "a refused frame left something"),
    }
}

fn cut<'a>(input: &Input<'a>) -> Vec<&'a [u8]> {
    let mut rest = input.bytes;
    let mut reads = Vec::new();
    for &cut in input.cuts.iter().cycle().take(64) {
        let (read, behind) = rest.split_at(rest.len().min(cut.into()));
        reads.push(read);
        rest = behind;
    }
    reads.push(rest);
    reads
}

fn feed<D>(mut decoder: D, reads: &[&[u8]], cap: usize) -> Made
where
    D: Decoder<Item = Bytes, Error = FrameError>,
{
    let all = reads.iter().map(|read| read.len()).sum();
    let mut src = BytesMut::with_capacity(all);
    let mut made = Vec::new();
    for read in reads {
        src.extend_from_slice(read);
        take(&mut src, &mut made, |src| decoder.decode(src));
        assert!(src.len() <= cap, "{} bytes are kept", src.len());
        assert!(!decoder.has_ended() || src.is_empty(), "kept after its end");
    }
    take(&mut src, &mut made, |src| decoder.decode_eof(src));
    assert!(src.is_empty(), "left at the end");
    made
}

/// Decodes until more bytes are wanted; no step may allocate, and no two may go without a byte.
fn take(
    src: &mut BytesMut,
    made: &mut Made,
    mut decode: impl FnMut(&mut BytesMut) -> Result<Option<Bytes>, FrameError>,
) {
    let (there, room) = (src.len(), src.capacity());
    for _ in 0..there + 2 {
        let result = decode(src);
        assert!(src.capacity() <= room, "it allocated");
        match result.transpose() {
            None => return,
            Some(result) => made.push(result.map_err(|error| error.to_string())),
        }
    }
    panic!("more frames and errors than bytes");
}
