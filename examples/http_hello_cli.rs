//! `http_hello` for operators: behind a load balancer that asks whether it is ready, with what that needs printed by itself.
//! Run:  `cargo run --features cli --example http_hello_cli -- --admin-public 127.0.0.1:9100 --lame-duck 6s`
//! Talk: `curl -i http://127.0.0.1:8080/`, `curl http://127.0.0.1:9100/readyz`, or `-- --print-haproxy`

#[path = "http_hello.rs"]
mod http_hello;

fn main() -> std::io::Result<()> {
    http_hello::main()
}
