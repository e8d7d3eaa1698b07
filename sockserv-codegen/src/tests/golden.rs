//! What the attribute generates, whole.

use proc_macro2::TokenStream;
use quote::quote;

use super::echo;
use crate::expand;

/// Compares as text, so that a difference can be read.
fn assert_tokens(left: TokenStream, right: TokenStream) {
    let lines = |tokens: TokenStream| {
        let text = tokens.to_string().replace(' ', "");
        text.replace(';', ";\n")
            .replace('{', "{\n")
            .replace('}', "}\n")
    };
    let (left, right) = (lines(left), lines(right));
    let (left, right): (Vec<_>, Vec<_>) = (left.lines().collect(), right.lines().collect());
    let left = without_command_line(left);
    for (left, right) in left.iter().zip(&right) {
        assert_eq!(left, right);
    }
    assert_eq!(left.len(), right.len());
}

/// Leaves out what the feature `cli` adds to every server.
fn without_command_line(lines: Vec<&str>) -> Vec<&str> {
    let (mut left, mut skip) = (lines, 0_u32);
    left.retain(|line| {
        if line.starts_with("fnattribute()") {
            skip = 4;
        } else if line.contains("pubfnfrom_args(") {
            skip = 2;
        }
        let is_left = skip == 0;
        skip = skip.saturating_sub(1);
        is_left
    });
    left
}

#[test]
#[allow(clippy::too_many_lines, reason = "one whole expansion")]
fn an_impl_declares_forwards_and_gets_a_server() {
    let item = echo(&quote!(Stream));
    let expansion = expand(
        quote!(
            tcp,
            threading(max = 8),
            addr = "127.0.0.1:7007",
            timeout = "30s",
            nodelay = false
        ),
        item.clone(),
    );
    let server = server_of_echo(
        &quote!(),
        &quote! {
            /// Binds and activates at the attribute's addresses, or takes the sockets that systemd handed over.
            pub fn bind(handler: Echo) -> ::std::io::Result<Self> {
                ::sockserv::__private::Server::bind(handler).map(<Self as ::core::convert::From<_>>::from)
            }
        },
    );
    assert_tokens(
        expansion,
        quote! {
            #item
            #[automatically_derived]
            impl ::sockserv::__private::Declaration for Echo {
                type Transport = ::sockserv::__private::Tcp;
                type Model = ::sockserv::__private::Threading;
                fn options() -> ::sockserv::__private::Options {
                    ::sockserv::__private::Options::new()
                        .addr("127.0.0.1:7007")
                        .timeout(::core::time::Duration::from_nanos(30000000000u64))
                        .nodelay(false)
                        .max(8usize)
                }
                fn hooks() -> ::sockserv::__private::HookTable<Self> {
                    use ::sockserv::__private::NoHooks as _;
                    (&::sockserv::__private::HookProbe::<Self>::new()).table()
                }
                fn model() -> ::core::option::Option<::sockserv::__private::Threading> {
                    use ::sockserv::__private::NoDefault as _;
                    (&::sockserv::__private::DefaultProbe::<::sockserv::__private::Threading>::new()).make()
                }
            }
            #[automatically_derived]
            impl ::sockserv::__private::StreamHandler for Echo {
                fn handle(&mut self, request: &mut ::sockserv::__private::Stream) -> ::sockserv::__private::Outcome {
                    ::sockserv::__private::IntoOutcome::into_outcome(Self::handle(self, request))
                }
            }
            #server
        },
    );
}

