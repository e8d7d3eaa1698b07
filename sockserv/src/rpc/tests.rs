//! A calculator from an interface file, and calls made by hand.

use std::io::{Read, Write};
use std::net::UdpSocket;

use super::xdr::{Output, Xdr};
use super::{Call, Credentials, Fault};
use crate::prelude::*;

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

    fn calculate(&mut self, operands: calculator::Operands) -> calculator::Answer {
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

#[test]
fn a_call_is_answered_on_both_transports() {
    let server = CalculatorServer::bind(Calculator).unwrap().spawn().unwrap();
    let wanted = words(&[7, 1, 0, 0, 0, 0, 5]);

    let mut tcp = server.connect().unwrap();
    tcp.write_all(&record(&add(7, 2, 3))).unwrap();
    let mut reply = vec![0; wanted.len() + 4];
    tcp.read_exact(&mut reply).unwrap();
    assert_eq!(reply, record(&wanted));

    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_read_timeout(Some(std::time::Duration::from_secs(30)))
        .unwrap();
    let port = server.local_addr().port().unwrap();
    udp.send_to(&add(7, 2, 3), ("127.0.0.1", port)).unwrap();
    let mut packet = [0; 100];
    let (length, _) = udp.recv_from(&mut packet).unwrap();
    assert_eq!(packet[..length], wanted);
}
