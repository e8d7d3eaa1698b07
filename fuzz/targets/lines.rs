//! [`Lines`] keep their promises.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sockserv::codec::{Ending, Lines};
use sockserv_fuzz::{Input, check};

fuzz_target!(|data: &[u8]| {
    let Some(input) = Input::new(data) else {
        return;
    };
    let ending = match input.choice % 3 {
        0 => Ending::Lf,
        1 => Ending::CrLf,
        _ => Ending::Any,
    };
    let lines = Lines::new(input.max).ending(ending);
    check(&lines.on_overflow(input.overflow), &input, 2);
});
