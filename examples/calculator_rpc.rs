//! A calculator over Sun RPC, on tcp and udp; its types and dispatch come from `calculator.x` (RFC 5531, RFC 4506).
//! Run:  `cargo run --features rpc --example calculator_rpc`; add `-- --rpcbind` to register its ports with rpcbind
//! Talk: `rpcinfo -a 127.0.0.1.27.153 -T tcp 536871169 1`, or a client that `rpcgen calculator.x` made
//! See:  `program 536871169 version 1 ready and waiting`

use std::collections::BTreeMap;
use std::env;
use std::sync::{Arc, Mutex, PoisonError};

use calculator::{Answer, Calculation, Caller, Cell, Operation, Statistics};
use sockserv::prelude::*;
use sockserv::rpc::{Call, Credentials, Fault};

/// How many values are remembered.
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
        let mut sum = Some(0_i64);
        for &term in terms {
            sum = sum.and_then(|sum| sum.checked_add(term));
        }
        answer(sum)
    }

    /// An empty list has no statistics.
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

    /// Remembers the cells of a list; `false` if the memory is full.
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
        let mut next = None;
        // Backwards, because each cell owns the one after it.
        for (key, &value) in memory.iter().rev() {
            let key = key.clone();
            next = Some(Box::new(Cell { key, value, next }));
        }
        next
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
    match value {
        Some(value) => Answer::Good(value),
        None => Answer::Overflow("the result has more than 64 bits".to_owned()),
    }
}

fn main() -> io::Result<()> {
    let (flags, addrs): (Vec<_>, Vec<_>) = env::args()
        .skip(1)
        .partition(|argument| argument == "--rpcbind");
    let server = CalculatorServer::builder(Calculator::default())
        .addrs(addrs)
        .bind()?;
    // Lasts until the end of `main`.
    let _registration = match flags.is_empty() {
        true => None,
        false => Some(server.register()?),
    };
    server.run()
}
