//! What an editor sees while somebody types, token by token.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::ToTokens;

use super::parsed;
use crate::expand;

/// Real handlers of every form; whatever part of them is there, the editor sees it again.
const TYPED: [(&str, &str); 8] = [
    (
        "tcp, threading(max = 100, stack_size = \"256 KiB\"), addr = [\"127.0.0.1:7007\", \"[::1]:7007\"], timeout = \"30s\", nodelay = false",
        "impl<S: Store + Clone> Session<S> where S: Send {
            const GREETING: &'static str = \"hello\";
            /// Says hello.
            pub fn setup(&mut self, stream: &mut Stream) -> io::Result<()> { writeln!(stream, \"{}\", Self::GREETING) }
            #[cfg(unix)]
            fn handle(&mut self, stream: &mut Stream) -> Result<(), Box<dyn Error + Send + Sync>> {
                let mut line = String::new();
                while stream.rfile.read_line(&mut line)? > 0 { self.store.put(line.as_bytes())?; line.clear(); }
                Ok(())
            }
            fn verify_request(&self, peer: &Address, incoming: &Incoming) -> bool { self.store.knows(peer) && incoming.local().is_some() }
            fn handle_error(&mut self, error: &RequestError, peer: &Address) { eprintln!(\"{peer}: {error}\"); }
        }",
    ),
    (
        "udp, tcp, unsafe(forking(max_children = 4)), addr = ADDR, vis = pub(crate), name = Clock, crate = ::sockserv",
        "impl Daytime<'_> {
            fn handle<R: Request>(&mut self, request: &mut R) -> io::Result<()> { request.wfile().write_all(now().as_bytes()) }
            fn service_actions(&self) { self.tick(|now| now + 1) }
        }",
    ),
    ("unix_datagram, prefork(workers = 2, accept = \"shared\"), mode = 0o660, owner = 33, on_full = \"refuse\", observer = Counts<A, B>, deny = [\"10.0.0.0/8\"], listener = Mine<A, B>", "#[derive(Clone)] pub struct Sink<T: Copy = u8>(Arc<Store<T>>, [u8; 4]) where T: Send;"),
    (
        "tcp, threading, addr = \"127.0.0.1:7007\"",
        "impl Echo {
            fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
                io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
            }
        }",
    ),
    (
        "udp, sync, max_packet_size = 512",
        "impl Upper {
            fn handle(&mut self, datagram: &mut Datagram) -> io::Result<()> {
                let reply = datagram.packet().to_ascii_uppercase();
                datagram.wfile.write_all(&reply)
            }
        }",
    ),
    (
        "tcp, pool(workers = 8), lines(max = \"1 KiB\", ending = any), ignore_case, quoting",
        "impl Mail {
            /// Begins a mail.
            #[command(\"MAIL FROM:\", \"SEND FROM:\", when = Self::greeted)]
            fn mail(&mut self, from: &str, parameters: Vec<Parameter>) -> Result<&'static str, Refused> { self.from = from.parse()?; Ok(\"250 ok\") }
            #[command(\"QUIT\")]
            #[inline]
            fn quit(&mut self) -> Close<&'static str> { Close(\"221 bye\") }
            fn greeted(&self) -> bool { self.name.is_some() }
            fn command_error(&mut self, error: &CommandError, replies: &mut Replies) -> io::Result<()> { replies.send(format!(\"500 {error}\")) }
        }",
    ),
    (
        "tcp, udp, length_prefixed(u16_be, max = 64), opcode(u8, at = 2)",
        "impl Thermometer {
            #[opcode(0x01, READ_ALL)]
            fn read(&mut self, channel: &[u8], head: &[u8]) -> Vec<u8> { [b\"T\", head, channel].concat() }
        }",
    ),
    (
        "tcp, udp, pool, rpc(program = 0x2000_0200, version = 1)",
        "impl Adder {
            #[procedure(1)]
            fn add(&mut self, numbers: &[i32]) -> i32 { numbers.iter().sum() }
            #[procedure(2)]
            fn divide(&mut self, a: i32, b: i32, call: &Call) -> Result<i32, Fault> { a.checked_div(b).ok_or(Fault::System) }
        }",
    ),
];

#[test]
fn half_typed_code_comes_back() {
    for (args, item) in TYPED {
        let (args, item) = (parsed(args), parsed(item));
        for prefix in prefixes(&item) {
            assert_comes_back(&prefix, &expand(args.clone(), prefix.clone()));
        }
        for prefix in prefixes(&args) {
            let code = expand(prefix.clone(), item.clone());
            assert_comes_back(&item, &code);
            let code = code.to_string();
            assert!(code.contains("Declaration for"), "{prefix}\n{code}");
        }
    }
}

/// Attributes that belong to `#[server]` may be gone; everything else is there, as it was and where it was.
fn assert_comes_back(item: &TokenStream, code: &TokenStream) {
    let code = code.to_string();
    let is_there =
        code.starts_with(&item.to_string()) || code.starts_with(&without_ours(item).to_string());
    assert!(is_there, "{item}\nbecame\n{code}");
}

fn without_ours(tokens: &TokenStream) -> TokenStream {
    let mut left: Vec<TokenTree> = Vec::new();
    for token in tokens.clone() {
        let token = match token {
            TokenTree::Group(group) if is_ours(&group) => {
                left.pop(); // The `#`.
                continue;
            }
            TokenTree::Group(group) => {
                Group::new(group.delimiter(), without_ours(&group.stream())).into()
            }
            token => token,
        };
        left.push(token);
    }
    left.into_iter().collect()
}

fn is_ours(group: &Group) -> bool {
    let first = group.stream().into_iter().next();
    group.delimiter() == Delimiter::Bracket
        && ["command", "opcode", "procedure"].iter().any(|word| {
            first
                .as_ref()
                .is_some_and(|first| first.to_string() == *word)
        })
}

/// Returns the tokens as they stand after each of them was typed; the editor closes open groups.
fn prefixes(tokens: &TokenStream) -> Vec<TokenStream> {
    let mut prefixes = vec![TokenStream::new()];
    let mut typed = TokenStream::new();
    for token in tokens.clone() {
        if let TokenTree::Group(group) = &token {
            for inner in self::prefixes(&group.stream()) {
                let mut prefix = typed.clone();
                prefix.extend(
                    TokenTree::Group(Group::new(group.delimiter(), inner)).into_token_stream(),
                );
                prefixes.push(prefix);
            }
        }
        typed.extend([token]);
        prefixes.push(typed.clone());
    }
    prefixes
}
