//! A calculator from an interface file, and calls made by hand.

mod models;

use std::net::UdpSocket;
use std::time::Duration;

use proptest::prelude::*;

use super::serve::answer_message;
use super::xdr::{Input, Output, Xdr, XdrError};
use super::{Call, Credentials, Fault};
use crate::prelude::*;
use crate::testing;

#[derive(Clone)]
struct Calculator;

#[server(
    tcp,
    udp,
    threading,
    addr = "127.0.0.1:0",
    rpc = "src/rpc/tests/calculator.x"
)]
impl Calculator {
    fn add_1(&mut self, a: i32, b: i32) -> Result<i32, Fault> {
        a.checked_add(b).ok_or(Fault::GarbageArgs)
    }

    fn calculate(&mut self, operands: &calculator::Operands) -> calculator::Answer {
        use calculator::{Answer, Operation};
        let (left, right) = (operands.left, operands.right);
        match operands.op {
            Operation::Divide if right == 0 => Answer::DividedByZero,
            Operation::Divide => Answer::Good(left / right),
            Operation::Add => left
                .checked_add(right)
                .map_or_else(|| Answer::TooLarge("i64".to_owned()), Answer::Good),
        }
    }

    fn echo(&mut self, value: calculator::Everything) -> calculator::Everything {
        value
    }

    fn reverse(&mut self, mut list: calculator::List) -> calculator::List {
        let mut reversed = None;
        while let Some(mut node) = list {
            list = std::mem::replace(&mut node.next, reversed);
            reversed = Some(node);
        }
        reversed
    }

    fn who_am_i(&mut self, call: &Call) -> String {
        match call.credentials() {
            Credentials::Sys(sys) => format!("{}@{}", sys.uid, sys.machine),
            Credentials::None => "nobody".to_owned(),
        }
    }

    fn fail(&mut self, how: u32) -> io::Result<()> {
        Err(io::Error::other(format!("asked to, {how}")))
    }

    fn longer(&mut self, mut terms: Vec<i64>) -> Vec<i64> {
        terms.push(0);
        terms
    }

    fn add_3(&mut self, a: i32) -> i32 {
        a + 1
    }

    fn handle_(&mut self, text: String) -> String {
        text
    }
}

const PROGRAM: u32 = 536_871_169;

/// A call with its head, `AUTH_NONE`.
fn call(words: [u32; 4], arguments: impl FnOnce(&mut Output)) -> Vec<u8> {
    let [xid, program, version, procedure] = words;
    let mut output = Output::new();
    for word in [xid, 0, 2, program, version, procedure, 0, 0, 0, 0] {
        word.encode(&mut output).unwrap();
    }
    arguments(&mut output);
    output.as_ref().to_vec()
}

fn add(xid: u32, a: i32, b: i32) -> Vec<u8> {
    call([xid, PROGRAM, 1, 1], |output| {
        a.encode(output).unwrap();
        b.encode(output).unwrap();
    })
}

