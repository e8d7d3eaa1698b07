//! [`Fixed`] frames keep their promises.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sockserv::codec::Fixed;
use sockserv_fuzz::{Input, check};

fuzz_target!(|data: &[u8]| {
    let Some(mut input) = Input::new(data) else {
        return;
    };
    input.max = input.max.max(1);
    check(&Fixed::new(input.max), &input, 0);
});
