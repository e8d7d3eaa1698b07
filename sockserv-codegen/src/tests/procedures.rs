//! `rpc = "..."`: what the file and the methods have to do with each other.

use proc_macro2::TokenStream;
use quote::quote;

use super::{expansion, messages, parsed};

const FILE: &str = "src/tests/procedures.x";

fn said(item: TokenStream) -> Vec<String> {
    let said = messages(quote!(tcp, udp, rpc = #FILE), item);
    said.iter()
        .map(|one| one.trim_matches('"').to_owned())
        .collect()
}

#[test]
fn procedures_take_the_place_of_handle() {
    let item = quote! {
        impl Counter {
            fn setup(&mut self, stream: &mut Stream) {}
            fn up(&mut self, by: i32) -> i32 { by }
            fn name(&mut self, who: &Who, call: &Call) -> String { String::new() }
            fn r#type(&mut self) {}
        }
    };
    assert_eq!(messages(quote!(tcp, rpc = #FILE), item.clone()), [""; 0]);
    let code = expansion(quote!(tcp, rpc = #FILE), &item);
    for part in [
        quote!(::sockserv::__private::serve_messages(self, request)),
        quote!(mod procedures),
        quote!(::core::include_bytes!(
            ::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), "/", #FILE)
        )),
        quote!(impl procedures::CounterV1 for Counter),
        quote!(::into_results(Self::up(self, argument_0))),
        quote!(::into_results(Self::name(self, &argument_0, call))),
        quote!(::into_results(Self::r#type(self))),
        quote!(&[::sockserv::__private::Program {
            number: 99u32,
            versions: &[1u32]
        }]),
        quote!((99u32, 1u32) => procedures::call_counter_v1(self, call, arguments, results),),
    ] {
        assert!(code.contains(&part.to_string()), "no `{part}` in {code}");
    }
}

#[test]
fn each_procedure_has_a_method() {
    let said = said(quote! {
        impl Counter {
            fn upp(&mut self, by: i32) -> i32 { by }
            fn name(&mut self) -> String { String::new() }
            fn handle(&mut self, stream: &mut Stream) {}
        }
    });
    let wanted = [
        "`upp` is no procedure; did you mean `fn up(&mut self, argument: i32) -> i32`?",
        "`name` has another signature; write `fn name(&mut self, argument: procedures::Who) -> String`",
        "the procedure `TYPE` is missing; write `fn r#type(&mut self)`",
        "`rpc` reads the requests and calls the procedures; leave out `handle`",
    ];
    assert_eq!(said, wanted);
}

#[test]
fn a_file_that_is_not_there() {
    let said = messages(quote!(tcp, rpc = "no such file.x"), quote!(impl Counter {}));
    let [said] = &*said else { panic!("{said:?}") };
    assert!(
        said.starts_with("\"cannot read `") && said.contains("no such file.x`: "),
        "{said}"
    );
}

#[test]
fn a_file_that_is_wrong_names_its_lines() {
    let args = quote!(tcp, rpc = "src/tests/wrong.x");
    let said = messages(args, quote!(impl Counter {}));
    let wanted = [
        "\"`src/tests/wrong.x`, line 2: `whoo` is no type; did you mean `who`?\"",
        "\"`src/tests/wrong.x`, line 2: the file has no program; write `program NAME { version ... } = 0x20000001;`\"",
    ];
    assert_eq!(said, wanted);
}

#[test]
fn a_struct_has_its_traits_by_hand() {
    let item = quote!(
        struct Counter;
    );
    let code = expansion(quote!(tcp, udp, rpc = #FILE), &item);
    assert!(
        code.contains("serve_messages") && code.contains("serve_packet"),
        "{code}"
    );
    assert!(
        code.contains("pub trait CounterV1") && !code.contains("CounterV1 for Counter"),
        "{code}"
    );
}

/// What is said about procedures without a file.
fn by_hand(args: &str, methods: &str) -> Vec<String> {
    let (args, methods) = (parsed(args), parsed(methods));
    let said = messages(quote!(tcp, #args), quote!(impl Counter { #methods }));
    said.iter()
        .map(|one| one.trim_matches('"').replace("\\\"", "\""))
        .collect()
}

const GOOD: &str = "rpc(program = 0x2000_0001, version = 1)";

#[test]
fn procedures_by_hand_belong_to_a_program() {
    let up = "#[procedure(1)] fn up(&mut self, by: i32) -> i32 {}";
    assert_eq!(by_hand(GOOD, up), [""; 0]);
    let needed = "`rpc` needs a file, or a program and a version; write `rpc = \"interface.x\"` or `rpc(program = 0x20000001, version = 1)`";
    assert_eq!(by_hand("rpc(program = 1)", up), [needed]);
    assert_eq!(by_hand("rpc()", up), [needed]);
}

#[test]
#[rustfmt::skip]
fn procedures_by_hand_have_numbers_of_their_own() {
    for (methods, wanted) in [
        ("fn up(&mut self) {}",
         "`rpc` calls methods by their numbers, and there is none; write `#[procedure(1)]` on a method"),
        ("#[procedure] fn up(&mut self) {}",
         "a procedure is called by its number; write `#[procedure(1)]`"),
        ("#[procedure(\"UP\")] fn up(&mut self) {}",
         "a procedure's number has 32 bits; write `#[procedure(1)]`"),
        ("#[procedure(0x1_0000_0000)] fn up(&mut self) {}",
         "a procedure's number has 32 bits; write `#[procedure(1)]`"),
        ("#[procedure(0)] fn up(&mut self) {}",
         "procedure 0 does nothing in every program, and is answered already; write another number"),
        ("#[procedure(1)] #[procedure(2)] fn up(&mut self) {}",
         "a method has one `#[procedure(...)]`; write all its numbers into one"),
        ("#[procedure(1)] fn up(&mut self) {} #[procedure(2, 1)] fn down(&mut self) {}",
         "procedure 1 is another method already; keep one"),
        ("#[procedure(1)] fn up(by: i32) -> i32 {}",
         "a procedure is a method of its handler; write `fn up(&mut self, argument: i32) -> i32`"),
    ] {
        assert_eq!(by_hand(GOOD, methods), [wanted]);
    }
}
