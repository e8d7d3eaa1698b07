//! A calculator over Sun RPC, on tcp and udp: its types and its dispatch come from `calculator.x` (RFC 5531, RFC 4506).
//! Run:  `cargo run --features rpc --example calculator_rpc`, with `-- --rpcbind` if an rpcbind is to know the ports
//! Talk: `rpcinfo -a 127.0.0.1.27.153 -T tcp 536871169 1`, or a client made by `rpcgen calculator.x`

use std::collections::BTreeMap;
use std::env;
use std::sync::{Arc, Mutex, PoisonError};

use calculator::{Answer, Calculation, Caller, Cell, Operation, Statistics};
use sockserv::prelude::*;
use sockserv::rpc::{Call, Credentials, Fault};

/// So many values are remembered.
const MAX_MEMORY: usize = 100;

#[derive(Clone, Default)]
struct Calculator {
    memory: Arc<Mutex<BTreeMap<String, i64>>>,
}

#[server(tcp, udp, threading, addr = "127.0.0.1:7065", rpc = "calculator.x")]
impl Calculator {
    fn calculate(&mut self, calculation: &Calculation) -> Answer {
        let &Calculation { what, left, right } = calculation;
        answer(match what {
            Operation::Divide if right == 0 => return Answer::DividedByZero,
            Operation::Add => left.checked_add(right),
            Operation::Subtract => left.checked_sub(right),
            Operation::Multiply => left.checked_mul(right),
            Operation::Divide => left.checked_div(right),
        })
    }

    fn sum(&mut self, terms: &[i64]) -> Answer {
        answer(
            terms
                .iter()
                .try_fold(0, |sum: i64, term| sum.checked_add(*term)),
        )
    }

    /// Of nothing there are none.
    fn statistics(&mut self, terms: &[i64]) -> Result<Option<Statistics>, Fault> {
        let (Some(smallest), Some(largest)) = (terms.iter().min(), terms.iter().max()) else {
            return Ok(None);
        };
        let sum: i128 = terms.iter().copied().map(i128::from).sum();
        Ok(Some(Statistics {
            count: u32::try_from(terms.len())?,
            mean: sum as f64 / terms.len() as f64,
            extremes: [*smallest, *largest],
        }))
    }

    /// Remembers a whole list, or says that the memory is full.
    fn store(&mut self, mut cell: Cell) -> bool {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if memory.len() >= MAX_MEMORY && !memory.contains_key(&cell.key) {
                return false;
            }
            memory.insert(cell.key, cell.value);
            match cell.next {
                Some(next) => cell = *next,
                None => return true,
            }
        }
    }

    fn recall(&mut self) -> Option<Box<Cell>> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.iter().rev().fold(None, |next, (key, &value)| {
            let key = key.clone();
            Some(Box::new(Cell { key, value, next }))
        })
    }

    fn who_am_i(&mut self, call: &Call) -> Caller {
        match call.credentials() {
            Credentials::Sys(sys) => Caller {
                uid: Some(sys.uid),
                machine: sys.machine.clone(),
            },
            _ => Caller {
                uid: None,
                machine: call.peer_addr().to_string(),
            },
        }
    }
}

fn answer(value: Option<i64>) -> Answer {
    let too_large = || Answer::Overflow("the result has more than 64 bits".to_owned());
    value.map_or_else(too_large, Answer::Good)
}

fn main() -> io::Result<()> {
    let mut addrs: Vec<String> = env::args().skip(1).collect();
    let before = addrs.len();
    addrs.retain(|arg| arg != "--rpcbind");
    let wants_rpcbind = addrs.len() < before;
    let server = CalculatorServer::builder(Calculator::default())
        .addrs(addrs)
        .bind()?;
    // Until the server has ended.
    let _registration = wants_rpcbind.then(|| server.register()).transpose()?;
    server.run()
}
