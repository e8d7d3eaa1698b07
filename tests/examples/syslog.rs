use std::os::unix::net::UnixDatagram;

use libtest_mimic::Trial;
use sockserv_tests::Folder;

use crate::client::LOGGER;
use crate::server::Example;
use crate::{Outcome, plain, with_client};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        with_client(LOGGER, "syslog::logger_is_heard", logger_is_heard),
        plain("syslog::one_packet_is_one_line", one_packet_is_one_line),
    ]
}

fn logger_is_heard() -> Outcome {
    let folder = Folder::new();
    let path = folder.join("log").display().to_string();
    let syslog = Example::start("syslog", 1, &[&format!("unix:{path}")])?;
    assert_eq!(syslog.endpoints(), [format!("unix-datagram:{path}")]);
    let options = ["-d", "-u", &path, "-p", "mail.warning", "-t", "postie"];
    LOGGER
        .run(&[&options[..], &["no more stamps"]].concat(), b"")?
        .success();
    let line = syslog.line();
    assert!(
        line.starts_with("mail.warning ") && line.ends_with(" postie: no more stamps"),
        "{line}"
    );
    let modern = ["--rfc5424", "--id=42", "--msgid", "M1", "more stamps"];
    LOGGER
        .run(&[&options[..], &modern].concat(), b"")?
        .success();
    let line = syslog.line();
    assert!(
        line.starts_with("mail.warning ") && line.ends_with(" postie[42]: more stamps"),
        "{line}"
    );
    Ok(syslog.stop()?)
}

fn one_packet_is_one_line() -> Outcome {
    let folder = Folder::new();
    let path = folder.join("log").display().to_string();
    let syslog = Example::start("syslog", 1, &[&format!("unix:{path}")])?;
    let socket = UnixDatagram::unbound()?;
    for (packet, line) in [
        (
            "<0>Oct 11 22:14:15 mymachine su: it's over",
            "kern.emerg Oct 11 22:14:15 mymachine su: it's over",
        ),
        (
            "<191>Oct 11 22:14:15 su: deep\n",
            "local7.debug Oct 11 22:14:15 su: deep",
        ),
        ("<192>too much", "user.notice - -: <192>too much"),
        (
            "two\nlines \u{1b}[2J",
            "user.notice - -: two\\nlines \\u{1b}[2J",
        ),
        (
            "<165>1 2003-10-11T22:14:15.003Z host app 7 ID [x@1 a=\"\\\"] \"][y b=\"2\"] \u{feff}hello",
            "local4.notice 2003-10-11T22:14:15.003Z host app[7]: hello",
        ),
        ("<13>1 - - - - - -", "user.notice - - -[-]: "),
    ] {
        socket.send_to(packet.as_bytes(), &path)?;
        assert_eq!(syslog.line(), line);
    }
    Ok(syslog.stop()?)
}
