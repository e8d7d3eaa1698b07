use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::atomic::AtomicBool;

use ipnet::IpNet;
use proptest::prelude::*;

use super::*;

fn network(text: &str) -> Network {
    text.parse().expect("a network")
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Access lists of these texts.
fn lists(allow: &[&str], deny: &[&str]) -> Access {
    let access = Access::new(&mut Memory::default()).expect("memory");
    let networks = |texts: &[&str]| texts.iter().map(|text| network(text)).collect::<Vec<_>>();
    access
        .replace(List::Allow, &networks(allow))
        .expect("they are few");
    access
        .replace(List::Deny, &networks(deny))
        .expect("they are few");
    access
}

#[test]
fn texts_are_read() {
    let read = |text: &str| text.parse::<Network>().map(|network| network.to_string());
    for (text, shown) in [
        ("192.0.2.7", "192.0.2.7/32"),
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("2001:db8::1", "2001:db8::1/128"),
        ("2001:db8::1/32", "2001:db8::/32"),
        ("::/0", "::/0"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
    ] {
        assert_eq!(read(text), Ok(shown.to_owned()));
    }
    for text in [
        "",
        "10.0.0/8",
        "10.0.0.0/33",
        "::/129",
        "example.org",
        "10.0.0.0/",
        "10.0.0.0/+8",
        "10.0.0.0/8/8",
        " ::1",
    ] {
        let error = read(text).expect_err(text).to_string();
        assert!(
            error.starts_with(&format!("`{text}` is no network; write ")),
            "{error}"
        );
    }
}

#[test]
fn the_best_match_wins() {
    let access = lists(
        &["10.0.0.0/8", "10.1.2.3"],
        &["10.1.0.0/16", "2001:db8::/32"],
    );
    let allows = |text: &str| access.allows(address(text));
    assert!(allows("10.2.0.1"));
    assert!(!allows("10.1.0.1"));
    assert!(allows("10.1.2.3") && allows("::ffff:10.1.2.3"));
    assert!(
        !allows("192.0.2.1") && !allows("2001:db8::1") && !allows("2001:db9::1"),
        "something else is allowed"
    );
}

#[test]
fn a_tie_is_a_refusal_and_without_allow_all_may_come() {
    let access = lists(&["10.0.0.0/8"], &["10.0.0.0/8"]);
    assert!(!access.allows(address("10.0.0.1")));
    let access = lists(&[], &["0.0.0.0/0"]);
    assert!(!access.allows(address("192.0.2.1")));
    assert!(access.allows(address("2001:db8::1")), "another family");
    assert!(lists(&[], &[]).allows(address("192.0.2.1")));
    assert!(!lists(&[], &["::/0"]).allows(address("::1")));
    assert!(lists(&[], &["::/0"]).allows(address("127.0.0.1")));
}

#[test]
fn a_list_is_replaced_and_the_other_stays() {
    let access = lists(&["10.0.0.0/8"], &["10.0.0.1", "192.0.2.0/24"]);
    let shown = |list| {
        access
            .list(list)
            .iter()
            .map(Network::to_string)
            .collect::<Vec<_>>()
    };
    access
        .replace(List::Allow, &[network("::1")])
        .expect("one is few");
    assert_eq!(shown(List::Allow), ["::1/128"]);
    assert_eq!(shown(List::Deny), ["10.0.0.1/32", "192.0.2.0/24"]);
    let many: Vec<Network> = (0..1024_u32)
        .map(|n| IpAddr::from(Ipv4Addr::from_bits(n)).into())
        .collect();
    let error = access.replace(List::Allow, &many).expect_err("1026");
    assert_eq!(
        error.to_string(),
        "1026 networks in `allow` and `deny` are too many; write at most 1024"
    );
    assert_eq!(shown(List::Allow), ["::1/128"], "nothing has changed");
    access.replace(List::Deny, &[]).expect("none is few");
    access.replace(List::Allow, &many).expect("as many as fit");
    assert_eq!(access.list(List::Allow).len(), MAX_NETWORKS);
    assert!(access.allows(address("0.0.3.255")) && !access.allows(address("0.0.4.0")));
}

/// While two rules are replaced by two others again and again, nobody sees one of each, however slowly he reads.
#[test]
fn readers_see_one_version() {
    let access = lists(&[], &[]);
    let (one, two) = (
        [network("10.0.0.0/8"), network("10.0.0.0/9")],
        [network("11.0.0.0/8"), network("11.0.0.0/9")],
    );
    access.replace(List::Deny, &one).expect("they are few");
    let done = AtomicBool::new(false);
    let slowly = |rules: &[Cell]| {
        let first = rules[0].load();
        thread::yield_now();
        (first, rules[1].load())
    };
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let (first, second) = access.read(slowly);
                    assert_eq!(first.bits, second.bits);
                    assert_eq!((first.prefix, second.prefix), (96 + 9, 96 + 8));
                }
            });
        }
        let writers = [&one, &two].map(|rules| {
            let access = &access;
            scope.spawn(move || {
                for _ in 0..20_000 {
                    access.replace(List::Deny, rules).expect("they are few");
                }
            })
        });
        let ended = writers.map(thread::ScopedJoinHandle::join);
        done.store(true, Ordering::Relaxed);
        assert!(ended.iter().all(Result::is_ok));
    });
}

