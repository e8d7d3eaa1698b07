//! A model check of what threads and processes share without a lock: loom tries the interleavings that matter.
//!
//! The files under test are the runtime's own, compiled here against loom's atomics.

#![allow(dead_code, reason = "not all of the two files is under test")]

mod sys {
    /// Loom's atomics. Loom takes SeqCst operations for acquire and release, but knows SeqCst fences: so there is one between
    /// each two such operations, behind a store and before all others.
    pub(crate) mod atomic {
        pub(crate) use loom::sync::atomic::Ordering;
        use loom::sync::atomic::fence;

        fn fence_if(order: Ordering) {
            if order == Ordering::SeqCst {
                fence(Ordering::SeqCst);
            }
        }

        macro_rules! atomics {
            ($($name:ident: $ty:ty;)*) => {$(
                #[derive(Debug, Default)]
                pub(crate) struct $name(loom::sync::atomic::$name);

                impl $name {
                    pub(crate) fn load(&self, order: Ordering) -> $ty {
                        fence_if(order);
                        self.0.load(order)
                    }

                    pub(crate) fn store(&self, value: $ty, order: Ordering) {
                        self.0.store(value, order);
                        fence_if(order);
                    }

                    pub(crate) fn swap(&self, value: $ty, order: Ordering) -> $ty {
                        fence_if(order);
                        self.0.swap(value, order)
                    }

                    pub(crate) fn compare_exchange(&self, now: $ty, new: $ty, set: Ordering, fetch: Ordering) -> Result<$ty, $ty> {
                        fence_if(set);
                        self.0.compare_exchange(now, new, set, fetch)
                    }

                    pub(crate) fn compare_exchange_weak(&self, now: $ty, new: $ty, set: Ordering, fetch: Ordering) -> Result<$ty, $ty> {
                        fence_if(set);
                        self.0.compare_exchange_weak(now, new, set, fetch)
                    }

                    pub(crate) fn fetch_update(&self, set: Ordering, fetch: Ordering, with: impl FnMut($ty) -> Option<$ty>) -> Result<$ty, $ty> {
                        fence_if(set);
                        self.0.fetch_update(set, fetch, with)
                    }
                }
            )*};
        }
        atomics! {
            AtomicBool: bool;
            AtomicU32: u32;
            AtomicU64: u64;
        }

        impl AtomicU32 {
            pub(crate) fn fetch_add(&self, by: u32, order: Ordering) -> u32 {
                fence_if(order);
                self.0.fetch_add(by, order)
            }
        }
    }
}

#[path = "../sockserv/src/requests/meeting.rs"]
mod meeting;
#[path = "../sockserv/src/requests/places.rs"]
mod places;

use loom::sync::Arc;
use loom::thread;
use meeting::{Counted, Once, Waiting};
use places::Places;
use sys::atomic::{AtomicBool, AtomicU32, Ordering};

/// A table of three places, and who is in them.
struct Table {
    places: Places,
    next: [AtomicU32; 3],
    inside: [AtomicBool; 3],
}

impl Table {
    fn new() -> Arc<Self> {
        Arc::new(Table {
            places: Places::default(),
            next: Default::default(),
            inside: Default::default(),
        })
    }

    fn take(&self, most: u32) -> Option<u32> {
        let place = self.places.take(most, |place| &self.next[place as usize])?;
        let was_inside = self.inside[place as usize].swap(true, Ordering::Relaxed);
        assert!(!was_inside, "two have the same place");
        Some(place)
    }

    fn give_back(&self, place: u32) {
        self.inside[place as usize].store(false, Ordering::Relaxed);
        self.places.give_back(place, &self.next[place as usize]);
    }
}

/// Explores all interleavings with at most so many switches by force: that bounds the time, and finds nearly all.
fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

#[test]
fn no_place_is_given_twice_and_none_is_lost() {
    check(|| {
        let table = Table::new();
        let all = [(); 3].map(|()| table.take(3).expect("there are three"));
        all.into_iter().for_each(|place| table.give_back(place));
        let other = Arc::clone(&table);
        let thread = thread::spawn(move || {
            let place = other.take(3).expect("the others have two at most");
            other.give_back(place);
        });
        // Meanwhile the first of the free list is the same again, and another one is behind it.
        let [first, second] = [(); 2].map(|()| table.take(3).expect("the other has one at most"));
        table.give_back(first);
        let third = table.take(3).expect("the other has one at most");
        [second, third]
            .into_iter()
            .for_each(|place| table.give_back(place));
        thread.join().unwrap();
        assert!(!table.places.is_full(1), "none is taken any more");
        let all = [(); 3].map(|()| table.take(3));
        assert!(all.iter().all(Option::is_some), "all are there again");
        assert_eq!(table.take(3), None);
    });
}

