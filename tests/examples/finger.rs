use std::io;
use std::process::Command;

use libtest_mimic::Trial;

use crate::client::{self, FINGER, NC, Output};
use crate::server::Example;
use crate::{Outcome, with_client};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        with_client(FINGER, "finger::finger_finds_root", finger_finds_root),
        with_client(
            FINGER,
            "finger::finger_lists_everybody",
            finger_lists_everybody,
        ),
        with_client(
            FINGER,
            "finger::finger_is_not_forwarded",
            finger_is_not_forwarded,
        ),
        with_client(
            NC,
            "finger::nc_asks_for_nobody_we_know",
            nc_asks_for_nobody_we_know,
        ),
    ]
}

fn finger_finds_root() -> Outcome {
    let finger = on_port_79()?;
    let short = ask(&finger, &["root@127.0.0.1"])?.success();
    assert!(short.contains("root"), "{short}");
    assert!(!short.contains("Directory: /root"), "{short}");
    let whole = ask(&finger, &["-l", "root@127.0.0.1"])?.success();
    assert!(
        whole.contains("Login: root") && whole.contains("Directory: /root"),
        "{whole}"
    );
    Ok(finger.stop()?)
}

fn finger_lists_everybody() -> Outcome {
    let finger = on_port_79()?;
    let everybody = ask(&finger, &["@127.0.0.1"])?.success();
    assert!(everybody.contains("root"), "{everybody}");
    assert!(!everybody.contains("daemon"), "{everybody}");
    Ok(finger.stop()?)
}

fn finger_is_not_forwarded() -> Outcome {
    let finger = on_port_79()?;
    let refused = ask(&finger, &["root@example.org@127.0.0.1"])?.success();
    assert!(
        refused.contains("Finger forwarding service denied"),
        "{refused}"
    );
    Ok(finger.stop()?)
}

fn nc_asks_for_nobody_we_know() -> Outcome {
    let finger = Example::on_a_port("finger")?;
    let output = NC.run(&["127.0.0.1", finger.port()], b"no-such-user\x1b[2J\r\n")?;
    assert_eq!(output.success(), "no-such-user\\u{1b}[2J: no such user\r\n");
    Ok(finger.stop()?)
}

/// Its real port, in a network namespace where we are root.
fn on_port_79() -> io::Result<Example> {
    let program = crate::server::program("finger");
    let script = "ip link set lo up && exec \"$0\"";
    let finger = Example::spawn(
        Command::new("unshare")
            .args(["-rn", "sh", "-c", script])
            .arg(program),
        1,
    )?;
    assert_eq!(finger.endpoints(), ["tcp://127.0.0.1:79"]);
    Ok(finger)
}

/// The real `finger`, in the namespace of the server.
fn ask(server: &Example, arguments: &[&str]) -> io::Result<Output> {
    let target = server.pid().to_string();
    let mut command = Command::new("nsenter");
    command
        .args([
            "--preserve-credentials",
            "-U",
            "-n",
            "-t",
            &target,
            "finger",
        ])
        .args(arguments);
    client::run(&mut command, b"")
}
