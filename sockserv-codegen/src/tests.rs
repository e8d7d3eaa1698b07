//! The option table row by row, and all mistakes at once.

mod framings;
mod golden;
#[cfg(feature = "rpc")]
mod procedures;
mod typing;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::quote;

use crate::expand;
use crate::options::{
    ANY, Kind, Model, OPTIONS, OWN_DATAGRAMS, OWN_STREAMS, Owner, Rule, STREAMS, Transport,
};

/// Returns the messages of the `compile_error!`s in an expansion.
fn messages(args: TokenStream, item: TokenStream) -> Vec<String> {
    let mut messages = Vec::new();
    collect_messages(expand(args, item), &mut messages);
    messages
}

fn collect_messages(tokens: TokenStream, messages: &mut Vec<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for window in tokens.windows(3) {
        if let [TokenTree::Ident(word), _, TokenTree::Group(group)] = window
            && word == "compile_error"
        {
            messages.push(group.stream().to_string());
        }
    }
}

fn echo(parameter: &TokenStream) -> TokenStream {
    quote! { impl Echo { fn handle(&mut self, request: &mut #parameter) {} } }
}

/// Returns the messages for a handler of whatever the transports hand out.
fn judged(args: TokenStream) -> Vec<String> {
    messages(args, echo(&quote!(impl Request)))
}

fn parsed(text: &str) -> TokenStream {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Returns the expansion behind the item, as text.
fn expansion(args: TokenStream, item: &TokenStream) -> String {
    let code = expand(args, item.clone()).to_string();
    code.strip_prefix(&item.to_string())
        .map(str::to_owned)
        .unwrap_or_default()
}

/// Returns the rows of the server that this build knows.
fn rows() -> impl Iterator<Item = &'static Rule> {
    OPTIONS
        .iter()
        .filter(|rule| rule.owner == Owner::Server && rule.missing_feature().is_none())
}

/// Returns the option as it is written, and beside it what makes sense of it.
fn written(rule: &Rule, value: &str) -> String {
    let beside = match rule.name {
        "banner" => ", on_full = \"refuse\"",
        _ => "",
    };
    format!("{} = {value}{beside}", rule.name)
}

#[test]
fn the_users_cfgs_follow_what_mirrors_his_methods() {
    let code = expansion(
        quote!(tcp),
        &quote! {
            impl Echo {
                #[cfg(unix)]
                #[inline]
                fn handle(&mut self, stream: &mut Stream) {}
                #[cfg(not(unix))]
                fn handle(&mut self, stream: &mut Stream) {}
                #[cfg(feature = "x")]
                fn handle_timeout(&self) {}
            }
        },
    );
    for mirrored in [
        quote!(#[cfg(unix)] fn handle),
        quote!(#[cfg(not(unix))] fn handle),
        quote!(#[cfg(feature = "x")] fn handle_timeout),
    ] {
        assert!(code.contains(&mirrored.to_string()), "{mirrored}\n{code}");
    }
}

#[test]
fn a_hook_takes_what_it_wants_to_know() {
    let hooks = quote! {
        fn handle(&mut self, stream: &mut Stream) {}
        fn handle_error(&mut self, error: &RequestError, peer: &Address) {}
    };
    let one = expansion(
        quote!(tcp),
        &quote!(impl Echo { #hooks fn verify_request(&self, peer: &Address) -> bool { true } }),
    );
    assert!(
        one.contains("value_0 : & :: sockserv :: __private :: Address , _ : & :: sockserv :: __private :: Incoming)"),
        "{one}"
    );
    let two = expansion(
        quote!(tcp),
        &quote!(impl Echo { #hooks fn verify_request(&self, peer: &Address, incoming: &Incoming) -> bool { true } }),
    );
    assert!(
        two.contains("{ Self :: verify_request (self , value_0 , value_1) }"),
        "{two}"
    );
    assert!(
        two.contains("{ Self :: handle_error (self , value_0 , value_1) }"),
        "{two}"
    );
}

#[test]
fn a_generic_server_leaves_out_what_its_type_lacks() {
    let code = expansion(
        quote!(tcp),
        &quote! {
            impl<'a, I: Iterator<Item = U>, U, const N: usize> Feed<'a, I, N> where Self: Sized, U: Copy, I: Clone {
                fn handle(&mut self, stream: &mut Stream) {}
            }
        },
    );
    let structure = quote! {
        struct FeedServer<'a, I, const N: usize>
        where Feed<'a, I, N>: Sized, I: Clone, Feed<'a, I, N>: ::sockserv::__private::Declaration
    };
    assert!(code.contains(&structure.to_string()), "{code}");
}

#[test]
fn the_unsafe_token_is_the_users_own() {
    let code = expansion(
        quote!(tcp, unsafe(forking(max_children = 2))),
        &echo(&quote!(Stream)),
    );
    assert!(code.contains("const _ : () = unsafe { } ;"), "{code}");
    assert!(code.contains(":: UncheckedForking ;"), "{code}");
    assert_eq!(code.matches(" unsafe {").count(), 1);
    assert!(!expansion(quote!(tcp, forking), &echo(&quote!(Stream))).contains("unsafe {"));
    let code = expansion(quote!(tcp, unsafe(prefork)), &echo(&quote!(Stream)));
    assert!(code.contains("const _ : () = unsafe { } ;"), "{code}");
    assert!(code.contains(":: UncheckedPrefork ;"), "{code}");
    assert!(!code.contains("Spawnable"), "{code}");
}

#[test]
fn a_facade_names_the_runtime() {
    let code = expansion(quote!(tcp, crate = my::facade), &echo(&quote!(Stream)));
    assert!(code.contains("my :: facade :: __private :: Tcp"), "{code}");
    assert!(!code.contains(":: sockserv"), "{code}");
}

/// What `macro_rules!` hands on is wrapped into groups without delimiters.
#[test]
fn invisible_groups_change_nothing() {
    let group =
        |tokens: TokenStream| TokenTree::Group(proc_macro2::Group::new(Delimiter::None, tokens));
    let (ty, text, stream) = (
        group(quote!(Echo)),
        group(quote!("127.0.0.1:99999")),
        group(quote!(&mut Stream)),
    );
    let item = quote!(impl #ty { fn handle(&mut self, stream: #stream) {} });
    let said = messages(quote!(tcp, addr = #text), item.clone());
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said.iter().any(|message| message.contains("over 65535")),
        "{said:?}"
    );
    assert!(
        expand(quote!(tcp), item.clone())
            .to_string()
            .contains("struct EchoServer")
    );
    let whole = group(item);
    assert!(
        expand(quote!(tcp), quote!(#whole))
            .to_string()
            .contains("struct EchoServer")
    );
    let (option, size) = (group(quote!(rbufsize)), group(quote!("64 KiB")));
    assert!(
        expand(quote!(tcp, #option = #size), echo(&quote!(Stream)))
            .to_string()
            .contains(". rbufsize (65536usize)")
    );
}

#[test]
fn every_row_fits_exactly_its_transports() {
    for rule in rows() {
        let option = written(rule, rule.example);
        for transport in Transport::ALL {
            let said = judged(parsed(&format!("{}, {option}", transport.word())));
            let fits = rule.fits & transport.column() != 0;
            assert_eq!(said.is_empty(), fits, "{option} {transport:?}: {said:?}");
        }
        for (parameter, column) in [
            (quote!(Stream), OWN_STREAMS),
            (quote!(Datagram), OWN_DATAGRAMS),
        ] {
            let args = parsed(&format!("listener = Mine<A, B>, {option}"));
            let said = messages(args, echo(&parameter));
            let fits = rule.fits & column != 0;
            assert_eq!(said.is_empty(), fits, "{option} {parameter}: {said:?}");
        }
    }
}

#[test]
fn with_a_pair_it_is_enough_to_fit_one() {
    for (stream, datagram) in [("tcp", "udp"), ("tcp", "unix_datagram"), ("unix", "udp")] {
        let columns = [stream, datagram]
            .into_iter()
            .filter_map(Transport::from_word)
            .fold(0, |all, one| all | one.column());
        for rule in rows() {
            let option = written(rule, rule.example);
            let said = judged(parsed(&format!("{datagram}, {option}, {stream}")));
            let fits = rule.fits & columns != 0;
            assert_eq!(
                said.is_empty(),
                fits,
                "{option} {stream} {datagram}: {said:?}"
            );
        }
    }
}

#[test]
fn every_row_of_a_model_fits_exactly_its_models() {
    for rule in Model::ALL.into_iter().flat_map(Model::rules) {
        for model in Model::ALL {
            let word = model.word();
            let option = written(rule, rule.example);
            let said = judged(parsed(&format!("tcp, {word}({option})")));
            let owned = Rule::of_models(rule.name).any(|(owner, _)| owner == model);
            assert_eq!(said.is_empty(), owned, "{option} {word}: {said:?}");
        }
        let outside = judged(parsed(&format!("tcp, {} = {}", rule.name, rule.example)));
        assert_eq!(outside.len(), 1, "{outside:?}");
        for transport in Transport::ALL {
            let Owner::Model(model) = rule.owner else {
                continue;
            };
            let (word, option) = (model.word(), written(rule, rule.example));
            let said = judged(parsed(&format!("{}, {word}({option})", transport.word())));
            let fits = rule.fits & transport.column() != 0;
            assert_eq!(said.is_empty(), fits, "{option} {transport:?}: {said:?}");
        }
    }
}

#[test]
fn expressions_are_left_to_the_compiler() {
    for rule in OPTIONS.iter().filter(|rule| rule.kind != Kind::Type) {
        if rule.missing_feature().is_some() {
            continue;
        }
        let transport = Transport::ALL
            .into_iter()
            .find(|transport| rule.fits & transport.column() != 0);
        let transport = transport.map(Transport::word).unwrap_or_default();
        for value in ["LIMIT", "limit()", "some::path::LIMIT", "LIMIT * 2"] {
            let option = written(rule, value);
            let args = match rule.owner {
                Owner::Server => format!("{transport}, {option}"),
                Owner::Model(model) => format!("{transport}, {}({option})", model.word()),
                Owner::Framing(_) => continue,
            };
            assert_eq!(judged(parsed(&args)), [""; 0], "{args}");
        }
    }
    assert_eq!(
        judged(
            quote!(tcp, addr = ADDR, name = Some, vis = pub(crate), model = a::Model<B, C>, observer = an::Observer<B, C>)
        ),
        [""; 0]
    );
    assert_eq!(
        judged(quote!(
            tcp,
            addr = [ADDR, "127.0.0.1:1", other()],
            allow = [LAN, "10.0.0.0/8"],
            deny = &["::1"]
        )),
        [""; 0]
    );
}

/// The page says where each option fits; the table decides.
#[test]
fn the_page_of_the_attribute_has_every_row() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../sockserv/src/attribute.md");
    let page = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    for rule in OPTIONS {
        let begin = match rule.owner {
            Owner::Server => format!("| `{}` | ", rule.name),
            Owner::Model(model) => format!("| `{}` | ", model.word()),
            Owner::Framing(framing) => format!("| `{}` | ", framing.example()),
        };
        let row = page.lines().find(|line| line.starts_with(&begin));
        let row = row.unwrap_or_else(|| panic!("no row {begin}"));
        let own = rule.fits & (OWN_STREAMS | OWN_DATAGRAMS);
        let fits = match (rule.fits, own) {
            (ANY, _) => "any".to_owned(),
            (STREAMS, _) => "streams".to_owned(),
            (_, 0) => rule.transports(),
            _ => format!("{}, own", rule.transports()),
        };
        let said = match rule.owner {
            Owner::Server => format!("| {fits} | "),
            Owner::Model(_) | Owner::Framing(_) => format!("`{}", rule.name),
        };
        assert!(row.contains(&said), "no {said} in {row}");
    }
    let options = page
        .lines()
        .filter(|line| line.starts_with("| `") && line.matches(" | ").count() == 3);
    let rows = OPTIONS.iter().filter(|rule| rule.owner == Owner::Server);
    assert_eq!(options.count(), rows.count());
}

#[test]
fn a_word_whose_feature_is_off_names_the_feature() {
    let said = judged(quote!(tcp, access_log));
    if cfg!(feature = "log") {
        assert_eq!(said, [""; 0]);
    } else {
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(
            said.concat().contains("needs the feature `log`"),
            "{said:?}"
        );
        let code = expansion(quote!(tcp, access_log), &echo(&quote!(Stream)));
        assert!(!code.contains(". access_log"), "{code}");
    }
}

#[test]
fn a_wrong_network_is_left_out_and_the_others_stay() {
    let code = expansion(
        quote!(tcp, allow = ["10.0.0.1/8", "192.0.2.0/24"], deny = "::/129"),
        &echo(&quote!(Stream)),
    );
    assert!(code.contains(". allow ([\"192.0.2.0/24\"])"), "{code}");
    assert!(!code.contains(". deny"), "{code}");
}

#[test]
fn only_workers_start() {
    let item = quote! {
        impl Echo {
            fn handle(&mut self, stream: &mut Stream) {}
            fn worker_start(&mut self, worker: usize) -> io::Result<()> { Ok(()) }
        }
    };
    for (args, ran) in [
        ("tcp", false),
        ("tcp, sync", false),
        ("tcp, threading", false),
        ("tcp, forking", false),
        ("tcp, unsafe(forking)", false),
        ("tcp, pool", true),
        ("tcp, prefork(workers = 2)", true),
        ("tcp, unsafe(prefork)", true),
        ("tcp, model = Mine", true),
    ] {
        let said = messages(parsed(args), item.clone());
        assert_eq!(said.is_empty(), ran, "{args}: {said:?}");
    }
    // Perhaps the unknown word was the model.
    assert_eq!(messages(quote!(tcp, pol), item.clone()).len(), 1);
    assert_eq!(messages(quote!(tcp, multiplexing), item).len(), 1);
}

#[test]
fn all_mistakes_are_reported_at_once_and_the_item_comes_back() {
    let item = quote! {
        impl Echo {
            async fn handle(&mut self, stream: &mut Datagram) -> Result<(), Box<dyn Error>> { loop {} }
            fn handle_timeouts(&self) {}
        }
    };
    let args = quote!(
        tcp,
        udp = 1,
        backlog = -1,
        multiplexing(workers = 8),
        request_queue_size = 5,
        addr = ["127.0.0.1:70000", "unix:"]
    );
    assert_eq!(
        messages(args.clone(), item.clone()).len(),
        10,
        "{:#?}",
        messages(args.clone(), item.clone())
    );
    let code = expand(args, item.clone()).to_string();
    assert!(code.starts_with(&item.to_string()));
    assert!(code.contains("struct EchoServer"));
}

#[test]
fn what_was_reported_is_not_reported_again_by_the_compiler() {
    let code = expand(
        quote!(tcp),
        quote! {
            #[server(udp)]
            impl Echo {
                fn handle(&mut self, stream: &mut Stream) {}
                #[command("GET")]
                #[inline]
                fn get(&mut self) {}
            }
        },
    );
    let code = code.to_string();
    assert!(
        !code.contains("# [server") && !code.contains("# [command"),
        "{code}"
    );
    assert!(code.contains("# [inline]"), "{code}");
}

#[test]
fn what_stands_in_a_body_is_the_users() {
    let body = quote! {{
        #[derive(Parser)]
        #[command(name = "x")]
        struct Arguments {
            #[command(flatten)]
            more: More,
        }
        #[server(tcp)]
        struct Inner;
        Arguments::parse_from(words.split(' ')).run()
    }};
    let item = quote! {
        impl Shell {
            #[command("RUN")]
            fn run(&mut self, words: Rest) -> String #body
        }
    };
    let code = expand(quote!(tcp, lines), item).to_string();
    assert!(code.contains(&body.to_string()), "{code}");
    assert!(!code.contains("\"RUN\")]"), "{code}");
}

#[test]
fn packets_have_no_time_wait() {
    let said = judged(quote!(udp, reuse_address = true));
    assert_eq!(
        said,
        ["\"`reuse_address` does not fit `udp`; leave it out, it is for `tcp`\""]
    );
    assert!(judged(quote!(tcp, udp, reuse_address = false)).is_empty());
}
