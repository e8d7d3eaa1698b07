//! The atomics that `requests/places.rs` and `requests/meeting.rs` are written with: a model check puts others in their place.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
