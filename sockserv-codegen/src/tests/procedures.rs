//! `rpc = "..."`: what the file and the methods have to do with each other.

use proc_macro2::TokenStream;
use quote::quote;

use super::{expansion, messages};

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
        "`rpc` reads the calls and calls the procedures; leave out `handle`",
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
