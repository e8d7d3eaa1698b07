//! Servers that systemd starts when somebody comes, with the sockets that it opened: F26, D29, promise 8.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use libtest_mimic::Trial;
use sockserv_tests::Folder;

use crate::client::{Peer, SYSTEMD, ask};
use crate::server::{Example, program};
use crate::{Outcome, with_client};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        with_client(
            SYSTEMD,
            "activated::echo_takes_the_port_in_place_of_its_own",
            echo_takes_the_port,
        ),
        with_client(
            SYSTEMD,
            "activated::a_name_that_was_not_handed_over_is_an_error",
            another_name,
        ),
    ];
    trials.push(with_client(
        SYSTEMD,
        "activated::one_connection_is_no_matter_for_prefork",
        prefork_refuses,
    ));
    trials.push(with_client(
        SYSTEMD,
        "activated::an_index_chooses_among_sockets_of_one_name",
        by_index,
    ));
    for model in ["sync", "threading", "pool", "forking"] {
        for (name, options) in [("inetd", &["--inetd"][..]), ("accept_yes", &[])] {
            trials.push(with_client(
                SYSTEMD,
                &format!("activated::{name}_serves_one_connection_by_{model}"),
                move || connections(model, options),
            ));
        }
    }
    for model in ["sync", "threading", "forking"] {
        trials.push(with_client(
            SYSTEMD,
            &format!("activated::a_stream_is_served_by_{model}"),
            move || stream(model),
        ));
        trials.push(with_client(
            SYSTEMD,
            &format!("activated::a_datagram_is_served_by_{model}"),
            move || datagram(model),
        ));
    }
    trials
}

/// An activation that listens already, and becomes the server when somebody comes.
fn activation(options: &[&str], server: &[&str]) -> std::io::Result<Example> {
    activation_of(options, &program(server[0]), &server[1..])
}

fn activation_of(options: &[&str], program: &Path, server: &[&str]) -> std::io::Result<Example> {
    let mut command = Command::new(SYSTEMD.name);
    command
        .args(options)
        .arg(program)
        .args(server)
        .stderr(Stdio::piped());
    let mut waiting = Example::spawn(&mut command, 0)?;
    let mut said = BufReader::new(waiting.stderr().expect("it was asked for"));
    let mut line = String::new();
    while !line.starts_with("Listening on ") {
        line.clear();
        assert_ne!(said.read_line(&mut line)?, 0, "it does not listen");
    }
    // What it says later is read, so that it never waits for a reader.
    thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
    Ok(waiting)
}

fn matrix(folder: &Folder, kind: &[&str], cell: [&str; 2]) -> std::io::Result<Example> {
    let path = folder.join("socket").display().to_string();
    let options = [kind, &["-l", &path, "--fdname=web"]].concat();
    activation(&options, &["matrix", cell[0], cell[1], "systemd:web"])
}

fn stream(model: &str) -> Outcome {
    let folder = Folder::new();
    let path = folder.join("socket");
    let mut server = matrix(&folder, &[], ["unix", model])?;
    let first = UnixStream::connect(&path)?;
    server.await_announcements(1);
    assert_eq!(server.endpoints(), [format!("unix:{}", path.display())]);
    assert_eq!(
        ask(&first, b"the one it was started for\n")?,
        b"the one it was started for\n"
    );
    drop(first);
    assert_eq!(
        ask(&UnixStream::connect(&path)?, b"the next\n")?,
        b"the next\n"
    );
    expect_path_outlives(server, &path)
}

fn datagram(model: &str) -> Outcome {
    let folder = Folder::new();
    let path = folder.join("socket");
    let mut server = matrix(&folder, &["--datagram"], ["unix_datagram", model])?;
    let client = UnixDatagram::bind(folder.join("client"))?;
    client.set_read_timeout(Some(crate::client::DEADLINE))?;
    client.connect(&path)?;
    for packet in [&b"the one it was started for"[..], b"the next"] {
        client.send(packet)?;
        let mut reply = [0; 64];
        let count = client.recv(&mut reply)?;
        assert_eq!(&reply[..count], packet);
    }
    server.await_announcements(1);
    expect_path_outlives(server, &path)
}

