use sockserv::prelude::*;
use sockserv::command::CommandError;

#[derive(Clone)]
struct Echo;

#[server(tcp, lines)]
impl Echo {
    #[command("GET")]
    fn get(&mut self, key: &str) -> String {
        key.to_owned()
    }

    fn command_error(&mut self, error: CommandError, replies: &mut Replies) -> io::Result<()> {
        replies.send(error.to_string())
    }
}

fn main() {}