#[test]
fn a_writer_that_died_is_passed_by() {
    let access = lists(&[], &["10.0.0.0/8"]);
    access.head[0].writer.store(1, Ordering::Relaxed);
    assert!(
        !access.allows(address("10.0.0.1")),
        "readers do not wait for it"
    );
    access
        .replace(List::Deny, &[network("11.0.0.0/8")])
        .expect("one is few");
    assert!(access.allows(address("10.0.0.1")) && !access.allows(address("11.0.0.1")));
}

/// Addresses of a space so small that networks often contain and equal each other.
fn addresses() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (0..4_u32, 0..4_u32).prop_map(|(high, low)| Ipv4Addr::from_bits(high << 30 | low).into()),
        (0..4_u128, 0..4_u128)
            .prop_map(|(high, low)| Ipv6Addr::from_bits(high << 126 | low).into()),
        (0..4_u32).prop_map(|low| Ipv4Addr::from_bits(low).to_ipv6_mapped().into()),
    ]
}

fn networks() -> impl Strategy<Value = Vec<IpNet>> {
    let network = (addresses(), any::<u8>()).prop_map(|(address, bits)| {
        let address = address.to_canonical();
        let longest = if address.is_ipv4() { 32 } else { 128 };
        // Short and long prefixes are where the addresses differ.
        let prefix = if bits % 2 == 0 {
            (bits / 2) % 4
        } else {
            longest - (bits / 2) % 4
        };
        IpNet::new(address, prefix).expect("a short prefix")
    });
    proptest::collection::vec(network, 0..8)
}

/// The rule as the documentation states it.
fn naive(allow: &[IpNet], deny: &[IpNet], peer: IpAddr) -> bool {
    let best = |list: &[IpNet]| {
        let matching = list
            .iter()
            .filter(|network| network.contains(&peer.to_canonical()));
        matching.map(IpNet::prefix_len).max()
    };
    match (best(allow), best(deny)) {
        (None, None) => allow.is_empty(),
        (allowed, denied) => allowed > denied,
    }
}

proptest! {
    #[test]
    fn matching_is_what_the_documentation_says(allow in networks(), deny in networks(), peers in proptest::collection::vec(addresses(), 1..16)) {
        let texts = |list: &[IpNet]| list.iter().map(|network| network.to_string().parse().expect("its own text")).collect::<Vec<Network>>();
        let access = Access::new(&mut Memory::default()).expect("memory");
        access.replace(List::Allow, &texts(&allow)).expect("they are few");
        access.replace(List::Deny, &texts(&deny)).expect("they are few");
        for peer in peers {
            prop_assert_eq!(access.allows(peer), naive(&allow, &deny, peer), "{}", peer);
        }
    }

    #[test]
    fn a_network_reads_back(address in any::<u128>(), prefix in 0..=128_u8) {
        let network = Network::new(Ipv6Addr::from_bits(address).into(), prefix).expect("it fits");
        prop_assert_eq!(network.to_string().parse::<Network>(), Ok(network));
        prop_assert_eq!(Rule::new(network, List::Deny).network(), Some(network));
        prop_assert!(network.contains(Ipv6Addr::from_bits(address)) || network.is_ipv4());
    }
}
