//! `http_hello` for operators: it tells a load balancer whether it is ready, and prints that balancer's configuration.
//! Run:  `cargo run --features cli --example http_hello_cli -- --admin-public 127.0.0.1:9100 --lame-duck 6s`
//! Talk: `curl -i http://127.0.0.1:8080/`, `curl http://127.0.0.1:9100/readyz`, or start it with `-- --print-haproxy`
//! See:  `ready` from `/readyz`, and `503` for the six seconds after SIGTERM

#[path = "http_hello.rs"]
mod http_hello;

fn main() -> std::io::Result<()> {
    http_hello::main()
}