fn expect_path_outlives(server: Example, path: &Path) -> Outcome {
    server.stop()?;
    assert!(path.exists(), "who made it removes it");
    Ok(())
}

fn echo_takes_the_port() -> Outcome {
    // Nobody else asks for a port of this address, so the number is still free when it is taken again.
    let free = TcpListener::bind("127.0.0.77:0")?.local_addr()?.to_string();
    let mut server = activation(&["-l", &free], &["echo"])?;
    let mut peer = Peer::connect(&free)?;
    server.await_announcements(1);
    assert_eq!(server.endpoints(), [format!("tcp://{free}")]);
    peer.send("hello\n")?;
    assert_eq!(peer.line()?, "hello\n");
    drop(peer);
    Ok(server.stop()?)
}

fn another_name() -> Outcome {
    let folder = Folder::new();
    let path = folder.join("socket").display().to_string();
    let options = ["-l", &path, "--fdname=web"];
    let mut server = activation(&options, &["matrix", "unix", "sync", "systemd:other"])?;
    let _first = UnixStream::connect(&path)?;
    assert!(!server.wait()?.success(), "there is no `other`");
    Ok(())
}

/// A server for each connection, which is its stdin, stdout and stderr; or the one descriptor that is handed over.
fn connections(model: &str, options: &[&str]) -> Outcome {
    let folder = Folder::new();
    let path = folder.join("socket").display().to_string();
    // A shell gives it the socket as its stderr, too, as inetd does.
    let (script, at) = match options.is_empty() {
        false => ("exec 2>&1; exec \"$0\" \"$@\"", "inetd"),
        true => ("exec \"$0\" \"$@\"", "systemd:web"),
    };
    let matrix = program("matrix").display().to_string();
    let server = [
        "-c",
        script,
        &matrix,
        "unix",
        model,
        at,
        "--timeout",
        "50ms",
    ];
    let options = [&["-a", "-l", &path, "--fdname=web"], options].concat();
    let waiting = activation_of(&options, Path::new("sh"), &server)?;
    for text in ["the first\n", "the second\n"] {
        let mut client = UnixStream::connect(&path)?;
        client.set_read_timeout(Some(crate::client::DEADLINE))?;
        client.write_all(text.as_bytes())?;
        // It says no more for longer than it may, which is worth a line on stderr; the end comes by itself.
        let mut said = String::new();
        client.read_to_string(&mut said)?;
        assert_eq!(said, text, "nothing else is printed to a peer");
    }
    drop(waiting);
    Ok(())
}

fn prefork_refuses() -> Outcome {
    let folder = Folder::new();
    let path = folder.join("socket").display().to_string();
    let matrix = program("matrix");
    let server = ["unix", "prefork", "inetd"];
    let _waiting = activation_of(&["-a", "--inetd", "-l", &path], &matrix, &server)?;
    let mut said = String::new();
    UnixStream::connect(&path)?.read_to_string(&mut said)?;
    assert_eq!(said, "");
    Ok(())
}

fn by_index() -> Outcome {
    let folder = Folder::new();
    let path = |name: &str| folder.join(name).display().to_string();
    let (first, second) = (path("first"), path("second"));
    let options = ["-l", &first, "-l", &second, "--fdname=web"];
    let server = ["matrix", "unix", "sync", "systemd:web:1"];
    let mut server = activation(&options, &server)?;
    let client = UnixStream::connect(&second)?;
    server.await_announcements(1);
    assert_eq!(server.endpoints(), [format!("unix:{second}")]);
    assert_eq!(ask(&client, b"here\n")?, b"here\n");
    Ok(server.stop()?)
}
