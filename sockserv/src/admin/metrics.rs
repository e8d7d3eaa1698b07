//! `/metrics`: the numbers as Prometheus reads them, in its text format 0.0.4.

use std::fmt::{Display, Write};

use crate::admin::tally::{MICROS, Numbers};
use crate::observer::names::{
    ACTIVE, DURATION, ERRORS, FINISHED, Number, PAUSES, RECEIVED, REFUSED, SENT, STARTED, WORKERS,
};

pub(super) const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes all numbers; those that nothing was counted for yet are zero.
pub(super) fn text(numbers: &Numbers) -> String {
    let mut text = String::new();
    let finished = numbers
        .reasons
        .iter()
        .map(|(reason, count)| (reason.name(), *count));
    let refused = numbers
        .refusals
        .iter()
        .map(|(why, count)| (why.name(), *count));
    let errors = numbers.errors.iter().map(|(phase, count)| (phase, *count));
    counter(&mut text, STARTED, numbers.started);
    gauge(&mut text, ACTIVE, numbers.active());
    counters(&mut text, FINISHED, "reason", finished);
    histogram(&mut text, DURATION, numbers);
    counter(&mut text, RECEIVED, numbers.bytes_in);
    counter(&mut text, SENT, numbers.bytes_out);
    counters(&mut text, REFUSED, "reason", refused);
    counters(&mut text, ERRORS, "phase", errors);
    counter(&mut text, PAUSES, numbers.pauses);
    gauge(&mut text, WORKERS, numbers.workers);
    text
}

fn head(text: &mut String, number: Number, kind: &str) {
    let Number { name, help } = number;
    say(
        text,
        format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"),
    );
}

fn counter(text: &mut String, number: Number, value: u64) {
    head(text, number, "counter");
    say(text, format_args!("{} {value}\n", number.name));
}

fn gauge(text: &mut String, number: Number, value: u64) {
    head(text, number, "gauge");
    say(text, format_args!("{} {value}\n", number.name));
}

fn counters(
    text: &mut String,
    number: Number,
    label: &str,
    values: impl Iterator<Item = (impl Display, u64)>,
) {
    head(text, number, "counter");
    for (of, value) in values {
        say(
            text,
            format_args!("{}{{{label}=\"{of}\"}} {value}\n", number.name),
        );
    }
}

fn histogram(text: &mut String, number: Number, numbers: &Numbers) {
    head(text, number, "histogram");
    let name = number.name;
    let mut below = 0;
    for (count, micros) in numbers.durations.iter().zip(MICROS) {
        below += count;
        let bound = micros as f64 / 1e6;
        say(
            text,
            format_args!("{name}_bucket{{le=\"{bound}\"}} {below}\n"),
        );
    }
    let count: u64 = numbers.durations.iter().sum();
    let sum = numbers.total.as_secs_f64();
    say(
        text,
        format_args!(
            "{name}_bucket{{le=\"+Inf\"}} {count}\n{name}_sum {sum}\n{name}_count {count}\n"
        ),
    );
}

fn say(text: &mut String, what: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(what); // A `String` takes everything.
}

#[cfg(all(test, feature = "metrics"))]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use metrics::{
        Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
        with_local_recorder,
    };

    use super::text;
    use crate::admin::Tally;
    use crate::observer::Metrics;

    const PAGE: &str = include_str!("../observer/mod.rs");

    /// What is described: the kind, the unit and the help of each name.
    #[derive(Default)]
    struct Described(Mutex<BTreeMap<String, (String, Option<Unit>)>>);

    impl Described {
        fn add(&self, kind: &str, name: &KeyName, unit: Option<Unit>, help: &str) {
            let mut all = self.0.lock().expect("no panic");
            let help = format!("# HELP {0} {help}\n# TYPE {0} {kind}\n", name.as_str());
            all.insert(name.as_str().to_owned(), (help, unit));
        }
    }

    impl Recorder for Described {
        fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
            self.add("counter", &name, unit, &help);
        }

        fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
            self.add("gauge", &name, unit, &help);
        }

        fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
            self.add("histogram", &name, unit, &help);
        }

        fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
            Counter::noop()
        }

        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    #[test]
    fn the_adapter_knows_the_same_numbers() {
        let described = Described::default();
        with_local_recorder(&described, Metrics::new);
        let described = described.0.into_inner().expect("no panic");
        let text = text(&Tally::new().expect("memory").numbers());
        assert_eq!(text.matches("# TYPE ").count(), described.len());
        for (name, (head, unit)) in described {
            assert!(text.contains(&head), "no {head} in {text}");
            let row = format!("//! | `{name}` |");
            assert!(PAGE.contains(&row), "no {row} in the page of the numbers");
            let unit = unit.map_or("", |unit| unit.as_str());
            assert!(name.contains(unit), "`{name}` is in {unit}"); // Prometheus wants it in the name.
        }
    }
}
