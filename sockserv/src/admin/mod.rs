//! The operator's endpoint: health, metrics and a page of live numbers, over HTTP.

mod connection;
mod http;

pub(crate) use connection::Connection;

use http::{Ask, Reply};

/// Answers one question.
pub(crate) fn answer(ask: &Ask) -> Reply {
    match &*ask.path {
        "/healthz" => Reply::text(200, "ok\n"),
        _ => Reply::text(404, "there is no such page\n"),
    }
}
