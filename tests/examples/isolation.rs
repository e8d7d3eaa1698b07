use std::process::{Command, Stdio};
use std::{fs, io};

use libtest_mimic::Trial;

use crate::client::{NC, Peer, STRACE};
use crate::server::{Example, aborting_program, program};
use crate::{Outcome, plain, with_client};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        plain("isolation::an_abort_stays_in_its_child", || {
            crashes("abort", "signal: 6 (SIGABRT)")
        }),
        plain("isolation::a_stack_overflow_stays_in_its_child", || {
            crashes("overflow", "signal: ")
        }),
        plain("isolation::an_exit_stays_in_its_child", || {
            crashes("exit 3", "exit status: 3")
        }),
        plain(
            "isolation::a_build_whose_panics_abort_says_so",
            a_build_whose_panics_abort,
        ),
        plain("isolation::a_panic_is_reported", || {
            crashes("panic", "on demand")
        }),
        with_client(
            NC,
            "isolation::nc_gets_a_child_of_its_own",
            nc_gets_a_child_of_its_own,
        ),
        with_client(
            NC,
            "isolation::a_leak_goes_with_its_child",
            a_leak_goes_with_its_child,
        ),
        with_client(
            STRACE,
            "isolation::an_old_kernel_is_named",
            an_old_kernel_is_named,
        ),
    ]
}

fn start() -> io::Result<Example> {
    // The crashes on demand have much to say on stderr.
    Example::spawn(
        Command::new(program("isolation"))
            .arg("127.0.0.1:0")
            .stderr(Stdio::null()),
        1,
    )
}

/// A server that could not watch its children does not begin to take requests.
fn an_old_kernel_is_named() -> Outcome {
    let mut strace = Command::new("timeout"); // Should it serve, it would not end.
    strace.args(["20", STRACE.name, "-qq", "-o", "/dev/null"]);
    strace.args(["-e", "inject=pidfd_open:error=ENOSYS"]);
    let output = strace
        .arg(program("isolation"))
        .arg("127.0.0.1:0")
        .output()?;
    let said = String::from_utf8(output.stderr)?;
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("pidfd_open"), "{said}");
    assert!(said.contains("Linux 5.4 or later"), "{said}");
    Ok(())
}

fn crashes(word: &str, report: &str) -> Outcome {
    let isolation = start()?;
    let mut bystander = Peer::connect(isolation.addr())?;
    bystander.send("echo before\n")?;
    assert!(bystander.line()?.ends_with(": before\n"));
    let mut peer = Peer::connect(isolation.addr())?;
    peer.send(format!("{word}\n"))?;
    // A child that crashes may reset its connection: end of file or an error, but no answer.
    assert_eq!(peer.rest().unwrap_or_default(), "");
    let line = isolation.line();
    assert!(
        line.starts_with("127.0.0.1:") && line.contains(report),
        "{line}"
    );
    bystander.send("echo after\n")?;
    assert!(bystander.line()?.ends_with(": after\n"));
    let mut next = Peer::connect(isolation.addr())?;
    next.send("echo still here\n")?;
    assert!(next.line()?.ends_with(": still here\n"));
    drop((bystander, next));
    Ok(isolation.stop()?)
}

/// Nothing catches a panic then: the child dies of it, and is reported as one that crashed.
fn a_build_whose_panics_abort() -> Outcome {
    let mut command = Command::new(aborting_program("isolation"));
    let mut isolation = Example::spawn(command.arg("127.0.0.1:0").stderr(Stdio::piped()), 1)?;
    let mut peer = Peer::connect(isolation.addr())?;
    peer.send("panic\n")?;
    assert_eq!(peer.rest().unwrap_or_default(), "");
    let line = isolation.line();
    assert!(line.contains("signal: 6 (SIGABRT)"), "{line}");
    let mut next = Peer::connect(isolation.addr())?;
    next.send("echo still here\n")?;
    assert!(next.line()?.ends_with(": still here\n"));
    drop(next);
    let stderr = isolation.stderr().expect("it was asked for");
    isolation.stop()?;
    let said = io::read_to_string(stderr)?;
    assert_eq!(
        said.matches("built with panic = \"abort\"").count(),
        1,
        "{said}"
    );
    Ok(())
}

fn nc_gets_a_child_of_its_own() -> Outcome {
    let isolation = start()?;
    let ask = || NC.run(&["-N", "127.0.0.1", isolation.port()], b"echo hello\n");
    let (first, second) = (ask()?.success(), ask()?.success());
    assert_ne!(first, second, "each has another process id");
    for output in [first, second] {
        let (child, text) = output
            .split_once(": ")
            .expect("the id of the child and the text");
        assert_eq!(text, "hello\n");
        assert_ne!(child, isolation.pid().to_string());
    }
    Ok(isolation.stop()?)
}

fn a_leak_goes_with_its_child() -> Outcome {
    let isolation = start()?;
    let output = NC
        .run(&["-N", "127.0.0.1", isolation.port()], b"leak\nleak\n")?
        .success();
    assert_eq!(
        output.matches(": leaked 67108864 bytes\n").count(),
        2,
        "{output}"
    );
    let status = fs::read_to_string(format!("/proc/{}/status", isolation.pid()))?;
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("it is there");
    let resident: usize = resident.trim().trim_end_matches(" kB").parse()?;
    assert!(
        resident < 32 * 1024,
        "the server itself holds {resident} kB"
    );
    Ok(isolation.stop()?)
}
