use std::net::{Ipv4Addr, SocketAddr};

use proptest::prelude::*;

use super::*;
use crate::address::Address;
use crate::sys::shared::Memory;

const START: u64 = 1_000 * SECOND;

fn peer(n: u32) -> Peer {
    let address = SocketAddr::from((Ipv4Addr::from_bits(n), 1));
    Peer::of(&Address::from(address)).expect("an Internet peer")
}

#[test]
fn a_second_is_the_burst_and_comes_back() {
    let rates = Rates::new(&mut Memory::default()).expect("memory");
    let admitted = |at: u64| {
        let now = Tick(START + at);
        (0..100).filter(|_| rates.admits(peer(1), 10, now)).count()
    };
    assert_eq!(admitted(0), 10);
    assert_eq!(admitted(SECOND / 10), 1);
    assert_eq!(admitted(SECOND / 2), 4);
    assert_eq!(admitted(60 * SECOND), 10, "it does not add up");
}

#[test]
fn a_full_set_refuses_strangers_until_a_time_has_passed() {
    let rates = Rates::new(&mut Memory::default()).expect("memory");
    let now = Tick(START);
    let admitted = (0..100_000)
        .filter(|&n| rates.admits(peer(n), 1, now))
        .count();
    assert_eq!(admitted, ENTRIES, "each set has eight, and no more");
    assert!(!rates.admits(peer(200_000), 1, now));
    let later = Tick(START + SECOND);
    assert!(rates.admits(peer(200_000), 1, later));
}

#[test]
fn another_rate_holds_within_a_second() {
    let rates = Rates::new(&mut Memory::default()).expect("memory");
    let admitted = |rate: u32, at: u64| {
        let now = Tick(START + at);
        (0..500)
            .filter(|_| rates.admits(peer(1), rate, now))
            .count()
    };
    assert_eq!(admitted(100, 0), 100);
    assert_eq!(admitted(1, 0), 0);
    assert_eq!(admitted(1, SECOND), 1);
    assert_eq!(admitted(100, SECOND), 0, "the one counts as a whole second");
    assert_eq!(admitted(100, SECOND + SECOND / 100), 1);
    assert_eq!(admitted(100, 3 * SECOND), 100);
}

/// Threads stand for processes: together they admit what one would.
#[test]
fn threads_share_a_peers_rate() {
    let rates = Rates::new(&mut Memory::default()).expect("memory");
    let count = || {
        (0..10_000)
            .filter(|_| rates.admits(peer(1), 1000, Tick(START)))
            .count()
    };
    let total: usize = std::thread::scope(|scope| {
        let threads = [(); 4].map(|()| scope.spawn(count));
        threads
            .map(|thread| thread.join().expect("it counts"))
            .iter()
            .sum()
    });
    assert_eq!(total, 1000);
}

fn arrivals() -> impl Strategy<Value = Vec<u64>> {
    let gap = prop_oneof![Just(0), 0..SECOND / 100, 0..SECOND, 0..5 * SECOND];
    proptest::collection::vec(gap, 1..200).prop_map(|gaps| {
        let mut now = START;
        let times = gaps.iter().map(|gap| {
            now += gap;
            now
        });
        times.collect()
    })
}

proptest! {
    /// In any window there are at most the rate and the burst, and nobody who keeps to the rate is refused.
    #[test]
    fn never_more_than_the_rate_and_the_burst(rate in prop_oneof![1..20_u32, 1..5_000_u32], arrivals in arrivals()) {
        let (mut due, mut admitted) = (0, Vec::new());
        for now in arrivals {
            if let Some(next) = next(due, Tick(now), rate) {
                due = next;
                admitted.push(now);
            }
        }
        prop_assert!(!admitted.is_empty(), "a fresh peer is admitted");
        for (first, begin) in admitted.iter().enumerate() {
            for (count, end) in (1_u128..).zip(&admitted[first..]) {
                let window = u128::from(end - begin);
                let most = window * u128::from(rate) / u128::from(SECOND) + u128::from(rate);
                prop_assert!(count <= most, "{count} in {window} ns");
            }
        }
    }

    #[test]
    fn who_keeps_to_the_rate_is_admitted(rate in 1..5_000_u32, late in proptest::collection::vec(0..SECOND, 1..100)) {
        let (mut due, mut now) = (0, START);
        for late in late {
            now += SECOND.div_ceil(u64::from(rate)) + late % 7;
            let next = next(due, Tick(now), rate);
            prop_assert!(next.is_some());
            due = next.unwrap_or_default();
        }
    }

    /// Who is admitted at one time were also admitted later, and a higher rate admits whom a lower one does.
    #[test]
    fn later_and_faster_only_admit_more(due in 0..4 * SECOND, now in 1..4 * SECOND, later in 0..SECOND, rate in 1..5_000_u32) {
        let admitted = next(due, Tick(now), rate).is_some();
        prop_assert!(!admitted || next(due, Tick(now + later), rate).is_some());
        prop_assert!(next(due, Tick(due.max(1)), rate).is_some(), "its time has come");
        let ahead = due.saturating_sub(now);
        prop_assert_eq!(admitted, ahead <= SECOND.div_ceil(u64::from(rate)) * u64::from(rate - 1));
    }

    /// A peer that nobody saw for a second is admitted as long as its set has room.
    #[test]
    fn a_fresh_peer_is_admitted_when_there_is_room(others in proptest::collection::vec(any::<u32>(), 0..WAYS), rate in 1..100_u32) {
        let rates = Rates::new(&mut Memory::default()).expect("memory");
        for other in others {
            rates.admits(peer(other), rate, Tick(START));
        }
        prop_assert!(rates.admits(peer(1), rate, Tick(START + SECOND)));
        let fresh = Rates::new(&mut Memory::default()).expect("memory");
        prop_assert!(fresh.admits(peer(2), rate, Tick(START)));
    }
}
