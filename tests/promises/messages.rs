//! Handlers that are called once for each message, by `fn message` and by `#[command]`, under each model and transport.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::Signal;
use sockserv_tests::{AT_ONCE, COARSE, Cell, Client, Event, Model, Scenario, Server};

/// How the handler takes its messages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Handler {
    Message,
    Command,
}

/// One promise against one cell and one kind of handler.
type Promise = fn(Cell, Handler);

/// A promise, in which cells it is kept, and how the handler takes its messages; nothing is both ways.
struct Row(&'static str, fn(&Cell) -> bool, Option<Handler>, Promise);

pub(crate) fn trials() -> Vec<Trial> {
    let rows = handled().into_iter().chain(ended());
    let trials = rows.flat_map(|Row(name, applies, handler, promise)| {
        let handlers = match handler {
            None => vec![Handler::Message, Handler::Command],
            Some(one) => vec![one],
        };
        let cells = Cell::all().filter(applies);
        cells.flat_map(move |cell| {
            let handlers = handlers.clone().into_iter();
            handlers.map(move |handler| trial(name, cell, handler, promise))
        })
    });
    trials.collect()
}

fn streams(cell: &Cell) -> bool {
    cell.is_stream()
}

fn datagrams(cell: &Cell) -> bool {
    !cell.is_stream()
}

fn pools(cell: &Cell) -> bool {
    cell.is_stream() && cell.model == Model::Pool
}

/// How messages are taken and answered.
#[rustfmt::skip]
fn handled() -> [Row; 12] {
    let (message, command) = (Some(Handler::Message), Some(Handler::Command));
    [
        Row("pipelined_messages_are_answered_in_order", streams, None, pipelined),
        Row("messages_may_come_byte_by_byte", streams, None, byte_by_byte),
        Row("a_message_that_is_too_long_is_answered", streams, None, too_long),
        Row("a_reply_that_is_too_long_is_the_handlers_error", |_| true, None, reply_too_long),
        Row("what_is_too_long_can_be_skipped", streams, message, discarded),
        Row("what_is_too_long_can_be_the_last", streams, message, closed),
        Row("what_is_no_command_is_answered", streams, command, no_commands),
        Row("close_ends_the_connection_behind_its_reply", streams, None, close),
        Row("the_stream_can_be_read_by_hand_in_between", streams, None, by_hand),
        Row("idle_connections_hold_no_worker", pools, None, parked),
        Row("a_packet_is_a_message", datagrams, None, packets),
        Row("a_bad_packet_harms_nobody_else", datagrams, None, bad_packets),
    ]
}

/// How conversations end.
#[rustfmt::skip]
fn ended() -> [Row; 11] {
    [
        Row("an_error_ends_the_connection_behind_its_replies", streams, None, error),
        Row("a_panic_ends_the_connection_alone", streams, None, panic),
        Row("finish_runs_once_behind_the_last_message", streams, None, finish),
        Row("an_end_inside_a_message_is_an_error", streams, None, truncated),
        Row("between_messages_a_connection_is_told_at_once", streams, None, idle_is_told),
        Row("half_a_message_may_be_completed_in_the_grace", streams, None, half_is_completed),
        Row("half_a_message_is_given_up_when_the_grace_ends", streams, None, half_is_given_up),
        Row("a_message_in_the_works_finishes", streams, None, busy_finishes),
        Row("silence_between_messages_ends_at_timeout", streams, None, silent),
        Row("a_message_dribbled_is_one_wait", streams, None, dribbled),
        Row("each_message_has_a_timeout_of_its_own", streams, None, slow_but_fine),
    ]
}

fn trial(name: &str, cell: Cell, handler: Handler, promise: Promise) -> Trial {
    Trial::test(format!("{name} [{cell} {}]", handler.word()), move || {
        promise(cell, handler);
        Ok(())
    })
}

impl Handler {
    fn word(self) -> &'static str {
        match self {
            Handler::Message => "message",
            Handler::Command => "command",
        }
    }

    fn scenario(self, cell: Cell) -> Scenario {
        let scenario = Scenario::new(cell).with("handler", self.word());
        match self {
            Handler::Message => scenario.with("on-overflow", "error"),
            Handler::Command => scenario,
        }
    }

    fn start(self, cell: Cell) -> Server {
        self.scenario(cell).start()
    }
}

pub(crate) const SHORT: Duration = Duration::from_millis(300);
const LATE: Duration = Duration::from_secs(6);

/// More than `messages::MAX` of the cells.
const TOO_LONG: usize = 100;

