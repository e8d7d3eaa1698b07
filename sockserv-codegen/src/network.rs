//! Network literals, judged at compile time: what `allow` and `deny` can match, and what never will.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Reads a network, or an address, which is the network of that one host. The error says what is wrong and what to write.
pub(crate) fn read(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return judge(text, IpNet::from(address));
    }
    match text.parse::<IpNet>() {
        Ok(network) => judge(text, network),
        Err(_) => Err(why(text)),
    }
}

/// A network that can be read may still match nobody, or others than it seems to.
fn judge(text: &str, network: IpNet) -> Result<IpNet, String> {
    let meant = network.trunc();
    if network != meant {
        let address = network.addr();
        return Err(format!(
            "`{text}` has bits behind its prefix; write `{meant}`, or `{address}` for the one host"
        ));
    }
    if let IpNet::V6(network) = network
        && let Some(mapped) = mapped(network)
    {
        return Err(format!(
            "`{text}` matches nobody, because an IPv4 peer is shown as IPv4; write `{mapped}`"
        ));
    }
    Ok(network)
}

/// Returns the IPv4 network that is mapped into IPv6.
fn mapped(network: Ipv6Net) -> Option<Ipv4Net> {
    let address = network.addr().to_ipv4_mapped()?;
    let prefix = network.prefix_len().checked_sub(96)?;
    Ipv4Net::new(address, prefix).ok()
}

fn why(text: &str) -> String {
    let Some((address, prefix)) = text.split_once('/') else {
        return format!(
            "`{text}` is no network; write one as in `10.0.0.0/8`, or an address without a port"
        );
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return format!(
            "`{address}` is no address; write four numbers as in `10.0.0.0/8`, or IPv6 as in `2001:db8::/32`"
        );
    };
    let most = if address.is_ipv4() { 32 } else { 128 };
    format!("`/{prefix}` is no prefix of `{address}`; write a number up to {most}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_addresses_are_read() {
        for (text, network) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("192.0.2.1", "192.0.2.1/32"),
            ("192.0.2.1/32", "192.0.2.1/32"),
            ("::/0", "::/0"),
            ("::1", "::1/128"),
            ("2001:db8::/32", "2001:db8::/32"),
        ] {
            assert_eq!(
                read(text).map(|read| read.to_string()).as_deref(),
                Ok(network)
            );
        }
    }

    #[test]
    fn the_answer_says_what_to_write() {
        for (text, write) in [
            ("10.0.0.1/8", "`10.0.0.0/8`, or `10.0.0.1` "),
            ("2001:db8::1/32", "`2001:db8::/32`, or `2001:db8::1` "),
            ("10.0.0.0/33", "a number up to 32"),
            ("10.0.0.0/", "a number up to 32"),
            ("::/129", "a number up to 128"),
            ("10.0.0.0/255.0.0.0", "a number up to 32"),
            ("10.0.0/8", "four numbers as in `10.0.0.0/8`"),
            ("localhost", "one as in `10.0.0.0/8`"),
            ("10.0.0.1:80", "an address without a port"),
            (" 10.0.0.0/8", "four numbers"),
            ("", "one as in"),
            ("::ffff:10.0.0.0/104", "`10.0.0.0/8`"),
            ("::ffff:192.0.2.1", "`192.0.2.1/32`"),
        ] {
            let said = read(text).map_err(|message| message.contains(write));
            assert_eq!(said, Err(true), "{text}: {:?}", read(text));
        }
    }
}
