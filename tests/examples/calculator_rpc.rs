use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use libtest_mimic::Trial;
use sockserv_tests::Folder;

use crate::client::{self, RPCBIND, RPCGEN, RPCINFO};
use crate::server::{Example, program_with};
use crate::{Outcome, with_client};

const PROGRAM: &str = "536871169";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        with_client(
            RPCINFO,
            "calculator_rpc::rpcinfo_finds_it_on_tcp_and_udp",
            rpcinfo_finds_it,
        ),
        with_client(
            RPCINFO,
            "calculator_rpc::rpcinfo_learns_what_is_not_there",
            rpcinfo_learns_what_is_not_there,
        ),
        with_client(
            RPCGEN,
            "calculator_rpc::a_c_client_calls_every_procedure",
            a_c_client_calls_every_procedure,
        ),
        with_client(
            RPCBIND,
            "calculator_rpc::rpcbind_knows_it_until_it_ends",
            rpcbind_knows_it_until_it_ends,
        ),
    ]
}

fn example() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| program_with("rpc", "calculator_rpc"))
}

fn start() -> io::Result<Example> {
    Example::spawn(Command::new(example()).arg("127.0.0.1:0"), 2)
}

/// The address as RPC writes it, with the port in two bytes: RFC 5665.
fn universal(example: &Example) -> String {
    let port: u16 = example.port().parse().expect("a port");
    format!("127.0.0.1.{}.{}", port >> 8, port & 0xff)
}

fn rpcinfo(calculator: &Example, protocol: &str, what: &[&str]) -> io::Result<client::Output> {
    let at = universal(calculator);
    RPCINFO.run(&[&["-T", protocol, "-a", &at], what].concat(), b"")
}

fn rpcinfo_finds_it() -> Outcome {
    let calculator = start()?;
    for protocol in ["tcp", "udp"] {
        for what in [&[PROGRAM, "1"][..], &[PROGRAM]] {
            let said = rpcinfo(&calculator, protocol, what)?.success();
            assert_eq!(
                said,
                format!("program {PROGRAM} version 1 ready and waiting\n")
            );
        }
    }
    Ok(calculator.stop()?)
}

fn rpcinfo_learns_what_is_not_there() -> Outcome {
    let calculator = start()?;
    for protocol in ["tcp", "udp"] {
        let version = rpcinfo(&calculator, protocol, &[PROGRAM, "9"])?.stderr;
        assert!(
            version.contains("low version = 1, high version = 1"),
            "{version}"
        );
        let program = rpcinfo(&calculator, protocol, &["536871170", "1"])?.stderr;
        assert!(program.contains("Program unavailable"), "{program}");
    }
    Ok(calculator.stop()?)
}

fn a_c_client_calls_every_procedure() -> Outcome {
    let folder = Folder::new();
    let program = c_client(&folder)?;
    let calculator = start()?;
    for protocol in ["tcp", "udp"] {
        let mut command = Command::new(&program);
        command.args(["127.0.0.1", protocol, calculator.port()]);
        let said = client::run(&mut command, b"")?.success();
        assert_eq!(said, SAID, "over {protocol}");
    }
    Ok(calculator.stop()?)
}

const SAID: &str = "\
add: 8999999999999999999
subtract: -12
multiply: overflow, the result has more than 64 bits
divide: 3
divide: verdict 1
sum: 1099511627772
statistics: 3, 3.66504e+11, -8 to 1099511627776
statistics: none
stored: 1
e = 2
pi = 3
caller: nobody at home
caller: 1234 at here
wrong: RPC: Server can't decode arguments
";

/// What `rpcgen` makes of the same interface, and a `main` of ours.
fn c_client(folder: &Folder) -> io::Result<PathBuf> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = "cp \"$0\" \"$1\" . &&
        rpcgen -h -o calculator.h calculator.x &&
        rpcgen -c -o calculator_xdr.c calculator.x &&
        rpcgen -l -o calculator_clnt.c calculator.x &&
        gcc -I/usr/include/tirpc -o client calculator_client.c calculator_xdr.c calculator_clnt.c -ltirpc";
    let mut command = Command::new("sh");
    command
        .args(["-c", script])
        .arg(sources.join("../examples/calculator.x"))
        .arg(sources.join("examples/calculator_client.c"))
        .current_dir(folder.path());
    client::run(&mut command, b"")?.success();
    Ok(folder.path().join("client"))
}

/// Real ports and a real rpcbind, in namespaces that end with the script.
fn rpcbind_knows_it_until_it_ends() -> Outcome {
    let script =
        "ip link set lo up && mount -t tmpfs none /run && rpcbind && mkfifo /run/said || exit
        \"$0\" --rpcbind 127.0.0.1:0 >/run/said &
        exec 3</run/said
        read -r line <&3
        rpcinfo -p 127.0.0.1
        rpcinfo -T tcp 127.0.0.1 536871169
        rpcinfo -T udp 127.0.0.1 536871169
        kill $! && wait $!
        echo \"ended with $?\"
        rpcinfo -p 127.0.0.1";
    let mut command = Command::new("unshare");
    command
        .args(["-nm", "--pid", "--fork", "--kill-child", "sh", "-c", script])
        .arg(example());
    let said = client::run(&mut command, b"")?.success();
    let (before, after) = said
        .split_once("ended with 0\n")
        .unwrap_or_else(|| panic!("{said}"));
    for protocol in ["tcp", "udp"] {
        let is_ours = |line: &&str| line.contains(PROGRAM) && line.contains(protocol);
        assert_eq!(before.lines().filter(is_ours).count(), 1, "{before}");
    }
    let ready = format!("program {PROGRAM} version 1 ready and waiting\n");
    assert_eq!(before.matches(&ready).count(), 2, "{before}");
    assert!(
        after.contains("portmapper") && !after.contains(PROGRAM),
        "{after}"
    );
    Ok(())
}
