//! Promises that are looked at from inside the server's own process.

use libtest_mimic::Arguments;

fn main() {
    libtest_mimic::run(&Arguments::from_args(), Vec::new()).exit()
}
