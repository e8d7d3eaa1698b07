use super::*;

const ATTRIBUTE: Attribute = Attribute {
    name: "HttpHello",
    version: "1.2.3",
    model: "threading",
    fits: Some(&["max_connections", "timeout", "nodelay", "banner", "allow"]),
    written: &["timeout"],
};

fn declared() -> Options {
    Options::new()
        .addr("127.0.0.1:7007")
        .timeout(std::time::Duration::from_secs(30))
}

fn parsed(args: &[&str]) -> Result<Parsed, String> {
    let args = [&["hello"], args].concat();
    let declared = declared();
    parse(&ATTRIBUTE, &declared, &declared, args).map_err(|error| error.to_string())
}

fn setting(parsed: &Parsed, name: &str) -> (String, String) {
    let mut settings = parsed.settings.iter();
    let found = settings
        .find(|setting| setting.name == name)
        .expect("it fits");
    (found.value.clone(), found.origin.to_string())
}

fn refused(args: &[&str]) -> String {
    parsed(args).err().expect("it cannot work")
}

#[test]
fn without_arguments_the_attribute_decides() {
    let parsed = parsed(&[]).expect("nothing is wrong");
    let is = |value: &str, origin: &str| (value.to_owned(), origin.to_owned());
    assert_eq!(setting(&parsed, "timeout"), is("30s", "attribute"));
    assert_eq!(setting(&parsed, "max_connections"), is("1000", "default"));
    assert!(!parsed.options.explicit, "systemd's sockets are taken");
}

#[test]
fn flags_override_the_attribute() {
    let args = [
        "--timeout",
        "none",
        "--nodelay=false",
        "--banner",
        "busy\\r\\n",
        "--allow",
        "10.0.0.0/8,::1",
    ];
    let parsed = parsed(&args).expect("all fit");
    assert_eq!(parsed.options.timeout, None);
    assert!(!parsed.options.nodelay);
    assert_eq!(&parsed.options.banner[..], b"busy\r\n");
    assert_eq!(parsed.options.allow, ["10.0.0.0/8", "::1/128"]);
    assert_eq!(setting(&parsed, "timeout").1, "flag, --timeout");
}

#[test]
fn addresses_replace_the_attributes_own() {
    for args in [
        &["--addr", "localhost:1", "--addr", "unix:@a"][..],
        &["--addr", "localhost:1,unix:@a"],
        &["localhost:1", "unix:@a"],
        &["localhost:1", "--addr", "unix:@a"],
    ] {
        let parsed = parsed(args).expect("all are endpoints");
        assert_eq!(
            setting(&parsed, "addr").0,
            "localhost:1,unix:@a",
            "{args:?}"
        );
        assert!(parsed.options.explicit);
    }
}

#[test]
fn mistakes_name_the_flag_and_say_what_to_write() {
    assert!(refused(&["--timeout", "30"]).contains("'--timeout <DURATION>': write `30s`"));
    assert!(refused(&["--timeout", "0s"]).contains("write more than no time"));
    assert!(refused(&["--max-connections", "0"]).contains("write a whole number from 1"));
    assert!(refused(&["--allow", "10.0.0.0/33"]).contains("--allow"));
    assert!(refused(&["127.0.0.1"]).contains("has no port"));
    assert!(refused(&["--max-conections", "1"]).contains("'--max-connections'"));
    assert!(
        refused(&["--max-children", "1"]).contains("unexpected argument"),
        "it is no option of `threading`"
    );
}

#[test]
fn variables_begin_with_the_servers_name() {
    let flag = flags()
        .find(|flag| flag.name == "max_connections")
        .expect("it is one");
    assert_eq!(variable(&ATTRIBUTE, flag), "HTTP_HELLO_MAX_CONNECTIONS");
}

#[test]
fn the_help_says_what_this_server_has() {
    let mut command = command(&ATTRIBUTE, &declared()).term_width(0);
    let help = command.render_long_help().to_string();
    for line in [
        "--max-connections <NUMBER>",
        "[env: HTTP_HELLO_MAX_CONNECTIONS]",
        "How long a read or a write may wait (5 minutes), or `none` for ever. [this server: 30s]",
        "`read_line`, `read_until`",
    ] {
        assert!(help.contains(line), "{line} is not in {help}");
    }
}

/// What the attribute makes of these arguments.
#[cfg(all(feature = "admin", feature = "log", feature = "upgrade"))]
fn inspected(args: &str) -> sockserv_codegen::Inspection {
    let item = "impl Echo { fn handle<R: Request>(&mut self, request: &mut R) {} }";
    let (args, item) = (args.parse().expect("tokens"), item.parse().expect("tokens"));
    sockserv_codegen::inspect(args, item, std::path::Path::new(".")).expect("a server")
}

