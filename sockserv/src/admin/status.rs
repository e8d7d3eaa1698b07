//! `/status.json`: what the page shows.

use std::fmt::Display;

use crate::admin::View;
use crate::admin::json::{Object, Text, list};
use crate::admin::tally::{MICROS, Numbers};
use crate::requests::{Live, Stats};

/// How many open requests are listed: the oldest.
const LISTED: usize = 100;

/// Writes everything that is known of the server at this moment.
pub(super) fn json(view: &View<'_>) -> String {
    let numbers = view.tally.numbers();
    let Stats {
        accepted,
        active,
        finished,
        failed,
        refused,
        bytes_in,
        bytes_out,
    } = view.requests.stats(); // All of them are shown.
    let reasons = numbers
        .reasons
        .iter()
        .map(|(reason, count)| (reason.name(), count));
    let refusals = numbers
        .refusals
        .iter()
        .map(|(why, count)| (why.name(), count));
    let errors = numbers.errors.iter().map(|(phase, count)| (phase, count));
    Object::new()
        .with_text("handler", view.handler)
        .with_text("model", view.model)
        .with("listening", list(view.listening.iter().map(Text)))
        .with("pid", std::process::id())
        .with("uptime", view.uptime.as_secs_f64())
        .with_text("state", view.readiness.word())
        .with("max_connections", view.requests.limits.max_connections())
        .with("accepted", accepted)
        .with("active", active)
        .with("finished", finished)
        .with("failed", failed)
        .with("refused", refused)
        .with("bytes_in", bytes_in)
        .with("bytes_out", bytes_out)
        .with("started", numbers.started)
        .with("reasons", counts(reasons))
        .with("refusals", counts(refusals))
        .with("errors", counts(errors))
        .with("durations", durations(&numbers))
        .with("pauses", numbers.pauses)
        .with("workers", numbers.workers)
        .with(
            "requests",
            list(view.requests.oldest(LISTED).iter().map(request)),
        )
        .to_string()
}

fn durations(numbers: &Numbers) -> Object {
    let bounds = MICROS.iter().map(|&micros| micros as f64 / 1e6);
    Object::new()
        .with("bounds", list(bounds))
        .with("counts", list(numbers.durations))
        .with("sum", numbers.total.as_secs_f64())
}

fn counts<'a>(counts: impl Iterator<Item = (impl Display, &'a u64)>) -> Object {
    counts.fold(Object::new(), |object, (name, count)| {
        object.with(name, count)
    })
}

fn request(live: &Live) -> Object {
    let Live { state, .. } = live;
    let request = Object::new().with("request", live.request.unwrap_or_default());
    let request = match live.process {
        0 => request,
        worker => request.with("worker", worker),
    };
    request
        .with_text("peer", state.peer())
        .with("age", state.age().as_secs_f64())
        .with_text("phase", state.phase())
        .with("idle", live.is_idle)
        .with("bytes_in", state.bytes_in())
        .with("bytes_out", state.bytes_out())
}