#[test]
fn no_more_are_taken_than_may_be() {
    check(|| {
        let table = Table::new();
        let other = Arc::clone(&table);
        let thread = thread::spawn(move || other.take(1));
        let mine = table.take(1);
        let others = thread.join().unwrap();
        assert!(
            mine.is_some() != others.is_some(),
            "one of them has the only place"
        );
    });
}

#[test]
fn who_waits_for_a_place_is_told_of_the_end() {
    check(|| {
        let table = Table::new();
        let place = table.take(1).expect("it is free");
        let told = Arc::new(AtomicBool::default());
        let (other, tells) = (Arc::clone(&table), Arc::clone(&told));
        let thread = thread::spawn(move || {
            other.give_back(place);
            if other.places.is_wanted() {
                tells.store(true, Ordering::SeqCst);
            }
        });
        // What the accept loop does: look, say what it wants, and look again.
        let mut mine = table.take(1);
        if mine.is_none() {
            table.places.want();
            mine = table.take(1);
        }
        thread.join().unwrap();
        assert!(
            mine.is_some() || told.load(Ordering::SeqCst),
            "it would wait for ever"
        );
    });
}

#[test]
fn a_wish_that_another_process_takes_back_is_passed_on() {
    check(|| {
        let table = Table::new();
        let place = table.take(1).expect("it is free");
        let told = Arc::new(AtomicBool::default());
        let (other, tells) = (Arc::clone(&table), Arc::clone(&told));
        let gives = thread::spawn(move || {
            other.give_back(place);
            if other.places.is_wanted() {
                tells.store(true, Ordering::SeqCst);
            }
        });
        let (other, tells) = (Arc::clone(&table), Arc::clone(&told));
        let has_room = thread::spawn(move || {
            if !other.places.is_full(1) && other.places.want_no_longer() {
                tells.store(true, Ordering::SeqCst);
            }
        });
        let mut mine = table.take(1);
        if mine.is_none() {
            table.places.want();
            mine = table.take(1);
        }
        gives.join().unwrap();
        has_room.join().unwrap();
        assert!(
            mine.is_some() || told.load(Ordering::SeqCst),
            "it would wait for ever"
        );
    });
}

#[test]
fn a_request_that_waits_and_a_drain_that_begins_meet() {
    check(|| {
        let shared = Arc::new((Waiting::default(), Once::default()));
        let other = Arc::clone(&shared);
        let request = thread::spawn(move || {
            let (waiting, drain) = &*other;
            waiting.begin(1);
            drain.when().is_some() // Then it does not wait.
        });
        let (waiting, drain) = &*shared;
        assert!(drain.happen(1));
        let found = waiting.since().is_some(); // Then it is told.
        let saw = request.join().unwrap();
        assert!(found || saw, "it would wait, and nobody would tell it");
    });
}

#[test]
fn a_shutdown_is_asked_for_once() {
    check(|| {
        let asked = Arc::new(Once::default());
        let other = Arc::clone(&asked);
        let thread = thread::spawn(move || other.happen(2));
        let mine = asked.happen(1);
        let others = thread.join().unwrap();
        assert!(mine != others, "one of them was the first");
        assert_eq!(asked.when(), Some(if mine { 1 } else { 2 }));
    });
}

#[test]
fn who_sees_a_shutdown_sees_what_was_counted_before() {
    check(|| {
        let shutdown = Arc::new(Counted::default());
        let (other, sees) = (Arc::clone(&shutdown), Arc::clone(&shutdown));
        let asks = thread::spawn(move || other.happen(1, || 3));
        let looks = thread::spawn(move || sees.when().map(|_| sees.count()));
        shutdown.happen(2, || 4);
        asks.join().unwrap();
        let seen = looks.join().unwrap();
        assert!(seen.is_none_or(|count| count >= 3), "not counted yet");
    });
}