#[test]
fn a_struct_declares_and_gets_a_server_as_visible_as_itself() {
    let item = quote!(
        pub(crate) struct Echo;
    );
    let expansion = expand(quote!(udp), item.clone());
    let server = server_of_echo(
        &quote!(pub(crate)),
        &quote! {
            #[doc(hidden)]
            pub fn bind<__SockservHandler: ::sockserv::__private::NoAddr>(_: __SockservHandler) -> ::std::io::Result<Self> {
                ::core::result::Result::Err(<::std::io::Error as ::core::convert::From<_>>::from(::std::io::ErrorKind::AddrNotAvailable))
            }
        },
    );
    assert_tokens(
        expansion,
        quote! {
            #item
            #[automatically_derived]
            impl ::sockserv::__private::Declaration for Echo {
                type Transport = ::sockserv::__private::Udp;
                type Model = ::sockserv::__private::Synchronous;
                fn options() -> ::sockserv::__private::Options {
                    ::sockserv::__private::Options::new()
                }
                fn hooks() -> ::sockserv::__private::HookTable<Self> {
                    use ::sockserv::__private::NoHooks as _;
                    (&::sockserv::__private::HookProbe::<Self>::new()).table()
                }
                fn model() -> ::core::option::Option<::sockserv::__private::Synchronous> {
                    use ::sockserv::__private::NoDefault as _;
                    (&::sockserv::__private::DefaultProbe::<::sockserv::__private::Synchronous>::new()).make()
                }
            }
            #server
        },
    );
}

