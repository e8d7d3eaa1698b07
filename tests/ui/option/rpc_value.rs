use sockserv::prelude::*;

#[derive(Clone)]
struct Calculator;

#[server(tcp, rpc = 1)]
impl Calculator {}

#[derive(Clone)]
struct Other;

#[server(tcp, rpc)]
impl Other {}

fn main() {}
