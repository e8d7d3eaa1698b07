use std::process::Command;
use std::{fs, io};

use libtest_mimic::Trial;
use sockserv_tests::{Folder, wait_until};

use crate::client::{PYTHON, Peer, STRACE, SWAKS};
use crate::server::{Example, program};
use crate::{Outcome, plain, with_client};

type Test = (&'static str, fn() -> Outcome);

pub(crate) fn trials() -> Vec<Trial> {
    let swaks = WITH_SWAKS.map(|(name, test)| with_client(SWAKS, name, test));
    let python = WITH_PYTHON.map(|(name, test)| with_client(PYTHON, name, test));
    let plain = PLAIN.map(|(name, test)| plain(name, test));
    let strace = with_client(
        STRACE,
        "smtp_sink::a_mail_is_on_disk_before_it_is_accepted",
        a_mail_is_on_disk_before_it_is_accepted,
    );
    let all = swaks.into_iter().chain(python).chain(plain);
    all.chain([strace]).collect()
}

const WITH_SWAKS: [Test; 2] = [
    ("smtp_sink::swaks_sends_a_mail", swaks_sends_a_mail),
    (
        "smtp_sink::swaks_sends_in_a_pipeline",
        swaks_sends_in_a_pipeline,
    ),
];

const WITH_PYTHON: [Test; 2] = [
    ("smtp_sink::smtplib_sends_mails", smtplib_sends_mails),
    ("smtp_sink::smtplib_is_refused", smtplib_is_refused),
];

const PLAIN: [Test; 6] = [
    (
        "smtp_sink::a_whole_session_may_come_at_once",
        a_whole_session_may_come_at_once,
    ),
    ("smtp_sink::commands_have_an_order", commands_have_an_order),
    (
        "smtp_sink::a_mail_ends_with_its_own_line_of_a_dot",
        a_mail_ends_with_a_dot,
    ),
    (
        "smtp_sink::what_is_too_long_is_refused",
        what_is_too_long_is_refused,
    ),
    (
        "smtp_sink::nothing_is_added_to_a_header",
        nothing_is_added_to_a_header,
    ),
    (
        "smtp_sink::half_a_mail_leaves_nothing",
        half_a_mail_leaves_nothing,
    ),
];

/// A server with a maildir of its own.
struct Server {
    example: Example,
    folder: Folder,
}

impl Server {
    fn start() -> io::Result<Self> {
        let folder = Folder::new();
        let dir = folder.join("mail");
        let dir = dir.to_str().expect("a plain path");
        let example = Example::start("smtp_sink", 1, &["--dir", dir, "127.0.0.1:0"])?;
        Ok(Server { example, folder })
    }

    /// The mails that were accepted, in their order.
    fn mails(&self) -> io::Result<Vec<String>> {
        let mut names = fs::read_dir(self.folder.join("mail/new"))?
            .map(|entry| Ok(entry?.path()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort();
        let bytes = names.iter().map(fs::read);
        bytes
            .map(|bytes| Ok(String::from_utf8_lossy(&bytes?).into_owned()))
            .collect()
    }

    fn unfinished(&self) -> usize {
        fs::read_dir(self.folder.join("mail/tmp")).map_or(0, Iterator::count)
    }

    /// A peer that has been greeted.
    fn peer(&self) -> io::Result<Peer> {
        let mut peer = Peer::connect(self.example.addr())?;
        assert!(peer.line()?.starts_with("220 "));
        peer.send("HELO me\r\n")?;
        assert!(peer.line()?.starts_with("250 "));
        Ok(peer)
    }
}

/// Sends a command and insists on the code of its reply.
fn ask(peer: &mut Peer, command: &str, code: u16) -> io::Result<()> {
    peer.send(format!("{command}\r\n"))?;
    let reply = peer.line()?;
    assert!(reply.starts_with(&format!("{code} ")), "{command}: {reply}");
    Ok(())
}

fn swaks(server: &Server, more: &[&str]) -> io::Result<String> {
    let to = [
        "--server",
        server.example.addr(),
        "--from",
        "me@sockserv.test",
        "--to",
        "joe@sockserv.test",
    ];
    Ok(SWAKS.run(&[&to, more].concat(), b"")?.success())
}

fn swaks_sends_a_mail() -> Outcome {
    let server = Server::start()?;
    swaks(&server, &["--body", "a line\n.\n..another"])?;
    let mails = server.mails()?;
    assert_eq!(mails.len(), 1);
    let (head, body) = mails[0].split_once("\n\n").expect("a head and a body");
    assert!(
        head.starts_with(
            "Return-Path: <me@sockserv.test>\nDelivered-To: joe@sockserv.test\nReceived: from "
        ),
        "{head}"
    );
    assert!(head.contains("\nTo: joe@sockserv.test\n"), "{head}");
    assert!(body.starts_with("a line\n.\n..another\n"), "{body}");
    assert_eq!(server.unfinished(), 0);
    Ok(server.example.stop()?)
}

fn swaks_sends_in_a_pipeline() -> Outcome {
    let server = Server::start()?;
    let said = swaks(
        &server,
        &["--pipeline", "--to", "ann@sockserv.test,joe@sockserv.test"],
    )?;
    assert!(
        said.contains("<-  250 OK\n<-  250 OK\n<-  250 OK\n<-  354 "),
        "{said}"
    );
    assert!(
        server.mails()?[0]
            .contains("\nDelivered-To: ann@sockserv.test\nDelivered-To: joe@sockserv.test\n")
    );
    Ok(server.example.stop()?)
}

fn python(server: &Server, script: &str) -> io::Result<String> {
    let arguments = ["-c", script, server.example.port()];
    Ok(PYTHON.run(&arguments, b"")?.success())
}

fn smtplib_sends_mails() -> Outcome {
    let server = Server::start()?;
    let script = "\
import smtplib, sys
with smtplib.SMTP('127.0.0.1', int(sys.argv[1])) as smtp:
    smtp.ehlo()
    features = {'size': '10485760', '8bitmime': '', 'pipelining': '', 'help': ''}
    assert smtp.esmtp_features == features, smtp.esmtp_features
    assert smtp.sendmail('me@here', ['ann@there', 'joe@there'], 'Subject: one\\r\\n\\r\\n.\\r\\n..\\r\\nend') == {}
    body = 'Subject: two\\r\\n\\r\\ngr\\u00fc\\u00df dich\\r\\n'.encode()
    assert smtp.sendmail('', 'ann@there', body, mail_options=['BODY=8BITMIME']) == {}
    assert smtp.sendmail('me@here', 'ann@there', b'x' * 70 + b'\\r\\n' + (b'y' * 70 + b'\\r\\n') * 140000) == {}
    assert smtp.verify('joe')[0] == 252
    assert smtp.noop()[0] == 250
    assert smtp.rset()[0] == 250
    assert b'MAIL FROM: sender' in smtp.help()
    assert smtp.quit() == (221, b'bye')
";
    python(&server, script)?;
    let mails = server.mails()?;
    assert_eq!(mails.len(), 3);
    assert!(
        mails[0].ends_with("Subject: one\n\n.\n..\nend\n"),
        "{}",
        mails[0]
    );
    assert!(mails[1].starts_with("Return-Path: <>\nDelivered-To: ann@there\n"));
    assert!(
        mails[1].ends_with("\n\ngr\u{fc}\u{df} dich\n"),
        "{}",
        mails[1]
    );
    assert_eq!(
        mails[2]
            .lines()
            .filter(|line| *line == "y".repeat(70))
            .count(),
        140_000
    );
    Ok(server.example.stop()?)
}

fn smtplib_is_refused() -> Outcome {
    let server = Server::start()?;
    let script = "\
import smtplib, sys
with smtplib.SMTP('127.0.0.1', int(sys.argv[1])) as smtp:
    smtp.ehlo()
    try:
        smtp.sendmail('me@here', 'joe@there', b'x' * 78 + (b'\\r\\n' + b'y' * 78) * 140000)
        sys.exit('too large, but taken')
    except smtplib.SMTPSenderRefused as error:
        assert error.smtp_code == 552, error
    smtp.esmtp_features.pop('size')
    try:
        smtp.sendmail('me@here', 'joe@there', b'x' * 78 + (b'\\r\\n' + b'y' * 78) * 140000)
        sys.exit('too large, but taken')
    except smtplib.SMTPDataError as error:
        assert error.smtp_code == 552, error
    refused = smtp.sendmail('me@here', ['joe%d@there' % n for n in range(101)], b'hello')
    assert refused == {'joe100@there': (452, b'too many recipients')}, refused
    assert smtp.docmd('EXPN', 'joe')[0] == 500
    assert smtp.mail('me@here', ['SMTPUTF8=1'])[0] == 555
    assert smtp.docmd('MAIL', 'FROM:me@here')[0] == 501
";
    python(&server, script)?;
    assert_eq!((server.mails()?.len(), server.unfinished()), (1, 0));
    Ok(server.example.stop()?)
}

fn a_whole_session_may_come_at_once() -> Outcome {
    let server = Server::start()?;
    let mut peer = Peer::connect(server.example.addr())?;
    let first = "EHLO me\r\nMAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\none\r\n.\r\n";
    let second = "MAIL FROM: <c> BODY=7BIT SIZE=5\r\nrcpt to:<d>\r\ndata\r\ntwo\r\n.\r\n";
    peer.send(format!("{first}{second}QUIT\r\nNOOP\r\n"))?;
    let replies = peer.rest()?;
    let codes: Vec<_> = replies.lines().skip(6).map(|line| &line[..3]).collect();
    assert_eq!(
        codes,
        [
            "250", "250", "354", "250", "250", "250", "354", "250", "221"
        ],
        "{replies}"
    );
    let mails = server.mails()?;
    assert!(
        mails[0].ends_with("\none\n") && mails[1].ends_with("\ntwo\n"),
        "{mails:?}"
    );
    Ok(server.example.stop()?)
}

fn commands_have_an_order() -> Outcome {
    let server = Server::start()?;
    let mut peer = Peer::connect(server.example.addr())?;
    peer.line()?;
    ask(&mut peer, "MAIL FROM:<a@b>", 503)?;
    ask(&mut peer, "HELO", 501)?;
    ask(&mut peer, "HELO me", 250)?;
    ask(&mut peer, "RCPT TO:<a@b>", 503)?;
    ask(&mut peer, "DATA", 503)?;
    ask(&mut peer, "MAIL FROM:<@old,@route:a@b>", 250)?;
    ask(&mut peer, "MAIL FROM:<c@d>", 503)?;
    ask(&mut peer, "DATA", 503)?;
    ask(&mut peer, "RCPT TO:<>", 553)?;
    ask(&mut peer, "RCPT TO:<a b>", 501)?;
    ask(&mut peer, "RCPT TO:<joe> NOTIFY=NEVER", 555)?;
    ask(&mut peer, "RCPT TO:<joe>", 250)?;
    ask(&mut peer, "DATA now", 501)?;
    ask(&mut peer, "RSET", 250)?;
    ask(&mut peer, "RCPT TO:<joe>", 503)?;
    ask(&mut peer, "MAIL FROM:<>", 250)?;
    ask(&mut peer, "HELO again", 250)?;
    ask(&mut peer, "RCPT TO:<joe>", 503)?;
    Ok(server.example.stop()?)
}

/// Whoever ends a mail elsewhere makes two of one: what is behind would be commands of somebody else.
fn a_mail_ends_with_a_dot() -> Outcome {
    let server = Server::start()?;
    let mut peer = server.peer()?;
    ask(&mut peer, "MAIL FROM:<a>", 250)?;
    ask(&mut peer, "RCPT TO:<b>", 250)?;
    ask(&mut peer, "DATA", 354)?;
    for no_end in [
        "one\n.\r\n",
        "two\r\n.\n",
        "three\r.\r\n",
        "four\r\n.\r",
        ". \r\n",
    ] {
        peer.send(no_end)?;
    }
    ask(&mut peer, ".", 250)?;
    ask(&mut peer, "NOOP", 250)?;
    let mails = server.mails()?;
    assert!(
        mails[0].ends_with("\none\n.\ntwo\n\nthree\r.\nfour\n\r. \n"),
        "{:?}",
        mails[0]
    );
    Ok(server.example.stop()?)
}

fn what_is_too_long_is_refused() -> Outcome {
    let server = Server::start()?;
    let mut peer = server.peer()?;
    ask(&mut peer, &format!("NOOP {}", "x".repeat(4096)), 500)?;
    ask(&mut peer, "MAIL FROM:<a>", 250)?;
    ask(&mut peer, "RCPT TO:<b>", 250)?;
    ask(&mut peer, "DATA", 354)?;
    peer.send(format!("begin\r\n{}\r\nend\r\n", "x".repeat(2 << 20)))?;
    ask(&mut peer, ".", 500)?;
    ask(&mut peer, "NOOP", 250)?;
    assert_eq!((server.mails()?.len(), server.unfinished()), (0, 0));
    Ok(server.example.stop()?)
}

fn nothing_is_added_to_a_header() -> Outcome {
    let server = Server::start()?;
    let mut peer = server.peer()?;
    ask(&mut peer, "HELO me\nX-Mine:yes", 501)?;
    ask(&mut peer, "MAIL FROM:<a@b\nX-Mine:yes>", 501)?;
    ask(&mut peer, "MAIL FROM:<a@b>", 250)?;
    ask(&mut peer, "RCPT TO:<a\rX-Mine:yes>", 501)?;
    ask(&mut peer, "RCPT TO:<j\u{f6}@b>", 501)?;
    Ok(server.example.stop()?)
}

fn half_a_mail_leaves_nothing() -> Outcome {
    let server = Server::start()?;
    let mut peer = server.peer()?;
    ask(&mut peer, "MAIL FROM:<a>", 250)?;
    ask(&mut peer, "RCPT TO:<b>", 250)?;
    ask(&mut peer, "DATA", 354)?;
    assert_eq!(server.unfinished(), 1);
    peer.send("half a line")?;
    drop(peer);
    wait_until(|| server.unfinished() == 0);
    assert!(server.mails()?.is_empty());
    Ok(server.example.stop()?)
}

fn a_mail_is_on_disk_before_it_is_accepted() -> Outcome {
    let folder = Folder::new();
    let trace = folder.join("trace");
    let mut command = Command::new(STRACE.name);
    // The server is our child, the tracer is not: a signal reaches the server.
    command.args(["-D", "-f", "-s", "400", "-o"]).arg(&trace);
    command.arg(program("smtp_sink")).arg("--dir");
    command.arg(folder.join("mail")).arg("127.0.0.1:0");
    let example = Example::spawn(&mut command, 1)?;
    let server = Server { example, folder };
    let mut peer = server.peer()?;
    ask(&mut peer, "MAIL FROM:<a>", 250)?;
    ask(&mut peer, "RCPT TO:<b>", 250)?;
    ask(&mut peer, "DATA", 354)?;
    peer.send("hello\r\n")?;
    ask(&mut peer, ".", 250)?;
    let calls = || fs::read_to_string(&trace).expect("it is being written");
    wait_until(|| calls().contains("250 it is safe"));
    let calls = calls();
    let mut rest = &calls[..];
    for call in ["hello", "fsync(", "rename", "fsync(", "250 it is safe"] {
        let at = rest.find(call);
        let at = at.unwrap_or_else(|| panic!("`{call}` does not come in its turn: {calls}"));
        rest = &rest[at + call.len()..];
    }
    Ok(server.example.stop()?)
}