/// The attribute's table says what an option is, and so do the flags: neither has one that the other lacks, and both take
/// the same values.
#[cfg(all(feature = "admin", feature = "log", feature = "upgrade"))]
#[test]
fn flags_and_the_attribute_know_the_same_options() {
    let values = [
        "0",
        "1",
        "true",
        "\"0s\"",
        "\"30s\"",
        "\"8 KiB\"",
        "\"1 KiB/s\"",
    ];
    let mut known = vec![ADDR];
    for server in [
        "tcp, udp, threading",
        "unix, pool",
        "unix_datagram, forking",
        "tcp, prefork",
    ] {
        for setting in inspected(server).settings {
            if setting.name == "observer" {
                continue; // A type.
            }
            let flag = flags().find(|flag| flag.name == setting.name);
            let flag = flag.unwrap_or_else(|| panic!("`{}` has no flag", setting.name));
            known.push(flag.name);
            if ["TEXT", "NAME", "MODE"].contains(&flag.value) {
                continue; // A shell has no quotes that could make a difference, and no `0o`.
            }
            for value in values {
                let written = match setting.owner {
                    None => format!("{server}, {} = {value}", flag.name),
                    Some(model) => {
                        server.replace(model, &format!("{model}({} = {value})", flag.name))
                    }
                };
                let mistakes = inspected(&written).mistakes;
                let set = (flag.set)(&mut Options::new(), value.trim_matches('"'));
                assert_eq!(
                    set.is_ok(),
                    mistakes.is_empty(),
                    "{written}: {set:?}, {mistakes:?}"
                );
            }
        }
    }
    for flag in flags() {
        assert!(
            known.contains(&flag.name),
            "the attribute has no `{}`",
            flag.name
        );
    }
}

/// Whatever the attribute is made of, `from_args` is there; it is not called, because it reads the test's own arguments.
mod every_server_has_it {
    use crate::prelude::*;

    #[derive(Clone)]
    struct Session<S>(S);

    #[server(tcp, threading)]
    impl<S: Clone + Send + 'static> Session<S> {
        fn handle(&mut self, _: &mut Stream) {}
    }

    #[derive(Clone)]
    struct Packets;

    #[server(udp, prefork(workers = 2), addr = "127.0.0.1:0", name = Both)]
    impl Packets {
        fn handle(&mut self, _: &mut Datagram) {}
    }

    #[test]
    fn also_a_generic_one() {
        let _: fn(Session<u8>) -> io::Result<SessionServer<u8>> = SessionServer::from_args;
        let _: fn(Packets) -> io::Result<Both> = Both::from_args;
        let attribute = <Packets as crate::Declaration>::attribute();
        assert_eq!((attribute.name, attribute.model), ("Both", "prefork"));
        assert_eq!(attribute.written, ["addr", "workers"]);
        let fits = attribute.fits.expect("it is known");
        assert!(fits.contains(&"max_requests") && fits.contains(&"only_v6"));
        assert!(!fits.contains(&"backlog") && !fits.contains(&"queue"));
        let attribute = <Session<u8> as crate::Declaration>::attribute();
        assert_eq!((attribute.name, attribute.written.len()), ("Session", 0));
    }
}

#[cfg(feature = "admin")]
mod beside_an_admin_endpoint {
    use crate::prelude::*;
    use crate::{Declaration, cli};

    #[derive(Clone)]
    struct Echo;

    #[server(tcp, threading, addr = "127.0.0.1:7007", lame_duck = "6s")]
    impl Echo {
        fn handle(&mut self, _: &mut Stream) {}
    }

    #[test]
    fn what_is_printed_asks_it_whether_the_server_is_ready() {
        let _: fn(Echo) -> io::Result<EchoServer> = EchoServer::from_args;
        let (attribute, options) = (Echo::attribute(), Echo::options());
        let printed = |wish: cli::Wish, args: &[&str]| {
            let args = [&["echo"], args].concat();
            let parsed = cli::parse(&attribute, &options, &options, args).expect("they fit");
            wish.answer::<Echo>(&attribute, &parsed)
                .expect("it has a port")
        };
        let public = ["--admin-public", "0.0.0.0:9100"];
        let haproxy = printed(cli::Wish::Haproxy, &public);
        assert!(
            haproxy.contains("option httpchk GET /readyz\n"),
            "{haproxy}"
        );
        assert!(
            haproxy.contains("check port 9100 inter 2000ms fall 2"),
            "{haproxy}"
        );
        let kubernetes = printed(cli::Wish::Kubernetes, &public);
        assert!(
            kubernetes.contains("httpGet: {path: /readyz, port: 9100}"),
            "{kubernetes}"
        );
        assert!(
            kubernetes.contains("\"--admin-public=0.0.0.0:9100\""),
            "{kubernetes}"
        );
        let alone = printed(cli::Wish::Haproxy, &["--admin", "127.0.0.1:9100"]);
        assert!(!alone.contains("readyz"), "nobody else may ask it: {alone}");
    }

    #[test]
    fn the_page_on_deploying_shows_what_is_printed() {
        let (attribute, options) = (Echo::attribute(), Echo::options());
        let args = ["--admin-public=0.0.0.0:9100", "--max-connections=500"];
        let args = [&["echod", "0.0.0.0:7007"], &args[..]].concat();
        let parsed = cli::parse(&attribute, &options, &options, args).expect("they fit");
        let program = std::env::current_exe().expect("this test");
        let name = program.file_name().and_then(|name| name.to_str());
        let page = include_str!("../guide/deploying.md");
        for wish in cli::Wish::ALL.into_iter().skip(1) {
            let printed = wish.answer::<Echo>(&attribute, &parsed);
            let printed = printed
                .expect("it has a port")
                .replace(&program.display().to_string(), "/usr/local/bin/echod")
                .replace(name.expect("text"), "echod")
                .replace(env!("CARGO_PKG_VERSION"), "1.0.0");
            assert!(
                page.contains(&format!("```text\n{printed}```\n")),
                "{printed}"
            );
        }
    }
}
