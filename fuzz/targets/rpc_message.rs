//! No message makes the dispatch or a decoder panic, and what was decoded is encoded as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sockserv::bytes::Bytes;
use sockserv::prelude::*;
use sockserv::rpc::xdr::{Input, Output, Xdr};

#[derive(Clone)]
struct Calculator;

#[server(tcp, udp, rpc = "../sockserv/src/rpc/tests/calculator.x")]
impl Calculator {
    fn add_1(&mut self, a: i32, b: i32) -> i32 {
        a.wrapping_add(b)
    }

    fn calculate(&mut self, _: calculator::Operands) -> calculator::Answer {
        calculator::Answer::DividedByZero
    }

    fn echo(&mut self, value: calculator::Everything) -> calculator::Everything {
        value
    }

    fn reverse(&mut self, list: calculator::List) -> calculator::List {
        list
    }

    fn who_am_i(&mut self) -> String {
        String::new()
    }

    fn fail(&mut self, _: u32) {}

    fn longer(&mut self, terms: Vec<i64>) -> Vec<i64> {
        terms
    }

    fn add_3(&mut self, a: i32) -> i32 {
        a
    }

    fn handle_(&mut self, text: String) -> String {
        text
    }
}

fuzz_target!(|data: &[u8]| {
    let message = Bytes::copy_from_slice(data);
    // As it is, and as the arguments of a call, so that it gets far.
    let (reply, _) =
        sockserv::__private::answer_message(&mut Calculator, message.clone(), &Address::Unnamed);
    assert!(
        reply.is_none_or(|reply| reply.len() <= 128 + 2 * data.len() && reply[..4] == data[..4])
    );
    round_trip::<calculator::Everything>(&message);
    round_trip::<calculator::List>(&message);
    round_trip::<Vec<Option<String>>>(&message);
});

/// A value's own bytes decode to the same bytes again; floats need not be equal to themselves.
fn round_trip<T: Xdr>(bytes: &Bytes) {
    let mut input = Input::new(bytes.clone());
    let Ok(value) = T::decode(&mut input) else {
        return;
    };
    let encoded = |value: &T| {
        let mut output = Output::new();
        value.encode(&mut output).expect("it was decoded");
        output.into_bytes()
    };
    let once = encoded(&value);
    assert_eq!(once.len(), bytes.len() - input.rest().len());
    let again = T::decode(&mut Input::new(once.clone())).expect("it was encoded");
    assert_eq!(encoded(&again), once);
}
