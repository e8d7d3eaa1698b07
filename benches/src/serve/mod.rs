//! The servers that are written in Rust. Each echoes lines over TCP, or packets over UDP.

mod by_hand;
mod ours;
mod with_tokio;

use std::io;

pub(crate) fn serve(name: &str, addr: &str) -> io::Result<()> {
    match name {
        "sockserv-threading" => ours::threading(addr),
        "sockserv-forking" => ours::forking(addr),
        "sockserv-prefork" => ours::prefork(addr),
        "sockserv-sync" => ours::sync(addr),
        "sockserv-messages" => ours::messages(addr),
        "sockserv-udp" => ours::udp(addr),
        "std-threads" => by_hand::threads(addr, by_hand::lines),
        "std-coalescing" => by_hand::threads(addr, by_hand::coalesced_lines),
        "std-udp" => by_hand::udp(addr),
        "tokio-multi" => with_tokio::multi_thread(addr),
        "tokio-current" => with_tokio::current_thread(addr),
        "tokio-udp" => with_tokio::udp(addr),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("there is no server `{name}`"),
        )),
    }
}
