use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, lines)]
impl Echo {
    #[command("SAY")]
    fn say(&mut self, _text: sockserv::command::Rest<'_>, _to: &str) {}

    #[command("SUM")]
    fn sum(&mut self, _numbers: Vec<u64>, _unit: Option<&str>) {}
}

fn main() {}
