//! Encode then decode is the identity, and no bytes make a decoder panic or take more memory than they are.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn encoded<T: Xdr>(value: &T) -> Bytes {
    let mut output = Output::new();
    value.encode(&mut output).unwrap();
    output.into_bytes()
}

fn decoded<T: Xdr>(bytes: &[u8]) -> Result<T, XdrError> {
    let mut input = Input::new(Bytes::copy_from_slice(bytes));
    let value = T::decode(&mut input)?;
    input.finish().map(|()| value)
}

#[track_caller]
fn is_identity<T: Xdr + PartialEq + fmt::Debug>(value: &T) {
    let bytes = encoded(value);
    assert_eq!(bytes.len() % 4, 0);
    assert_eq!(decoded::<T>(&bytes).as_ref(), Ok(value));
    // No beginning of it is a value, too.
    for length in 0..bytes.len() {
        assert_eq!(
            decoded::<T>(&bytes[..length]),
            Err(XdrError::Truncated),
            "{length} bytes"
        );
    }
}

/// A linked list, as an interface file makes it.
#[derive(Debug, PartialEq)]
struct Node {
    value: i32,
    next: Option<Box<Self>>,
}

impl Xdr for Node {
    fn decode(input: &mut Input) -> Result<Self, XdrError> {
        Ok(Self {
            value: Xdr::decode(input)?,
            next: Xdr::decode(input)?,
        })
    }

    fn encode(&self, output: &mut Output) -> Result<(), XdrError> {
        self.value.encode(output)?;
        self.next.encode(output)
    }
}

fn list(length: u32) -> Node {
    let end = Node {
        value: 0,
        next: None,
    };
    (0..length).fold(end, |node, _| Node {
        value: 1,
        next: Some(Box::new(node)),
    })
}

#[test]
fn the_examples_of_the_standard() {
    // RFC 4506, sections 4.1 to 4.19.
    assert_eq!(&encoded(&-2_i32)[..], b"\xff\xff\xff\xfe");
    assert_eq!(&encoded(&2_u32)[..], b"\0\0\0\x02");
    assert_eq!(&encoded(&true)[..], b"\0\0\0\x01");
    assert_eq!(&encoded(&-1_i64)[..], b"\xff\xff\xff\xff\xff\xff\xff\xff");
    assert_eq!(&encoded(&1.5_f32)[..], b"\x3f\xc0\0\0");
    assert_eq!(&encoded(&-1.5_f64)[..], b"\xbf\xf8\0\0\0\0\0\0");
    assert_eq!(
        &encoded(&"sillyprog".to_owned())[..],
        b"\0\0\0\x09sillyprog\0\0\0"
    );
    assert_eq!(
        &encoded(&Bytes::from_static(b"(quit)"))[..],
        b"\0\0\0\x06(quit)\0\0"
    );
    assert_eq!(&encoded(&vec![1, 2])[..], b"\0\0\0\x02\0\0\0\x01\0\0\0\x02");
    assert_eq!(&encoded(&Some(1))[..], b"\0\0\0\x01\0\0\0\x01");
    assert_eq!(&encoded(&None::<i32>)[..], b"\0\0\0\0");
    let mut output = Output::new();
    output.opaque_fixed(b"abcde").unwrap();
    output.array_fixed(&[1, 2], i32::encode).unwrap();
    assert_eq!(output.as_ref(), b"abcde\0\0\0\0\0\0\x01\0\0\0\x02");
    let mut input = output.into_input();
    assert_eq!(input.opaque_fixed::<5>(), Ok(*b"abcde"));
    assert_eq!(input.array_fixed::<i32, 2>(i32::decode), Ok([1, 2]));
    assert_eq!(input.finish(), Ok(()));
}

#[test]
fn what_is_no_value_is_refused() {
    assert_eq!(
        decoded::<bool>(b"\0\0\0\x02"),
        Err(XdrError::UnknownValue(2))
    );
    assert_eq!(
        decoded::<i8>(b"\0\0\0\x80"),
        Err(XdrError::UnknownValue(128))
    );
    assert_eq!(
        decoded::<u16>(b"\0\x01\0\0"),
        Err(XdrError::UnknownValue(65_536))
    );
    assert_eq!(
        decoded::<String>(b"\0\0\0\x01\xff\0\0\0"),
        Err(XdrError::NotText)
    );
    assert_eq!(decoded::<i32>(b"\0\0\0\x01\0"), Err(XdrError::Leftover));
    assert_eq!(
        decoded::<Option<i32>>(b"\0\0\0\x07"),
        Err(XdrError::UnknownValue(7))
    );
    // What pads does not matter; that it is there does.
    assert_eq!(decoded::<String>(b"\0\0\0\x01a???"), Ok("a".to_owned()));
    assert_eq!(
        decoded::<String>(b"\0\0\0\x01a??"),
        Err(XdrError::Truncated)
    );
}