fn pipelined(cell: Cell, handler: Handler) {
    let server = handler.start(cell);
    let mut client = server.connect();
    let numbers: Vec<String> = (0..2000).map(|number| number.to_string()).collect();
    let sent: String = numbers
        .iter()
        .map(|number| format!("echo {number}\n"))
        .collect();
    let wanted: String = numbers.iter().map(|number| format!("{number}\n")).collect();
    client.send_bytes(sent.as_bytes()).expect("it is taken");
    client.finish();
    client.expect_rest(&wanted);
    let ended = server.stop();
    ended.expect_counts(1, 0, 0);
    let summary = ended.summary();
    let bytes = (summary.number("bytes_in"), summary.number("bytes_out"));
    assert_eq!(bytes, (sent.len() as u64, wanted.len() as u64));
    assert_eq!(
        ended.story_of(&client),
        ["setup", "finish"],
        "there is no `handle`"
    );
}

fn byte_by_byte(cell: Cell, handler: Handler) {
    let server = handler.start(cell);
    let mut client = server.connect();
    for byte in b"echo one\necho two\n" {
        client.send_bytes(&[*byte]).expect("it is taken");
    }
    assert_eq!(
        (client.reply(), client.reply()),
        ("one".into(), "two".into())
    );
    client.finish();
    client.expect_end();
    server.stop().expect_counts(1, 0, 0);
}

fn too_long(cell: Cell, handler: Handler) {
    let server = handler.start(cell);
    let mut client = server.connect();
    let long = "x".repeat(TOO_LONG);
    client.send(&format!("echo one\necho {long}\necho two"));
    assert_eq!(client.reply(), "one");
    let said = client.reply();
    assert!(said.starts_with("? ") && said.contains("80"), "{said}");
    assert_eq!(client.reply(), "two");
    client.finish();
    client.expect_end();
    server.stop().expect_counts(1, 0, 0);
}

fn reply_too_long(cell: Cell, handler: Handler) {
    let server = handler.start(cell);
    let mut client = server.connect();
    assert_eq!(ask(&mut client, "send 80").len(), 80);
    client.send("send 81");
    let error = expect_failure(&server, &client, "handle", false);
    let text = "a_reply_of_81_bytes_is_longer_than_`max`,_which_is_80;_write_`max_=_81`_or_more";
    assert!(error.get("text").contains(text), "{error:?}");
    match cell.is_stream() {
        true => {
            client.expect_end();
            server.stop().expect_counts(0, 1, 0);
        }
        false => server.stop().expect_counts(1, 1, 0),
    }
}

fn overflow(cell: Cell, what: &str) -> (Server, Client) {
    let scenario = Scenario::new(cell).with("handler", "message");
    let server = scenario.with("on-overflow", what).start();
    let mut client = server.connect();
    let long = "x".repeat(TOO_LONG);
    client.send(&format!("echo one\necho {long}\necho two"));
    client.finish();
    (server, client)
}

fn discarded(cell: Cell, _: Handler) {
    let (server, mut client) = overflow(cell, "discard");
    client.expect_rest("one\ntwo\n");
    server.stop().expect_counts(1, 0, 0);
}

fn closed(cell: Cell, _: Handler) {
    let (server, mut client) = overflow(cell, "close");
    client.expect_rest("one\n");
    expect_failure(&server, &client, "handle", false);
    server.stop().expect_counts(0, 1, 0);
}

fn no_commands(cell: Cell, handler: Handler) {
    let server = handler.start(cell);
    let mut client = server.connect();
    for (line, reply) in [
        ("Echo  two  words ", "two  words "),
        ("sum 1 2\t 39", "42"),
        ("sum", "? not found"),
        (
            "sum 1 x",
            "? malformed \"numbers\" (invalid digit found in string): SUM [numbers...]",
        ),
        ("nonsense 1", "? unknown command \"nonsense\""),
        ("secret", "? \"SECRET\" is not allowed now"),
        ("finish-fails", "? missing \"how\": FINISH-FAILS how"),
        ("bye now", "? too many arguments: BYE"),
        ("error oops", "? oops"),
    ] {
        assert_eq!(client.ask(line), reply, "{line}");
    }
    client.send("\n  \nbye");
    client.expect_rest("bye\n");
    server.stop().expect_counts(1, 0, 0);
}

/// Insists on one error of this client, and that the next client is served.
pub(crate) fn expect_failure(server: &Server, client: &Client, phase: &str, panic: bool) -> Event {
    let error = server.event_of("error", client);
    assert_eq!(
        (error.get("phase"), error.get("panic")),
        (phase, panic.to_string().as_str()),
        "{error:?}"
    );
    server.event_of("finish", client);
    error
}

