//! Handlers whose messages are calls of remote procedures, under each model and transport.

use std::time::Instant;

use libtest_mimic::Trial;
use rustix::process::Signal;
use sockserv_tests::{
    AT_ONCE, COARSE, Caller, Cell, ECHO, FAIL, FINISH_FAILS, GATE, Model, NULL, PROGRAM, Scenario,
    Server, VERSION, call, record,
};

use crate::messages::{SHORT, expect_failure};
use crate::{for_each, for_each_datagram_cell, for_each_stream_cell};

const PROG_UNAVAIL: u32 = 1;
const PROG_MISMATCH: u32 = 2;
const PROC_UNAVAIL: u32 = 3;
const GARBAGE_ARGS: u32 = 4;
const SYSTEM_ERR: u32 = 5;

#[rustfmt::skip]
pub(crate) fn trials() -> Vec<Trial> {
    [
        for_each_stream_cell("rpc_pipelined_calls_are_answered_in_order", pipelined),
        for_each_stream_cell("rpc_calls_may_come_byte_by_byte", byte_by_byte),
        for_each_stream_cell("rpc_a_call_may_come_in_fragments", fragments),
        for_each_stream_cell("rpc_what_cannot_be_called_is_answered", unavailable),
        for_each_stream_cell("rpc_what_is_no_call_is_passed_over", no_calls),
        for_each_stream_cell("rpc_what_is_no_record_ends_the_connection", no_records),
        for_each_stream_cell("rpc_a_procedure_that_fails_is_told_and_ends_the_connection", failing),
        for_each_stream_cell("rpc_finish_runs_once_behind_the_last_call", finish),
        for_each_stream_cell("rpc_an_end_inside_a_call_is_an_error", truncated),
        for_each_stream_cell("rpc_between_calls_a_connection_is_told_at_once", idle_is_told),
        for_each_stream_cell("rpc_half_a_call_may_be_completed_in_the_grace", half_is_completed),
        for_each_stream_cell("rpc_half_a_call_is_given_up_when_the_grace_ends", half_is_given_up),
        for_each_stream_cell("rpc_a_call_in_the_works_finishes", in_the_works),
        for_each(pools, "rpc_idle_callers_hold_no_worker", parked),
        for_each_datagram_cell("rpc_a_packet_is_a_call", packets),
        for_each_datagram_cell("rpc_a_call_that_is_sent_again_is_answered_again", duplicates),
        for_each_datagram_cell("rpc_a_bad_call_harms_no_other", bad_packets),
        for_each_datagram_cell("rpc_a_call_in_a_packet_finishes", in_the_works),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn pools(cell: &Cell) -> bool {
    cell.is_stream() && cell.model == Model::Pool
}

fn scenario(cell: Cell) -> Scenario {
    Scenario::new(cell).with("handler", "rpc")
}

fn start(cell: Cell) -> Server {
    scenario(cell).start()
}

fn patient(cell: Cell) -> Server {
    scenario(cell).with("shutdown-grace", "60s").start()
}

fn echo(xid: u32, text: &str) -> Vec<u8> {
    record(&call(xid, ECHO, text))
}

fn pipelined(cell: Cell) {
    let server = start(cell);
    let mut caller = Caller::of(&server);
    let null = record(&call(2, NULL, ""));
    let sent = [echo(1, "one"), null, echo(3, "three")].concat();
    caller.send(&sent);
    caller.expect(1, Ok("one"));
    caller.expect(2, Ok(""));
    caller.expect(3, Ok("three"));
    caller.client.finish();
    caller.expect_end();
    let ended = server.stop();
    ended.expect_counts(1, 0, 0);
    assert_eq!(ended.story_of(&caller.client), ["setup", "finish"]);
    assert_eq!(ended.summary().number("bytes_in"), sent.len() as u64);
}

fn byte_by_byte(cell: Cell) {
    let server = start(cell);
    let mut caller = Caller::of(&server);
    for byte in [echo(1, "one"), echo(2, "two")].concat() {
        caller.send(&[byte]);
    }
    caller.expect(1, Ok("one"));
    caller.expect(2, Ok("two"));
    caller.client.finish();
    caller.expect_end();
    server.stop().expect_counts(1, 0, 0);
}

fn fragments(cell: Cell) {
    let server = start(cell);
    let mut caller = Caller::of(&server);
    for (xid, size) in [(1, 1), (2, 7), (3, 48)] {
        let call = call(xid, ECHO, "in pieces");
        for piece in call.chunks(size) {
            let head = u32::try_from(piece.len()).expect("it is short");
            caller.send(&[&head.to_be_bytes(), piece].concat());
        }
        caller.send(&record(b""));
        caller.expect(xid, Ok("in pieces"));
    }
    server.stop().expect_counts(1, 0, 0);
}

fn unavailable(cell: Cell) {
    let server = start(cell);
    let mut caller = Caller::of(&server);
    for (xid, procedure, fault) in [
        (1, [PROGRAM + 1, VERSION, 1], PROG_UNAVAIL),
        (2, [PROGRAM, VERSION + 1, 1], PROG_MISMATCH),
        (3, [PROGRAM, VERSION, 99], PROC_UNAVAIL),
    ] {
        caller.call(xid, procedure, "");
        caller.expect(xid, Err(fault));
    }
    let short = call(4, ECHO, "cut off");
    caller.send(&record(&short[..short.len() - 4]));
    caller.expect(4, Err(GARBAGE_ARGS));
    let long = [&call(5, ECHO, "and")[..], b"more"].concat();
    caller.send(&record(&long));
    caller.expect(5, Err(GARBAGE_ARGS));
    caller.echo(6, "behind");
    server.stop().expect_counts(1, 0, 0);
}

fn no_calls(cell: Cell) {
    let server = start(cell);
    let mut caller = Caller::of(&server);
    for garbage in [&b""[..], b"?", b"no call at all", &[0xff; 64]] {
        caller.send(&record(garbage));
    }
    caller.echo(1, "behind");
    server.stop().expect_counts(1, 0, 0);
}

fn no_records(cell: Cell) {
    let server = start(cell);
    let empty = [0; 4]; // And not the last fragment.
    let too_long = [0xff; 4];
    for head in [empty, too_long] {
        let mut caller = Caller::of(&server);
        caller.send(&echo(1, "before"));
        caller.send(&head);
        caller.expect(1, Ok("before"));
        caller.expect_end();
        expect_failure(&server, &caller.client, "handle", false);
    }
    Caller::of(&server).echo(2, "the next caller is served");
    server.stop().expect_counts(1, 2, 0);
}

fn failing(cell: Cell) {
    let server = start(cell);
    for how in ["error", "panic"] {
        let mut caller = Caller::of(&server);
        let fail = record(&call(2, FAIL, how));
        caller.send(&[echo(1, "before"), fail, echo(3, "behind")].concat());
        caller.expect(1, Ok("before"));
        caller.expect(2, Err(SYSTEM_ERR));
        caller.expect_end();
        expect_failure(&server, &caller.client, "handle", how == "panic");
    }
    Caller::of(&server).echo(4, "the next caller is served");
    let ended = server.stop();
    ended.expect_counts(1, 2, 0);
    assert_eq!(ended.events("finish").len(), 3);
}

fn finish(cell: Cell) {
    let server = start(cell);
    let mut caller = Caller::of(&server);
    caller.echo(1, "one");
    caller.call(2, FINISH_FAILS, "error");
    caller.expect(2, Ok(""));
    caller.client.finish();
    caller.client.expect_rest("in finish\n");
    expect_failure(&server, &caller.client, "finish", false);
    let ended = server.stop();
    ended.expect_counts(0, 1, 0);
    assert_eq!(ended.story_of(&caller.client), ["setup", "finish", "error"]);
}

/// Sends a call and half of the next, in one write, and awaits the first one's reply; returns the other half.
fn begin(caller: &mut Caller) -> Vec<u8> {
    let mut sent = [echo(1, "one"), echo(2, "two")].concat();
    let half = sent.split_off(sent.len() - 8);
    caller.send(&sent);
    caller.expect(1, Ok("one"));
    half
}

fn truncated(cell: Cell) {
    let server = start(cell);
    let mut caller = Caller::of(&server);
    begin(&mut caller);
    caller.client.finish();
    caller.expect_end();
    expect_failure(&server, &caller.client, "handle", false);
    server.stop().expect_counts(0, 1, 0);
}

fn idle_is_told(cell: Cell) {
    let server = patient(cell);
    let mut caller = Caller::of(&server);
    caller.echo(1, "one");
    caller.echo(2, "two");
    server.signal(Signal::TERM);
    caller.expect_end();
    let ended = server.wait();
    ended.expect_good_within(AT_ONCE);
    ended.expect_counts(1, 0, 0);
    assert_eq!(ended.story_of(&caller.client), ["setup", "finish"]);
}

fn half_is_completed(cell: Cell) {
    let server = patient(cell);
    let mut caller = Caller::of(&server);
    let half = begin(&mut caller);
    server.signal(Signal::TERM);
    caller.client.expect_silence_for(SHORT);
    caller.send(&half);
    caller.expect(2, Ok("two"));
    caller.expect_end();
    let ended = server.wait();
    ended.expect_good_within(AT_ONCE);
    ended.expect_counts(1, 0, 0);
}

fn half_is_given_up(cell: Cell) {
    let server = scenario(cell).with("shutdown-grace", "300ms").start();
    let mut caller = Caller::of(&server);
    begin(&mut caller);
    let began = Instant::now();
    server.signal(Signal::TERM);
    caller.expect_end();
    let took = began.elapsed();
    assert!(took >= SHORT - COARSE, "{took:?}");
    let ended = server.wait();
    ended.expect_good_within(AT_ONCE);
    ended.expect_counts(0, 1, 0);
}

fn in_the_works(cell: Cell) {
    let server = patient(cell);
    let gate = server.gate("gate");
    let mut caller = Caller::of(&server);
    caller.call(1, GATE, gate.path());
    server.event_of("waiting", &caller.client);
    server.signal(Signal::TERM);
    gate.open();
    caller.expect(1, Ok(""));
    if cell.is_stream() {
        caller.expect_end();
    }
    let ended = server.wait();
    ended.expect_good_within(AT_ONCE);
    ended.expect_counts(1, 0, 0);
}

fn parked(cell: Cell) {
    let server = scenario(cell).with("workers", "2").start();
    let mut callers: Vec<_> = (0..20).map(|_| Caller::of(&server)).collect();
    for xid in 1..4 {
        for caller in &mut callers {
            caller.echo(xid, "again");
        }
    }
    drop(callers);
    server.stop().expect_counts(20, 0, 0);
}

fn packets(cell: Cell) {
    let server = start(cell);
    let mut caller = Caller::of(&server);
    caller.echo(1, "one");
    caller.call(2, NULL, "");
    caller.expect(2, Ok(""));
    caller.call(3, [PROGRAM, VERSION, 99], "");
    caller.expect(3, Err(PROC_UNAVAIL));
    let ended = server.stop();
    ended.expect_counts(3, 0, 0);
    assert_eq!(ended.events("finish").len(), 3);
}

/// A reply may be lost, so the caller sends its call again: RFC 5531, section 4.
fn duplicates(cell: Cell) {
    let server = start(cell);
    let mut caller = Caller::of(&server);
    for _ in 0..3 {
        caller.call(1, ECHO, "the same");
    }
    for _ in 0..3 {
        caller.expect(1, Ok("the same"));
    }
    caller.echo(2, "another");
    server.stop().expect_counts(4, 0, 0);
}

fn bad_packets(cell: Cell) {
    let server = start(cell);
    let mut caller = Caller::of(&server);
    caller.send(b"no call at all");
    caller.echo(1, "what is no call has no reply");
    for (xid, how) in [(2, "error"), (3, "panic")] {
        caller.call(xid, FAIL, how);
        caller.expect(xid, Err(SYSTEM_ERR));
        let error = server.nth_event(xid as usize - 2, "error");
        assert_eq!(
            (error.get("phase"), error.get("panic")),
            ("handle", (how == "panic").to_string().as_str())
        );
    }
    caller.send(&call(4, ECHO, "cut off")[..44]);
    caller.expect(4, Err(GARBAGE_ARGS));
    caller.echo(5, "behind");
    server.stop().expect_counts(4, 2, 0);
}