fn record(message: &[u8]) -> Vec<u8> {
    let mut record = (0x8000_0000 | message.len() as u32).to_be_bytes().to_vec();
    record.extend_from_slice(message);
    record
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// What the calculator answers to a message, without any socket.
fn answered(message: Vec<u8>) -> Option<Vec<u8>> {
    let (reply, _) = answer_message(&mut Calculator, message.into(), &Address::Unnamed);
    reply.map(Vec::from)
}

/// The results of a call that succeeds.
fn results<T: Xdr>(procedure: u32, arguments: &impl Xdr) -> T {
    let message = call([7, PROGRAM, 1, procedure], |output| {
        arguments.encode(output).unwrap();
    });
    let reply = answered(message).unwrap();
    assert_eq!(reply[..24], words(&[7, 1, 0, 0, 0, 0]));
    let mut input = Input::new(reply[24..].to_vec());
    let value = T::decode(&mut input).unwrap();
    input.finish().unwrap();
    value
}

#[test]
fn a_call_is_answered_on_both_transports() {
    let server = CalculatorServer::bind(Calculator).unwrap().spawn().unwrap();
    let wanted = words(&[7, 1, 0, 0, 0, 0, 5]);

    let mut tcp = server.connect().unwrap();
    tcp.write_all(&record(&add(7, 2, 3))).unwrap();
    assert_eq!(read(&mut tcp), wanted);

    let udp = udp(&server);
    udp.send(&add(7, 2, 3)).unwrap();
    assert_eq!(receive(&udp), wanted);
}

fn read(from: &mut impl Read) -> Vec<u8> {
    let mut head = [0; 4];
    from.read_exact(&mut head).unwrap();
    let length = u32::from_be_bytes(head);
    assert_ne!(length & 0x8000_0000, 0, "one fragment");
    let mut reply = vec![0; (length & 0x7fff_ffff) as usize];
    from.read_exact(&mut reply).unwrap();
    reply
}

fn udp(server: &crate::Running) -> UdpSocket {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let port = server.local_addr().port().unwrap();
    udp.connect(("127.0.0.1", port)).unwrap();
    udp
}

fn receive(udp: &UdpSocket) -> Vec<u8> {
    let mut packet = [0; 1000];
    let length = udp.recv(&mut packet).unwrap();
    packet[..length].to_vec()
}

#[test]
fn fragments_make_a_record_and_replies_keep_their_order() {
    let server = CalculatorServer::bind(Calculator).unwrap().spawn().unwrap();
    let mut tcp = server.connect().unwrap();
    let mut bytes = Vec::new();
    for xid in 0..50 {
        let message = add(xid, 1, 1);
        let (front, back) = message.split_at(1 + xid as usize % 40);
        bytes.extend_from_slice(&(front.len() as u32).to_be_bytes());
        bytes.extend_from_slice(front);
        bytes.extend_from_slice(&record(back));
    }
    // What is no call has no reply, and does not end the connection.
    bytes.extend_from_slice(&record(b"\0\0\0\x01\0\0\0\x01"));
    bytes.extend_from_slice(&record(b"?"));
    bytes.extend_from_slice(&record(b""));
    bytes.extend_from_slice(&record(&add(99, 1, 1)));
    tcp.write_all(&bytes).unwrap();
    for xid in (0..50).chain([99]) {
        assert_eq!(read(&mut tcp), words(&[xid, 1, 0, 0, 0, 0, 2]));
    }
}

#[test]
fn a_record_over_the_maximum_ends_the_connection() {
    let server = CalculatorServer::bind(Calculator).unwrap().spawn().unwrap();
    for head in [[0x80, 0x10, 0, 1], [0, 0, 0, 0]] {
        let mut tcp = server.connect().unwrap();
        tcp.write_all(&head).unwrap();
        assert_eq!(tcp.read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn an_error_is_told_and_reported_and_ends_the_connection() {
    let server = CalculatorServer::bind(Calculator).unwrap().spawn().unwrap();
    let fail = call([7, PROGRAM, 1, 6], |output| 3.encode(output).unwrap());
    let wanted = words(&[7, 1, 0, 0, 0, 5]);
    let mut tcp = server.connect().unwrap();
    tcp.write_all(&record(&fail)).unwrap();
    assert_eq!(read(&mut tcp), wanted);
    assert_eq!(tcp.read(&mut [0]).unwrap(), 0);
    let udp = udp(&server);
    udp.send(&fail).unwrap();
    assert_eq!(receive(&udp), wanted);
    let handle = server.handle().clone();
    server.shutdown().unwrap();
    assert_eq!(handle.stats().failed, 2);
}

/// A server whose attribute comes out of this macro, and whose procedures do not.
macro_rules! served {
    ($item:item) => {
        #[server(tcp, rpc(program = PROGRAM, version = 1))]
        $item
    };
}

#[derive(Clone)]
struct Sums;

served!(
    impl Sums {
        #[procedure(1)]
        fn sum(&mut self, numbers: &[i32], factor: i32, call: &Call) -> i32 {
            factor * numbers.iter().sum::<i32>() + i32::from(call.peer_addr().port() == Some(0))
        }
    }
);

#[test]
fn a_macro_may_write_the_attribute() {
    let _server = SumsServer::run;
    let sum = call([7, PROGRAM, 1, 1], |output| {
        vec![1, 2, 4].encode(output).unwrap();
        6.encode(output).unwrap();
    });
    let record = testing::stream(Sums).sends(record(&sum)).eof().run();
    assert!(record.written().ends_with(&words(&[42])));
}

#[test]
fn every_reply_of_the_standard() {
    let procedure = |words| answered(call(words, |_| ())).unwrap();
    assert_eq!(procedure([7, PROGRAM, 1, 0]), words(&[7, 1, 0, 0, 0, 0]));
    assert_eq!(
        procedure([7, PROGRAM + 9, 1, 1]),
        words(&[7, 1, 0, 0, 0, 1])
    );
    assert_eq!(
        procedure([7, PROGRAM, 2, 1]),
        words(&[7, 1, 0, 0, 0, 2, 1, 3])
    );
    assert_eq!(
        procedure([7, PROGRAM, 4, 0]),
        words(&[7, 1, 0, 0, 0, 2, 1, 3])
    );
    assert_eq!(procedure([7, PROGRAM, 1, 99]), words(&[7, 1, 0, 0, 0, 3]));
    assert_eq!(procedure([7, PROGRAM, 1, 1]), words(&[7, 1, 0, 0, 0, 4]));
    // Too many arguments are as wrong as too few, and the method may say so, too.
    let mut more = add(7, 1, 1);
    more.extend([0; 4]);
    assert_eq!(answered(more).unwrap(), words(&[7, 1, 0, 0, 0, 4]));
    assert_eq!(
        answered(add(7, i32::MAX, 1)).unwrap(),
        words(&[7, 1, 0, 0, 0, 4])
    );
    // A result over its maximum is our own mistake.
    let terms = call([7, PROGRAM, 1, 7], |output| {
        vec![0_i64; 4].encode(output).unwrap()
    });
    assert_eq!(answered(terms).unwrap(), words(&[7, 1, 0, 0, 0, 5]));
}

#[test]
fn heads_that_are_wrong() {
    let old = words(&[7, 0, 1, PROGRAM, 1, 1, 0, 0, 0, 0]);
    assert_eq!(answered(old).unwrap(), words(&[7, 1, 1, 0, 2, 2]));
    let short = words(&[7, 0, 2, PROGRAM]);
    assert_eq!(answered(short).unwrap(), words(&[7, 1, 0, 0, 0, 4]));
    let denied = |code| words(&[7, 1, 1, 1, code]);
    let with = |credentials: &[u32]| {
        let head = [&[7, 0, 2, PROGRAM, 1, 0], credentials].concat();
        answered(words(&head)).unwrap()
    };
    assert_eq!(with(&[]), denied(1), "none at all");
    assert_eq!(with(&[0, 404]), denied(1), "too long");
    assert_eq!(with(&[1, 4, 0, 0, 0]), denied(1), "a broken AUTH_SYS");
    assert_eq!(
        with(&[6, 0, 0, 0]),
        denied(2),
        "a flavor that we do not have"
    );
    assert_eq!(with(&[0, 0]), denied(3), "no verifier");
    assert_eq!(answered(words(&[7, 1, 0, 0, 0, 0])), None, "a reply");
    assert_eq!(answered(words(&[7])), None);
}

fn everything() -> calculator::Everything {
    use calculator::{Choice, Everything, Maybe, Tree};
    let leaf = Tree {
        value: 2,
        children: Vec::new(),
    };
    Everything {
        a: -1,
        b: u32::MAX,
        c: i64::MIN,
        d: u64::MAX,
        e: 0.5,
        f: -0.25,
        g: true,
        h: -300,
        i: 200,
        names: ["one".to_owned(), "two".to_owned()],
        digests: vec![*b"abcdef"],
        blob: b"12345".as_slice().into(),
        maybe_int: Some(9),
        choices: vec![
            Choice::Case1(1),
            Choice::Case2(2),
            Choice::MaxName,
            Choice::Other(7, b"x".as_slice().into()),
        ],
        there: Maybe::True(1.0),
        nodes: list(&["a", "b"]),
        root: Tree {
            value: 1,
            children: vec![leaf],
        },
        op: None,
    }
}

#[test]
fn types_go_in_and_out() {
    use calculator::{LOWEST, MAX_NAME, MAX_TERMS};
    assert_eq!(
        results::<calculator::Everything>(3, &everything()),
        everything()
    );
    assert_eq!((MAX_TERMS, MAX_NAME, LOWEST), (4, 16, -1));
}

#[test]
fn enums_and_unions_are_exact() {
    use calculator::{Answer, Choice, Operands, Operation};
    let operands = |op, left, right| Operands { op, left, right };
    let calculated = |operands| results::<Answer>(2, &operands);
    assert_eq!(
        calculated(operands(Operation::Divide, 7, 2)),
        Answer::Good(3)
    );
    assert_eq!(
        calculated(operands(Operation::Divide, 7, 0)),
        Answer::DividedByZero
    );
    assert_eq!(
        calculated(operands(Operation::Add, i64::MAX, 1)),
        Answer::TooLarge("i64".to_owned())
    );
    // What another case has cannot be told as this one's.
    let mixed = Choice::Other(2, b"x".as_slice().into());
    assert_eq!(
        mixed.encode(&mut Output::new()),
        Err(XdrError::UnknownValue(2))
    );
    let unknown = [0, 0, 0, 9];
    assert_eq!(
        Operation::decode(&mut Input::new(unknown.to_vec())),
        Err(XdrError::UnknownValue(9))
    );
}

fn list(names: &[&str]) -> calculator::List {
    names.iter().rev().fold(None, |next, name| {
        Some(Box::new(calculator::Node {
            r#type: (*name).to_owned(),
            next,
        }))
    })
}

#[test]
fn lists_and_versions_and_programs_are_told_apart() {
    let reversed: calculator::List = results(4, &list(&["a", "b", "c"]));
    assert_eq!(reversed, list(&["c", "b", "a"]));
    let third = call([7, PROGRAM, 3, 1], |output| 1.encode(output).unwrap());
    assert_eq!(answered(third).unwrap(), words(&[7, 1, 0, 0, 0, 0, 2]));
    let other = call([7, 0x2000_0102, 1, 1], |output| {
        output.string("hi", 9).unwrap()
    });
    assert!(answered(other).unwrap().ends_with(b"\0\0\0\x02hi\0\0"));
}

#[test]
fn the_method_learns_who_calls() {
    assert_eq!(results::<String>(5, &()), "nobody");
    let mut message = words(&[7, 0, 2, PROGRAM, 1, 5, 1, 32, 0, 4]);
    message.extend_from_slice(b"here");
    message.extend_from_slice(&words(&[1000, 100, 2, 4, 5, 0, 0]));
    let reply = answered(message).unwrap();
    assert!(reply.ends_with(b"\0\0\0\x091000@here\0\0\0"), "{reply:?}");
}

/// Bytes like those of calls, so that they get far.
fn like_a_call() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![0..10_u32, Just(PROGRAM), any::<u32>()];
    let argument = prop_oneof![3 => 0..5_u32, 1 => any::<u32>()];
    let arguments = prop::collection::vec(argument, 0..60);
    (
        prop::collection::vec(word, 0..8),
        0..10_u32,
        arguments,
        0..4_usize,
    )
        .prop_map(|(odd, procedure, arguments, cut)| {
            let mut all = vec![7, 0, 2, PROGRAM, 1, procedure, 0, 0, 0, 0];
            if odd.len() > 4 {
                all.splice(0..odd.len(), odd);
            }
            all.extend(arguments);
            let mut bytes = words(&all);
            bytes.truncate(bytes.len() - cut);
            bytes
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_message_makes_it_panic(message in prop_oneof![like_a_call(), any::<Vec<u8>>()]) {
        if let Some(reply) = answered(message.clone()) {
            prop_assert!(reply.len() >= 20 && reply.len() % 4 == 0);
            prop_assert_eq!(&reply[..4], &message[..4]);
            prop_assert!(reply.len() <= 64 + 2 * message.len());
        }
    }
}
