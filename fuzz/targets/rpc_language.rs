//! No text makes the reader of interface files panic, and every mistake names a line that is there.
#![no_main]
#![allow(dead_code, unused_imports, reason = "the macro crate's own, of which only a part is used here")]

use libfuzzer_sys::fuzz_target;
use sources::{hooks, rpc};

#[path = "../../sockserv-codegen/src"]
mod sources {
    pub(crate) mod hooks;
    pub(crate) mod rpc;
}

/// What it needs of the macro crate besides.
mod words {
    /// Any number will do.
    pub(crate) fn distance(a: &str, b: &str) -> usize {
        a.len().abs_diff(b.len())
    }
}

fuzz_target!(|text: &str| {
    if let Err(mistakes) = rpc::read(text) {
        let lines = text.split('\n').count();
        assert!(!mistakes.is_empty());
        assert!(mistakes.iter().all(|one| (1..=lines).contains(&one.line)), "{mistakes:?}");
    }
});
