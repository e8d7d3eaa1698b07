//! Framings: their rows of the table, and what they expand to.

use proc_macro2::TokenStream;
use quote::quote;

use super::{expansion, messages, parsed};
use crate::expand;
use crate::options::{Framing, Kind, OPTIONS, Owner, Rule, Transport};

fn echo() -> TokenStream {
    quote! { impl Echo { fn message(&mut self, message: Bytes, replies: &mut Replies) {} } }
}

fn judged(args: &str) -> Vec<String> {
    messages(parsed(args), echo())
}

/// Returns the framing as it is written with this between its parentheses.
fn written(framing: Framing, options: &str) -> String {
    let entries: Vec<_> = framing.first().into_iter().chain([options]).collect();
    format!("{}({})", framing.word(), entries.join(", "))
}

fn rows() -> impl Iterator<Item = (&'static Rule, Framing)> {
    OPTIONS.iter().filter_map(|rule| match rule.owner {
        Owner::Framing(framing) => Some((rule, framing)),
        _ => None,
    })
}

#[test]
fn every_framing_fits_every_transport() {
    for framing in Framing::ALL {
        for transport in Transport::ALL {
            let args = format!("{}, {}", transport.word(), framing.example());
            assert_eq!(judged(&args), [""; 0], "{args}");
            let code = expansion(parsed(&args), &echo());
            let codec = format!(
                "type Codec = :: sockserv :: __private :: {} ;",
                framing.type_name()
            );
            assert!(code.contains(&codec), "{args}: {code}");
        }
    }
}

#[test]
fn every_row_fits_exactly_its_framings() {
    for (rule, owner) in rows() {
        let option = format!("{} = {}", rule.name, rule.example);
        let said = judged(&format!("tcp, {}", written(owner, &option)));
        assert_eq!(said, [""; 0], "{option} {owner:?}");
        for framing in Framing::ALL {
            let said = judged(&format!("tcp, {}", written(framing, &option)));
            let owned = Rule::of_framings(rule.name).any(|(owner, _)| owner == framing);
            let unknown = said.iter().any(|message| message.contains("option"));
            assert_eq!(!unknown, owned, "{option} {framing:?}: {said:?}");
        }
        let outside = judged(&format!("tcp, lines, {option}"));
        assert_eq!(outside.len(), 1, "{option}: {outside:?}");
    }
}

#[test]
fn expressions_are_left_to_the_compiler() {
    for (rule, framing) in rows() {
        for value in ["LIMIT", "limit()", "some::path::LIMIT", "LIMIT * 2"] {
            let option = format!("{} = {value}", rule.name);
            let args = format!("tcp, {}", written(framing, &option));
            assert_eq!(judged(&args), [""; 0], "{args}");
        }
    }
    for args in [
        "tcp, delimited(END)",
        "tcp, fixed(SIZE)",
        "tcp, fixed(2 * SIZE)",
        "tcp, codec = a::Codec<B, C>",
    ] {
        assert_eq!(judged(args), [""; 0], "{args}");
    }
}

/// `max` is what the constructor takes, and so no setter.
#[test]
fn options_stand_where_the_runtime_takes_them() {
    for (rule, framing) in rows().filter(|(rule, _)| rule.name != "max") {
        let option = format!("{} = {}", rule.name, rule.example);
        let code = expansion(
            parsed(&format!("tcp, {}", written(framing, &option))),
            &echo(),
        );
        assert!(
            code.contains(&format!(". {} (", rule.name)),
            "{option}: {code}"
        );
    }
    for (args, call) in [
        ("lines", "Lines :: new (8192usize)"),
        (
            "lines(max = \"1 KiB\", ending = any)",
            "Lines :: new (1024usize) . ending (:: sockserv :: __private :: Ending :: Any)",
        ),
        (
            "lines(ending = \"\\r\\n\")",
            ". ending (:: sockserv :: __private :: Ending :: CrLf)",
        ),
        ("delimited(b\"\\0\", max = 80)", "80usize)"),
        (
            "length_prefixed(u16_be)",
            "LengthPrefixed :: new (:: sockserv :: __private :: Width :: U16Be , 65535usize)",
        ),
        (
            "length_prefixed(u8, includes_itself)",
            "U8 , 254usize) . includes_itself (true)",
        ),
        ("length_prefixed(varint)", "Varint , 65536usize)"),
        ("fixed(\"1 KiB\")", "Fixed :: new (1024usize)"),
        ("record_marking(max = 7)", "RecordMarking :: new (7usize)"),
    ] {
        let code = expansion(parsed(&format!("tcp, {args}")), &echo());
        assert!(code.contains(call), "{args}: {code}");
    }
}

#[test]
fn the_servers_documentation_has_a_table_of_the_commands() {
    let item = quote! {
        impl Store {
            /// Returns a value,
            /// or none.
            ///
            /// More.
            #[command("GET", "FETCH A|B")]
            fn get(&mut self, key: &str, _part: Option<u8>) {}
            #[cfg(unix)]
            #[command("PING")]
            fn ping(&mut self) {}
        }
    };
    let code = expand(quote!(tcp, lines), item).to_string();
    for part in [
        quote!(#[doc = "| `GET key [part]`, `FETCH A\\|B` | Returns a value, or none. |"]),
        quote!(#[cfg_attr(all(unix), doc = "| `PING` |  |")]),
    ] {
        assert!(code.contains(&part.to_string()), "{part}\n{code}");
    }
}

#[test]
fn a_length_can_say_max() {
    for (width, limit) in [
        ("u8", 0xff_u64),
        ("u16_be", 0xffff),
        ("u16_le", 0xffff),
        ("u32_be", 0xffff_ffff),
        ("u32_le", 0xffff_ffff),
        ("varint", u64::MAX),
    ] {
        assert_eq!(
            judged(&format!("tcp, length_prefixed({width}, max = {limit})")),
            [""; 0],
            "{width}"
        );
        if let Some(over) = limit.checked_add(1) {
            let said = judged(&format!("tcp, length_prefixed({width}, max = {over})"));
            assert_eq!(said.len(), 1, "{width}: {said:?}");
            let said = judged(&format!(
                "tcp, length_prefixed({width}, max = {limit}, includes_itself)"
            ));
            assert_eq!(said.len(), 1, "{width}: {said:?}");
        }
    }
}

/// The rows hold whatever the value is; only flags may stand alone.
#[test]
fn only_a_flag_stands_alone() {
    for (rule, framing) in rows() {
        let said = judged(&format!("tcp, {}", written(framing, rule.name)));
        assert_eq!(
            said.is_empty(),
            rule.kind == Kind::Flag,
            "{} {framing:?}: {said:?}",
            rule.name
        );
    }
}
