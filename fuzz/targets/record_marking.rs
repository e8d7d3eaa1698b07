//! [`RecordMarking`] keeps its promises.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sockserv::codec::RecordMarking;
use sockserv_fuzz::{Input, check};

fuzz_target!(|data: &[u8]| {
    let Some(input) = Input::new(data) else {
        return;
    };
    let records = RecordMarking::new(input.max).on_overflow(input.overflow);
    check(&records, &input, 4 * input.max + 4); // A head for each byte, in the worst case.
});