#[test]
fn maxima_hold_both_ways() {
    let bytes = encoded(&"four".to_owned());
    assert_eq!(Input::new(bytes.clone()).string(4), Ok("four".to_owned()));
    assert_eq!(
        Input::new(bytes).string(3),
        Err(XdrError::TooLong { max: 3 })
    );
    let three = encoded(&vec![1, 2, 3]);
    let error = Input::new(three).array(2, i32::decode);
    assert_eq!(error, Err(XdrError::TooLong { max: 2 }));
    let mut output = Output::new();
    assert_eq!(output.opaque(b"123", 2), Err(XdrError::TooLong { max: 2 }));
    assert_eq!(
        output.array(&[1, 2], 1, i32::encode),
        Err(XdrError::TooLong { max: 1 })
    );
}

#[test]
fn depth_is_bounded() {
    is_identity(&list(DEPTH));
    let deeper = encoded(&list(DEPTH + 1));
    assert_eq!(decoded::<Node>(&deeper), Err(XdrError::TooDeep));
    let endless: Vec<u8> = b"\0\0\0\x01\0\0\0\x01".repeat(100_000);
    assert_eq!(decoded::<Node>(&endless), Err(XdrError::TooDeep));
}

#[test]
fn a_length_is_not_believed() {
    let claims = b"\xff\xff\xff\xff\0\0\0\0";
    assert_eq!(decoded::<Vec<i64>>(claims), Err(XdrError::Truncated));
    assert_eq!(decoded::<Vec<()>>(claims), Err(XdrError::Truncated));
    assert_eq!(decoded::<Bytes>(claims), Err(XdrError::Truncated));
    assert_eq!(
        decoded::<Vec<Vec<Vec<u32>>>>(&[0xff; 64]),
        Err(XdrError::Truncated)
    );
}

#[test]
fn opaque_data_is_a_view_of_the_message() {
    let message = encoded(&Bytes::from_static(b"data"));
    let value = Input::new(message.clone()).opaque(9).unwrap();
    assert_eq!(value.as_ptr(), message[4..].as_ptr());
}

proptest! {
    #[test]
    fn encode_then_decode_is_the_identity(
        a: i32, b: u32, c: i64, d: u64, e: bool, f: i8, g: u8, h: i16, i: u16,
    ) {
        is_identity(&a);
        is_identity(&b);
        is_identity(&c);
        is_identity(&d);
        is_identity(&e);
        is_identity(&f);
        is_identity(&g);
        is_identity(&h);
        is_identity(&i);
    }

    #[test]
    fn floats_keep_their_bits(a: u32, b: u64) {
        let (single, double) = (f32::from_bits(a), f64::from_bits(b));
        prop_assert_eq!(decoded::<f32>(&encoded(&single)).unwrap().to_bits(), a);
        prop_assert_eq!(decoded::<f64>(&encoded(&double)).unwrap().to_bits(), b);
    }

    #[test]
    fn what_is_made_of_others_is_the_identity(
        text in ".{0,20}", bytes: Vec<u8>, array in prop::collection::vec(".{0,5}", 0..9), option: Option<u64>,
    ) {
        is_identity(&text);
        is_identity(&Bytes::from(bytes));
        is_identity(&array);
        is_identity(&option);
        is_identity(&vec![option, None]);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(prop_oneof![Just(0_u8), Just(1), any::<u8>()], 0..200)) {
        let bytes = Bytes::from(bytes);
        let at_most = bytes.len() / 4;
        let _ = decoded::<Node>(&bytes);
        let _ = decoded::<Option<Vec<Option<String>>>>(&bytes);
        if let Ok(array) = Input::new(bytes.clone()).array(u32::MAX, u32::decode) {
            prop_assert!(array.capacity() <= at_most.max(4));
        }
        if let Ok(data) = Input::new(bytes.clone()).opaque(u32::MAX) {
            prop_assert!(data.len() <= bytes.len());
        }
    }
}
