//! [`LengthPrefixed`] frames keep their promises.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sockserv::codec::{LengthPrefixed, Width};
use sockserv_fuzz::{Input, check};

const WIDTHS: [Width; 6] = [
    Width::U8,
    Width::U16Be,
    Width::U16Le,
    Width::U32Be,
    Width::U32Le,
    Width::Varint,
];

fuzz_target!(|data: &[u8]| {
    let Some(mut input) = Input::new(data) else {
        return;
    };
    input.max = input.max.min(254); // So that each width can say it and itself.
    let width = WIDTHS[usize::from(input.choice >> 1) % WIDTHS.len()];
    let frames = LengthPrefixed::new(width, input.max).includes_itself(input.choice & 1 == 1);
    check(&frames.on_overflow(input.overflow), &input, 10);
});