#[test]
#[allow(clippy::too_many_lines, reason = "one whole declaration")]
fn pool_declares_its_options_and_runs_worker_start() {
    let item = quote! {
        impl Echo {
            fn handle(&mut self, request: &mut Stream) {}
            fn worker_start(&mut self, worker: usize) -> io::Result<()> { Ok(()) }
        }
    };
    let args = quote!(
        tcp,
        pool(
            workers = 8,
            queue = 64,
            stack_size = "256 KiB",
            speaks_first
        ),
        max_connections_per_peer = 20,
        accept_rate = 100,
        on_full = "refuse",
        banner = b"421 busy\r\n",
        allow = "10.0.0.0/8",
        deny = ["10.1.0.0/16", LAN],
        min_rate = "1 KiB/s",
        lame_duck = "5s",
        observer = Counts,
    );
    let code = expand(args, item).to_string();
    for part in [
        quote! {
            type Model = ::sockserv::__private::Pool<Self>;
            fn options() -> ::sockserv::__private::Options {
                ::sockserv::__private::Options::new()
                    .max_connections_per_peer(20usize)
                    .accept_rate(100u32)
                    .on_full(::sockserv::__private::OnFull::Refuse)
                    .banner({ let value: &'static [u8] = b"421 busy\r\n"; value })
                    .allow(["10.0.0.0/8"])
                    .deny(["10.1.0.0/16", LAN])
                    .min_rate(1024u64)
                    .lame_duck(::core::time::Duration::from_nanos(5000000000u64))
                    .observer(<Counts as ::core::default::Default>::default())
                    .workers(8usize)
                    .queue(64usize)
                    .stack_size(262144usize)
                    .speaks_first(true)
            }
        },
        quote! {
            impl ::sockserv::__private::Hooks for Echo {
                fn worker_start(&mut self, value_0: usize) -> ::std::io::Result<()> { Self::worker_start(self, value_0) }
            }
        },
        quote! {
            pub fn spawn(self) -> ::std::io::Result<::sockserv::__private::Running>
            where
                for<'__sockserv> Echo: ::core::marker::Send + 'static,
        },
    ] {
        assert_contains(&code, &part);
    }
}

#[test]
fn prefork_declares_its_options_and_cannot_be_spawned() {
    let args = quote!(
        unix,
        prefork(workers = 4, accept = "shared", max_requests = 1000),
        addr = "unix:/run/echo.sock",
        banner = "busy",
        on_full = "refuse",
        owner = "www-data",
        group = 33,
    );
    let code = expand(args, echo(&quote!(Stream))).to_string();
    for part in [
        quote! {
            type Model = ::sockserv::__private::Prefork;
            fn options() -> ::sockserv::__private::Options {
                ::sockserv::__private::Options::new()
                    .addr("unix:/run/echo.sock")
                    .banner("busy")
                    .on_full(::sockserv::__private::OnFull::Refuse)
                    .owner("www-data")
                    .group("33")
                    .workers(4usize)
                    .accept(::sockserv::__private::Accept::Shared)
                    .max_requests(1000u64)
            }
        },
        quote!(for<'__sockserv> ::sockserv::__private::Prefork: ::sockserv::__private::Spawnable),
    ] {
        assert_contains(&code, &part);
    }
}

/// Compares without the spaces, which differ between tokens that were quoted and tokens that were spanned.
fn assert_contains(code: &str, part: &TokenStream) {
    let (code, part) = (code.replace(' ', ""), part.to_string().replace(' ', ""));
    assert!(code.contains(&part), "no {part} in {code}");
}

fn server_of_echo(vis: &TokenStream, bind: &TokenStream) -> TokenStream {
    let conversions = conversions_of_echo();
    quote! {
        #[doc = "The server that `#[server]` makes of `Echo`."]
        #vis struct EchoServer {
            server: ::sockserv::__private::Server<Echo>,
        }
        #[automatically_derived]
        impl EchoServer {
            #bind
            /// Binds and activates somewhere else than the attribute says.
            pub fn bind_to<__SockservAt>(at: __SockservAt, handler: Echo) -> ::std::io::Result<Self>
            where
                __SockservAt: ::core::convert::TryInto<::sockserv::__private::Endpoint>,
                __SockservAt::Error: ::core::convert::Into<
                    ::std::boxed::Box<dyn ::core::error::Error + ::core::marker::Send + ::core::marker::Sync>
                >,
            {
                ::sockserv::__private::Server::bind_to(at, handler).map(<Self as ::core::convert::From<_>>::from)
            }
            /// Starts from the attribute's options, for values known at run time.
            pub fn builder(handler: Echo) -> ::sockserv::__private::Builder<Echo, Self> {
                ::sockserv::__private::Builder::new(handler)
            }
            /// Serves until a signal or a shutdown, announcing each listener.
            pub fn run(self) -> ::std::io::Result<()> {
                self.server.run()
            }
            /// Serves in a background thread.
            pub fn spawn(self) -> ::std::io::Result<::sockserv::__private::Running>
            where
                for<'__sockserv> Echo: ::core::marker::Send + 'static,
            {
                self.server.spawn()
            }
        }
        #conversions
    }
}

fn conversions_of_echo() -> TokenStream {
    quote! {
        #[automatically_derived]
        impl ::core::convert::From<::sockserv::__private::Server<Echo>> for EchoServer {
            fn from(server: ::sockserv::__private::Server<Echo>) -> Self { Self { server } }
        }
        #[automatically_derived]
        impl ::core::ops::Deref for EchoServer {
            type Target = ::sockserv::__private::Server<Echo>;
            fn deref(&self) -> &::sockserv::__private::Server<Echo> { &self.server }
        }
        #[automatically_derived]
        impl ::core::ops::DerefMut for EchoServer {
            fn deref_mut(&mut self) -> &mut ::sockserv::__private::Server<Echo> { &mut self.server }
        }
        #[automatically_derived]
        impl ::sockserv::__private::Serve for EchoServer {
            type Server = ::sockserv::__private::Server<Echo>;
            fn into_server(self) -> ::sockserv::__private::Server<Echo> { self.server }
        }
        #[automatically_derived]
        impl ::core::fmt::Debug for EchoServer {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result { ::core::fmt::Debug::fmt(&self.server, f) }
        }
        #[automatically_derived]
        impl ::std::os::fd::AsFd for EchoServer {
            fn as_fd(&self) -> ::std::os::fd::BorrowedFd<'_> { ::std::os::fd::AsFd::as_fd(&self.server) }
        }
        #[automatically_derived]
        impl ::std::os::fd::AsRawFd for EchoServer {
            fn as_raw_fd(&self) -> ::std::os::fd::RawFd { ::std::os::fd::AsRawFd::as_raw_fd(&self.server) }
        }
    }
}

#[cfg(feature = "cli")]
#[test]
fn the_feature_cli_adds_the_attributes_words_and_from_args() {
    let code = expand(
        quote!(udp, addr = "127.0.0.1:0", timeout = "1s"),
        echo(&quote!(Datagram)),
    );
    let code = code.to_string().replace(' ', "");
    for part in [
        "Attribute{name:\"Echo\",version:",
        "model:\"sync\",fits:::core::option::Option::Some(&[\"max_connections\",",
        "written:&[\"addr\",\"timeout\"],}",
        "pubfnfrom_args(handler:Echo)->::std::io::Result<Self>{::sockserv::__private::Builder::new(handler).args()?.bind()}",
    ] {
        assert!(code.contains(part), "{part} is not in {code}");
    }
    assert!(!code.contains("\"backlog\""), "it does not fit `udp`");
}
