//! Every option as a flag: its name, what its documentation says, how its value is read, set and shown.

use std::time::Duration;

use bytes::Bytes;

use crate::address::{Endpoint, EndpointError};
use crate::cli::values::{Mode, Number, Plain, Rate, Size, Time, Written};
use crate::limits::network::{Network, NetworkError};
use crate::options::{Accept, OnFull, Options, for_each_option};

/// The word that takes an option's value away.
const NONE: &str = "none";

/// One option.
pub(super) struct Flag {
    pub(super) name: &'static str,
    /// The lines of the builder's documentation.
    doc: &'static [&'static str],
    /// What stands for a value in the help.
    pub(super) value: &'static str,
    /// Whether there may be several values.
    pub(super) many: bool,
    /// Takes away what was set before, where values add up.
    pub(super) clear: fn(&mut Options),
    /// Reads a value and sets it.
    pub(super) set: fn(&mut Options, &str) -> Result<(), String>,
    /// Returns what is set.
    pub(super) show: fn(&Options) -> String,
}

macro_rules! flags {
    ($($(#[doc = $doc:literal])* $(#[cfg(feature = $feature:literal)])? $kind:ident $name:ident: $ty:ident;)*) => {
        /// Those that have one value, in the order of the builder.
        const SINGLE: &[Flag] = &[$(
            $(#[cfg(feature = $feature)])?
            Flag {
                name: stringify!($name),
                doc: &[$($doc),*],
                value: <flags!(@written $name $ty) as Written<$ty>>::NAME,
                many: false,
                clear: |_| (),
                set: |options, text| flags!(@set $kind options text $name $ty),
                show: |options| flags!(@show $kind options $name $ty),
            },
        )*];
    };
    (@written backlog $ty:ident) => { Number<0> };
    (@written rbufsize $ty:ident) => { Size<0> };
    (@written wbufsize $ty:ident) => { Size<0> };
    (@written max_line $ty:ident) => { Size<1> };
    (@written max_packet_size $ty:ident) => { Size<1> };
    (@written stack_size $ty:ident) => { Size<1> };
    (@written min_rate $ty:ident) => { Rate };
    (@written mode $ty:ident) => { Mode };
    (@written accept_timeout $ty:ident) => { Time<0> };
    (@written shutdown_grace $ty:ident) => { Time<0> };
    (@written lame_duck $ty:ident) => { Time<0> };
    (@written $name:ident Duration) => { Time<1> };
    (@written $name:ident usize) => { Number<1> };
    (@written $name:ident u64) => { Number<1> };
    (@written $name:ident u32) => { Number<1> };
    (@written $name:ident $ty:ident) => { Plain };
    (@set optional $options:ident $text:ident $name:ident $ty:ident) => {{
        $options.$name = match $text {
            NONE => None,
            text => Some(<flags!(@written $name $ty) as Written<$ty>>::read(text)
                .map_err(|error| format!("{error}, or `none`"))?),
        };
        Ok(())
    }};
    (@set plain $options:ident $text:ident $name:ident $ty:ident) => {{
        $options.$name = <flags!(@written $name $ty) as Written<$ty>>::read($text)?;
        Ok(())
    }};
    (@set into $options:ident $text:ident $name:ident $ty:ident) => {
        flags!(@set plain $options $text $name $ty)
    };
    (@set $kind:ident $options:ident $text:ident $name:ident $ty:ident) => {{
        $options.$name = Some(<flags!(@written $name $ty) as Written<$ty>>::read($text)?);
        Ok(())
    }};
    (@show plain $options:ident $name:ident $ty:ident) => {
        <flags!(@written $name $ty) as Written<$ty>>::show(&$options.$name)
    };
    (@show into $options:ident $name:ident $ty:ident) => {
        flags!(@show plain $options $name $ty)
    };
    (@show $kind:ident $options:ident $name:ident $ty:ident) => {
        $options.$name.as_ref().map_or_else(|| NONE.to_owned(), <flags!(@written $name $ty) as Written<$ty>>::show)
    };
}
for_each_option!(flags);

/// Those whose values add up.
const MANY: &[Flag] = &[
    Flag {
        name: "addr",
        doc: &[
            "Sets where to listen: `127.0.0.1:7007`, `[::1]:7007`, `localhost:7007`, `unix:/run/x.sock`, `systemd:NAME`, `inetd`.",
        ],
        value: "ADDR",
        many: true,
        clear: |options| {
            options.explicit = true;
            options.endpoints.clear();
        },
        set: |options, text| endpoint(&mut options.endpoints, text),
        show: |options| {
            let endpoints = options.endpoints.iter().flatten();
            list(endpoints.map(ToString::to_string))
        },
    },
    Flag {
        name: "allow",
        doc: &["Sets the networks whose peers are served (all): `10.0.0.0/8`."],
        value: "NETWORK",
        many: true,
        clear: |options| options.allow.clear(),
        set: |options, text| network(&mut options.allow, text),
        show: |options| list(options.allow.iter().cloned()),
    },
    Flag {
        name: "deny",
        doc: &["Sets the networks whose peers are refused (none)."],
        value: "NETWORK",
        many: true,
        clear: |options| options.deny.clear(),
        set: |options, text| network(&mut options.deny, text),
        show: |options| list(options.deny.iter().cloned()),
    },
    #[cfg(feature = "admin")]
    Flag {
        name: "admin",
        doc: &[
            "Sets where the operator's endpoint listens, on this machine alone (nowhere): `127.0.0.1:9100`.",
        ],
        value: "ADDR",
        many: true,
        clear: |options| options.admin.private.clear(),
        set: |options, text| endpoint(&mut options.admin.private, text),
        show: |options| {
            list(
                options
                    .admin
                    .private
                    .iter()
                    .flatten()
                    .map(ToString::to_string),
            )
        },
    },
    #[cfg(feature = "admin")]
    Flag {
        name: "admin_public",
        doc: &[
            "Sets where the operator's endpoint answers other machines, too (nowhere): `10.0.0.1:9100`.",
        ],
        value: "ADDR",
        many: true,
        clear: |options| options.admin.public.clear(),
        set: |options, text| endpoint(&mut options.admin.public, text),
        show: |options| {
            list(
                options
                    .admin
                    .public
                    .iter()
                    .flatten()
                    .map(ToString::to_string),
            )
        },
    },
];

fn endpoint(
    endpoints: &mut Vec<Result<Endpoint, EndpointError>>,
    text: &str,
) -> Result<(), String> {
    let endpoint: Endpoint = text
        .parse()
        .map_err(|error: EndpointError| error.to_string())?;
    endpoints.push(Ok(endpoint));
    Ok(())
}

fn network(networks: &mut Vec<String>, text: &str) -> Result<(), String> {
    let network: Network = text
        .parse()
        .map_err(|error: NetworkError| error.to_string())?;
    networks.push(network.to_string());
    Ok(())
}

fn list(values: impl Iterator<Item = String>) -> String {
    let values: Vec<_> = values.collect();
    match values.is_empty() {
        true => NONE.to_owned(),
        false => values.join(","),
    }
}

/// All options.
pub(super) fn flags() -> impl Iterator<Item = &'static Flag> {
    MANY.iter().chain(SINGLE)
}

/// The one that may also stand without its name.
pub(super) fn addr() -> &'static Flag {
    &MANY[0]
}

impl Flag {
    /// Returns the flag as it is written, without its dashes.
    pub(super) fn long(&self) -> String {
        self.name.replace('_', "-")
    }

    /// Returns what the documentation says of the option, for a terminal: its first paragraph, and all of it.
    pub(super) fn help(&self) -> (String, String) {
        let text = self.doc.iter().map(|line| line.trim()).collect::<Vec<_>>();
        let text = text.join("\n");
        let mut paragraphs = text
            .split("\n\n")
            .map(|lines| plain(&lines.replace('\n', " ")));
        let first = paragraphs.next().unwrap_or_default();
        let first = match first.strip_prefix("Sets ") {
            Some(rest) => capitalised(rest),
            None => first,
        };
        let all = std::iter::once(first.clone()).chain(paragraphs);
        let all = all.collect::<Vec<_>>().join("\n\n");
        (first, all)
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}

/// Takes links and Rust's words out of a paragraph of documentation.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("](") {
        let (start, word) = before.rsplit_once('[').unwrap_or((before, ""));
        plain.extend([start, word]);
        rest = behind.split_once(')').map_or("", |(_, rest)| rest);
    }
    plain.push_str(rest);
    plain.replace("`None`", "`none`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_has_help_and_reads_what_it_shows() {
        for flag in flags() {
            let (first, all) = flag.help();
            assert!(
                first.ends_with(['.', ')']) && all.starts_with(&first),
                "{first}"
            );
            assert!(!all.contains("](") && !first.starts_with("Sets"), "{all}");
            let mut options = Options::new();
            let shown = (flag.show)(&options);
            let result = (flag.set)(&mut options, &shown);
            let has_value = shown != NONE;
            assert!(result.is_ok() || !has_value, "{}: {result:?}", flag.name);
            assert!(
                !has_value || (flag.show)(&options) == shown,
                "{}",
                flag.name
            );
        }
    }

    #[test]
    fn documentation_becomes_help() {
        let flag = |name| flags().find(|flag| flag.name == name).expect("an option");
        let (first, _) = flag("backlog").help();
        assert_eq!(
            first,
            "How many connections the kernel may queue (4096; capped by `net.core.somaxconn`)."
        );
        let (_, all) = flag("min_rate").help();
        assert!(all.contains("nor what a half of a stream reads"), "{all}");
    }
}