/// What ends a connection: an error of a command is answered, and only a panic ends it.
fn error(cell: Cell, handler: Handler) {
    let server = handler.start(cell);
    let mut client = server.connect();
    client.send("echo before\nerror half\necho behind");
    if handler == Handler::Command {
        client.finish();
        client.expect_rest("before\n? half\nbehind\n");
        server.stop().expect_counts(1, 0, 0);
        return;
    }
    client.expect_rest("before\nhalf\n");
    expect_failure(&server, &client, "handle", false);
    server.connect().echo("the next client is served");
    server.stop().expect_counts(1, 1, 0);
}

fn panic(cell: Cell, handler: Handler) {
    let server = handler.start(cell);
    let mut client = server.connect();
    client.send("echo before\npanic half\necho behind");
    client.expect_rest("before\nhalf\n");
    expect_failure(&server, &client, "handle", true);
    server.connect().echo("the next client is served");
    let ended = server.stop();
    ended.expect_counts(1, 1, 0);
    assert_eq!(ended.events("finish").len(), 2);
}

fn close(cell: Cell, handler: Handler) {
    let server = handler.start(cell);
    let mut client = server.connect();
    client.send("echo one\nbye\necho two");
    client.expect_rest("one\nbye\n");
    server.connect().echo("the next client is served");
    server.stop().expect_counts(2, 0, 0);
}

fn finish(cell: Cell, handler: Handler) {
    let server = handler.start(cell);
    let mut client = server.connect();
    client.echo("one");
    assert_eq!(client.ask("finish-fails error"), "finish fails");
    client.finish();
    client.expect_rest("in finish\n");
    expect_failure(&server, &client, "finish", false);
    let ended = server.stop();
    ended.expect_counts(0, 1, 0);
    assert_eq!(ended.story_of(&client), ["setup", "finish", "error"]);
}

fn truncated(cell: Cell, handler: Handler) {
    let server = handler.start(cell);
    let mut client = server.connect();
    client
        .send_bytes(b"echo one\necho tw")
        .expect("it is taken");
    client.finish();
    if handler == Handler::Command {
        assert_eq!(client.reply(), "one");
        let said = client.reply();
        assert!(said.starts_with("? "), "{said}");
        client.expect_end();
        server.stop().expect_counts(1, 0, 0);
        return;
    }
    client.expect_rest("one\n");
    expect_failure(&server, &client, "handle", false);
    server.stop().expect_counts(0, 1, 0);
}

fn by_hand(cell: Cell, handler: Handler) {
    let server = handler.start(cell);
    let mut client = server.connect();
    client.send("by-hand\nnot a command\necho behind");
    assert_eq!(client.reply(), "by hand: not a command");
    assert_eq!(client.reply(), "behind");
    client.send("by-hand");
    client.send("later");
    assert_eq!(client.reply(), "by hand: later");
    client.echo("again");
    client.finish();
    client.expect_end();
    server.stop().expect_counts(1, 0, 0);
}

fn patient(cell: Cell, handler: Handler) -> Server {
    handler.scenario(cell).with("shutdown-grace", "60s").start()
}

fn idle_is_told(cell: Cell, handler: Handler) {
    let server = patient(cell, handler);
    let mut client = server.connect();
    client.echo("one");
    client.echo("two");
    server.signal(Signal::TERM);
    client.expect_end();
    let ended = server.wait();
    ended.expect_good_within(AT_ONCE);
    ended.expect_counts(1, 0, 0);
    assert_eq!(ended.story_of(&client), ["setup", "finish"]);
}

/// Sends a message and half of the next, in one write, and awaits the first one's reply.
fn begin(client: &mut Client) {
    client
        .send_bytes(b"echo one\necho tw")
        .expect("it is taken");
    assert_eq!(client.reply(), "one");
}

fn half_is_completed(cell: Cell, handler: Handler) {
    let server = patient(cell, handler);
    let mut client = server.connect();
    begin(&mut client);
    server.signal(Signal::TERM);
    client.expect_silence_for(SHORT);
    client.send("o");
    client.expect_rest("two\n");
    let ended = server.wait();
    ended.expect_good_within(AT_ONCE);
    ended.expect_counts(1, 0, 0);
}

fn half_is_given_up(cell: Cell, handler: Handler) {
    let scenario = handler.scenario(cell);
    let server = scenario.with("shutdown-grace", "300ms").start();
    let mut client = server.connect();
    begin(&mut client);
    let began = Instant::now();
    server.signal(Signal::TERM);
    let said = client.rest().expect("an end, not a reset");
    let took = began.elapsed();
    assert!(took >= SHORT - COARSE, "{took:?}");
    assert_eq!(said.is_empty(), handler == Handler::Message, "{said:?}");
    let ended = server.wait();
    ended.expect_good_within(AT_ONCE);
    match handler {
        Handler::Message => ended.expect_counts(0, 1, 0),
        Handler::Command => ended.expect_counts(1, 0, 0), // It was told that half a command is none.
    }
}

