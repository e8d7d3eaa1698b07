//! [`Delimited`] frames keep their promises.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sockserv::codec::Delimited;
use sockserv_fuzz::{Input, check};

const DELIMITERS: [&[u8]; 5] = [b"\0", b"\r\n", b"aa", b"aba", b"--boundary--"];

fuzz_target!(|data: &[u8]| {
    let Some(input) = Input::new(data) else {
        return;
    };
    let delimiter = DELIMITERS[usize::from(input.choice) % DELIMITERS.len()];
    let frames = Delimited::new(delimiter, input.max);
    check(&frames.on_overflow(input.overflow), &input, delimiter.len());
});
