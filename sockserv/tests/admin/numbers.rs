//! What is counted, as Prometheus and as the page read it.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;

use prometheus_parse::{Scrape, Value};

use crate::Test;
use crate::client::{get, until};
use crate::served::{Served, say, spawn};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("metrics_are_what_prometheus_reads", metrics),
        ("the_status_lists_the_open_requests", status),
    ]
}

/// Reads the metrics with a parser of others.
pub(crate) fn scrape(at: SocketAddr) -> Scrape {
    let answer = get(at, "/metrics");
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .head
            .contains("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"),
        "{}",
        answer.head
    );
    Scrape::parse(answer.body.lines().map(|line| Ok(line.to_owned()))).expect("the format")
}

/// The value of a number, of the one with this label if it has several.
pub(crate) fn value(scrape: &Scrape, name: &str, label: &str) -> f64 {
    let samples = scrape.samples.iter().filter(|sample| sample.metric == name);
    let mut wanted = samples
        .filter(|sample| label.is_empty() || sample.labels.values().any(|value| value == label));
    match wanted.next().map(|sample| &sample.value) {
        Some(Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value)) => *value,
        other => panic!("{name} {label}: {other:?}"),
    }
}

fn metrics() {
    let (running, admin) = spawn();
    let mut client = running.connect().expect("it listens");
    client.write_all(b"one\nleave\n").expect("it is taken");
    let mut reply = String::new();
    client.read_to_string(&mut reply).expect("it is answered");
    assert_eq!(reply, "one\n");
    for end in ["fail", "panic"] {
        let mut client = running.connect().expect("it listens");
        client
            .write_all(format!("{end}\n").as_bytes())
            .expect("it is taken");
        assert_eq!(client.read(&mut [0]).expect("an end"), 0);
    }
    let open = running.connect().expect("it listens");
    until(|| value(&scrape(admin), "sockserv_requests_started_total", "") == 4.0);
    let scrape = scrape(admin);
    assert_eq!(value(&scrape, "sockserv_requests_active", ""), 1.0);
    let finished = |reason| value(&scrape, "sockserv_requests_finished_total", reason);
    assert_eq!(
        ["finished", "failed", "panicked", "cut"].map(finished),
        [1.0, 1.0, 1.0, 0.0]
    );
    assert_eq!(value(&scrape, "sockserv_errors_total", "handle"), 2.0);
    assert_eq!(value(&scrape, "sockserv_errors_total", "setup"), 0.0);
    assert_eq!(value(&scrape, "sockserv_received_bytes_total", ""), 21.0);
    assert_eq!(value(&scrape, "sockserv_sent_bytes_total", ""), 4.0);
    let histogram = scrape
        .samples
        .iter()
        .find_map(|sample| match &sample.value {
            Value::Histogram(buckets) => Some((&sample.metric, buckets)),
            _ => None,
        });
    let (name, buckets) = histogram.expect("one histogram");
    assert_eq!(name, "sockserv_request_duration_seconds");
    assert_eq!(
        buckets
            .last()
            .map(|bucket| (bucket.less_than, bucket.count)),
        Some((f64::INFINITY, 3.0))
    );
    assert!(buckets.is_sorted_by(|a, b| a.less_than < b.less_than && a.count <= b.count));
    assert_eq!(
        value(&scrape, "sockserv_request_duration_seconds_count", ""),
        3.0
    );
    drop(open);
}

fn status() {
    let served = Served::start("threading");
    let status = || -> serde_json::Value {
        let answer = get(served.admin[0], "/status.json");
        serde_json::from_str(&answer.body)
            .unwrap_or_else(|error| panic!("{error}: {}", answer.body))
    };
    let mut client = served.connect();
    assert_eq!(say(&mut client, "text"), "text\n");
    until(|| status()["requests"][0]["idle"] == true);
    let status = status();
    assert_eq!(
        (&status["handler"], &status["model"], &status["state"]),
        (&"Lines".into(), &"threading".into(), &"ready".into())
    );
    assert_eq!(status["listening"][0], format!("tcp://{}", served.at[0]));
    assert_eq!(
        (&status["active"], &status["bytes_in"]),
        (&1.into(), &5.into())
    );
    let request = &status["requests"][0];
    assert_eq!(
        request["peer"],
        client.local_addr().expect("it has one").to_string()
    );
    assert_eq!(
        (&request["phase"], &request["bytes_out"]),
        (&"handle".into(), &5.into())
    );
    assert!(request["age"].as_f64().is_some_and(|age| age > 0.0));
    drop(client);
    assert!(served.end().success());
}