fn busy_finishes(cell: Cell, handler: Handler) {
    let server = patient(cell, handler);
    let gate = server.gate("gate");
    let mut client = server.connect();
    client.send(&format!("gate {}\necho behind", gate.path()));
    server.event_of("waiting", &client);
    server.signal(Signal::TERM);
    gate.open();
    client.expect_rest("behind\n");
    let ended = server.wait();
    ended.expect_good_within(AT_ONCE);
    ended.expect_counts(1, 0, 0);
}

fn timed(cell: Cell, handler: Handler) -> Server {
    handler.scenario(cell).with("timeout", "300ms").start()
}

fn expect_timeout(server: Server, client: &Client, began: Instant) {
    let error = server.event_of("error", client);
    assert_eq!(
        (error.get("timeout"), error.get("which"), error.get("panic")),
        ("true", "Read", "false"),
        "{error:?}"
    );
    let took = began.elapsed();
    assert!(took >= SHORT - COARSE && took < LATE, "{took:?}");
    server.connect().echo("the next client is served");
    let ended = server.stop();
    ended.expect_counts(1, 1, 0);
    assert_eq!(ended.events("finish").len(), 2);
}

fn silent(cell: Cell, handler: Handler) {
    let server = timed(cell, handler);
    let mut client = server.connect();
    let began = Instant::now();
    client.echo("one");
    client.expect_end();
    expect_timeout(server, &client, began);
}

fn dribbled(cell: Cell, handler: Handler) {
    let server = timed(cell, handler);
    let mut client = server.connect();
    let began = Instant::now();
    client.echo("one");
    client.set_patience(SHORT / 3);
    // The time between two bytes ends as `WouldBlock`; the connection as end-of-file or as a reset.
    while client.send_bytes(b"x").is_ok()
        && client
            .read(&mut [0])
            .is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    {}
    expect_timeout(server, &client, began);
}

fn slow_but_fine(cell: Cell, handler: Handler) {
    let scenario = handler.scenario(cell);
    let server = scenario.with("timeout", "4s").start();
    let mut client = server.connect();
    for part in ["echo", " one\n", "echo two", "\n"] {
        client.expect_silence_for(Duration::from_millis(1200));
        client.send_bytes(part.as_bytes()).expect("it is taken");
        if part.ends_with('\n') {
            client.reply();
        }
    }
    client.finish();
    client.expect_end();
    server.stop().expect_counts(1, 0, 0);
}

fn parked(cell: Cell, handler: Handler) {
    let server = handler.scenario(cell).with("workers", "2").start();
    let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
    for round in ["one", "two", "three"] {
        for client in &mut clients {
            client.echo(round);
        }
    }
    drop(clients);
    server.stop().expect_counts(20, 0, 0);
}

/// A reply is framed as on a stream.
fn ask(client: &mut Client, packet: &str) -> String {
    client.ask(packet).trim_end_matches('\n').to_owned()
}

fn packets(cell: Cell, handler: Handler) {
    let server = handler.start(cell);
    let mut client = server.connect();
    assert_eq!(ask(&mut client, "echo one"), "one");
    assert_eq!(ask(&mut client, "echo two\n"), "two");
    assert_eq!(ask(&mut client, "by-hand"), "a packet");
    assert_eq!(ask(&mut client, "bye"), "bye");
    assert_eq!(ask(&mut client, "echo three"), "three");
    let ended = server.stop();
    ended.expect_counts(5, 0, 0);
    assert_eq!(ended.events("finish").len(), 5);
    let summary = ended.summary();
    let sent = ["echo one", "echo two\n", "by-hand", "bye", "echo three"];
    let sent: usize = sent.iter().map(|packet| packet.len()).sum();
    assert_eq!(summary.number("bytes_in"), sent as u64);
}

fn bad_packets(cell: Cell, handler: Handler) {
    let server = handler.start(cell);
    let mut client = server.connect();
    client.send("panic half");
    assert_eq!(
        ask(&mut client, "echo behind"),
        "behind",
        "half a reply is none"
    );
    let error = server.event_of("error", &client);
    assert_eq!((error.get("phase"), error.get("panic")), ("handle", "true"));
    let long = format!("echo {}", "x".repeat(TOO_LONG));
    let said = ask(&mut client, &long);
    assert!(said.starts_with("? ") && said.contains("80"), "{said}");
    client.send("echo one\necho two");
    if handler == Handler::Command {
        let said = client.reply();
        assert!(said.starts_with("? "), "{said}");
    }
    assert_eq!(ask(&mut client, "echo behind"), "behind");
    let failed = match handler {
        Handler::Message => 2, // Two messages in a packet are one error, which it does not answer.
        Handler::Command => 1,
    };
    server.stop().expect_counts(5 - failed, failed, 0);
}
