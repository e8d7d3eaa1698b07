//! What the documentation of the attribute says about a word: the tables in `attribute.md`, and what stands in none.

use sockserv_codegen::Setting;

const ATTRIBUTE: &str = include_str!("attribute.md");

/// The options of models and framings: the default, but for framings, whose table has it, and what they mean.
const OWNED: &str = r#"
| threading(max) | as many as `max_connections` | how many requests may have a thread at once |
| threading(stack_size) | 2 MiB, or `RUST_MIN_STACK` | how much stack a thread may use |
| pool(workers) | 8 | how many threads there are |
| pool(queue) | 64 | how many requests may wait for one of them |
| pool(stack_size) | 2 MiB, or `RUST_MIN_STACK` | how much stack a thread may use |
| pool(speaks_first) | off | whether a connection gets a thread before its first byte, because the server greets |
| forking(max_children) | 40 | how many requests may have a process at once |
| prefork(workers) | 4 | how many processes there are |
| prefork(accept) | "shared" | whether they take from one socket, or each from its own |
| prefork(max_requests) | no limit | after how many requests a process is replaced |
| max | | how many bytes a message may have, without its framing |
| ending | | what ends a line |
| on_overflow | | what becomes of a message that is too long |
| includes_itself | | whether the length counts its own bytes, too |
"#;

pub(crate) fn transport(word: &str) -> &'static str {
    match word {
        "tcp" => "a byte stream over IP",
        "udp" => "packets over IP",
        "unix" => "a byte stream between processes of this machine",
        _ => "packets between processes of this machine",
    }
}

/// Where a request runs.
pub(crate) fn model(word: &str) -> Option<String> {
    row(word, 3).map(|cells| plain(cells[1]))
}

/// What a message is.
pub(crate) fn framing(word: &str) -> Option<String> {
    row(word, 3).map(|cells| plain(cells[1]))
}

pub(crate) fn word(word: &str) -> Option<String> {
    let sentence = match word {
        "listener" => "where requests come from, in place of a transport",
        "codec" => "a message is what a decoder of your own makes of the bytes",
        "opcode" => {
            "how the number is written that calls a method, and how many bytes of a message stand before it"
        }
        "ignore_case" => "whether the case of the verbs does not count",
        "quoting" => "whether a word in quotes may have spaces",
        _ => return row(word, 2).map(|cells| plain(cells[1])),
    };
    Some(sentence.to_owned())
}

pub(crate) fn option(setting: &Setting) -> Option<String> {
    match setting.owner {
        None => row(setting.name, 4).map(|cells| plain(cells[3])),
        Some(_) => owned(setting).map(|(_, sentence)| sentence.to_owned()),
    }
}

pub(crate) fn default(setting: &Setting) -> Option<String> {
    let Some(owner) = setting.owner else {
        return row(setting.name, 4).map(|cells| plain(cells[1]));
    };
    match owned(setting)? {
        ("", _) => {
            let (_, rest) = row(owner, 3)?[2].split_once(&format!("`{} = ", setting.name))?;
            rest.split_once('`').map(|(value, _)| value.to_owned())
        }
        (default, _) => Some(default.to_owned()),
    }
}

/// The default and the sentence.
fn owned(setting: &Setting) -> Option<(&'static str, &'static str)> {
    let of_model = format!("{}({})", setting.owner?, setting.name);
    let mut rows = rows(OWNED);
    let cells = rows.find(|cells| cells[0] == of_model || cells[0] == setting.name)?;
    Some((cells[1], cells[2]))
}

/// The cells of the row of a word, in a table of so many columns.
fn row(word: &str, columns: usize) -> Option<Vec<&'static str>> {
    rows(ATTRIBUTE).find(|cells| {
        let name = cells[0].trim_matches('`');
        cells.len() == columns && name.split('(').next() == Some(word)
    })
}

/// The cells of each row of all tables in a text.
fn rows(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    let rows = text
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix('|'));
    rows.map(|row| row.split('|').map(str::trim).collect())
}

/// Without links, which lead nowhere here.
fn plain(text: &str) -> String {
    let mut plain = text.to_owned();
    while let Some(middle) = plain.find("](") {
        let (Some(begin), Some(end)) = (plain[..middle].rfind('['), plain[middle..].find(')'))
        else {
            break;
        };
        plain.replace_range(middle..=middle + end, "");
        plain.remove(begin);
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Of every option, whatever it belongs to.
    #[test]
    fn every_setting_has_a_default_and_a_sentence() {
        let item = "impl Echo { fn message(&mut self, line: Bytes, replies: &mut Replies) {} }";
        for args in [
            "tcp, udp, threading, lines",
            "unix, unix_datagram, sync",
            "unix, pool, length_prefixed(u16_be)",
            "udp, forking, delimited(b\"x\")",
            "tcp, prefork, record_marking",
        ] {
            let server = sockserv_codegen::inspect(
                args.parse().unwrap(),
                item.parse().unwrap(),
                Path::new("."),
            )
            .unwrap();
            for setting in &server.settings {
                assert!(
                    option(setting).is_some_and(|text| !text.is_empty()),
                    "{setting:?}"
                );
                assert!(
                    default(setting).is_some_and(|text| !text.is_empty()),
                    "{setting:?}"
                );
            }
            assert!(
                server.model.is_none_or(|word| model(word).is_some()),
                "{args}"
            );
            assert!(
                server.framing.is_none_or(|word| framing(word).is_some()),
                "{args}"
            );
        }
        for name in ["addr", "name", "vis", "rpc", "crate"] {
            assert!(word(name).is_some(), "{name}");
        }
    }

    #[test]
    fn links_are_no_links() {
        assert_eq!(
            plain("each is an [`Endpoint`](crate::Endpoint). So [b](c)"),
            "each is an `Endpoint`. So b"
        );
    }
}
