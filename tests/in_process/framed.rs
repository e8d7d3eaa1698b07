//! Messages over real connections: however the bytes are cut, and whatever is wrong with them.

use std::io::BufReader;
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use sockserv::Running;
use sockserv::codec::{Decoder, FrameError, LengthPrefixed, Lines, Overflow, RecordMarking, Width};
use sockserv::prelude::*;

use crate::Test;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("framed_messages_in_single_bytes", single_bytes),
        ("framed_messages_in_one_write", pipelined),
        ("framed_replies_leave_in_one_write", tied),
        ("framed_message_that_is_too_long", too_long),
        ("framed_codec_that_ends_is_the_end", ended),
        ("framed_half_message_and_the_end", truncated),
        ("framed_message_that_cannot_be_sent", unsendable),
        ("framed_silence_is_a_timeout", silence),
        ("framed_leftover_goes_back", leftover),
        ("framed_change_refuses_what_came_early", change),
        ("framed_idle_stream_ends_at_a_shutdown", idle),
        ("framed_halves", halves),
        ("framed_long_messages", long),
    ]
}

/// Frames its stream as the first byte says, and tells what it saw.
#[derive(Clone)]
struct Frames(mpsc::Sender<String>);

macro_rules! servers {
    ($($module:ident: $model:ident;)*) => {$(
        mod $module {
            use sockserv::prelude::*;

            #[derive(Clone)]
            pub(super) struct Frames(pub(super) super::Frames);

            #[server(tcp, $model, timeout = "10s", vis = pub(super))]
            impl Frames {
                fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
                    self.0.serve(stream)
                }
            }
        }
    )*};
}
servers! {
    synchronous: sync;
    threading: threading;
}

impl Frames {
    fn serve(&self, stream: &mut Stream) -> io::Result<()> {
        let mut kind = [0];
        stream.rfile.read_exact(&mut kind)?;
        match kind[0] {
            b'l' => self.echo(stream, Lines::new(20)),
            b'c' => self.echo(stream, Lines::new(20).on_overflow(Overflow::Close)),
            b'p' => self.echo(stream, LengthPrefixed::new(Width::U32Be, 64 << 10)),
            b'r' => self.echo(stream, RecordMarking::new(4 << 20)),
            b't' => {
                stream.set_timeout(Duration::from_millis(50))?;
                self.echo(stream, Lines::new(20))
            }
            b'u' => {
                let mut lines = stream.framed(Lines::new(20));
                lines.send("good")?;
                self.tell(&lines.send("two\nlines"));
                lines.send("better")
            }
            b'h' => self.by_hand(stream),
            b's' => self.change(stream),
            _ => halved(stream),
        }
        .map_err(Into::into)
    }

    /// Echoes messages, and goes on after errors.
    fn echo<C>(&self, stream: &mut Stream, codec: C) -> Result<(), FrameError>
    where
        C: Decoder<Item = Bytes, Error = FrameError>,
        C: sockserv::codec::Encoder<Bytes, Error = FrameError>,
    {
        let mut framed = stream.framed(codec);
        loop {
            match framed.next() {
                Ok(Some(frame)) => framed.send(frame)?,
                Ok(None) => {
                    self.tell(&Ok(()));
                    return Ok(());
                }
                Err(FrameError::Io(error)) => {
                    self.tell(&Err(FrameError::Io(error)));
                    return Ok(());
                }
                error => self.tell(&error.map(drop)),
            }
        }
    }

    fn by_hand(&self, stream: &mut Stream) -> Result<(), FrameError> {
        let mut lines = stream.framed(Lines::new(20));
        let first = lines.next()?.expect("a line");
        let mut frames = lines.map_codec(|_| LengthPrefixed::new(Width::U8, 20));
        let second = frames.next()?.expect("a frame");
        drop(frames);
        let mut third = String::new();
        stream.rfile.read_line(&mut third)?;
        for part in [&first[..], &second, third.trim_end().as_bytes()] {
            stream.framed(Lines::new(20)).send(part)?;
        }
        Ok(())
    }

    fn change(&self, stream: &mut Stream) -> Result<(), FrameError> {
        let mut lines = stream.framed(Lines::new(20));
        lines.next()?;
        let error = match lines.change(RecordMarking::new(20)) {
            Ok(mut records) => return records.send("changed"),
            Err(error) => error,
        };
        self.tell(&Err(error.into()));
        let text = stream.rfile.buffer().to_vec();
        Ok(stream.wfile.write_all(&text)?) // Nothing is lost.
    }

    fn tell(&self, result: &Result<(), FrameError>) {
        let text = result
            .as_ref()
            .map_or_else(ToString::to_string, |()| "the end".to_owned());
        self.0.send(text).expect("the test waits for it");
    }
}

/// Echoes from two threads.
fn halved(stream: &mut Stream) -> Result<(), FrameError> {
    let mut framed = stream.framed(Lines::new(20));
    let (mut reader, mut writer) = framed.split();
    let (to, lines) = mpsc::channel();
    std::thread::scope(|scope| {
        let sent =
            scope.spawn(move || lines.iter().try_for_each(|line: Vec<u8>| writer.send(line)));
        while let Some(line) = reader.next()? {
            to.send(line.to_vec()).expect("the other half lives");
        }
        drop(to);
        sent.join().expect("no panic")
    })
}

/// A server, a client of it, and what its handler tells.
struct Served {
    running: Running,
    client: BufReader<TcpStream>,
    told: mpsc::Receiver<String>,
}

/// Runs a test under both models.
fn both(test: fn(&mut Served)) {
    for start in [synchronous_server, threading_server] {
        let (to, told) = mpsc::channel();
        let running = start(Frames(to)).expect("a free port");
        let at = running.local_addr().as_inet().expect("a port");
        let client = TcpStream::connect(at).expect("it listens");
        client.set_nodelay(true).expect("an own socket");
        client
            .set_read_timeout(Some(sockserv_tests::DEADLINE))
            .expect("an own socket");
        let mut served = Served {
            running,
            client: BufReader::new(client),
            told,
        };
        test(&mut served);
        let Served {
            running, client, ..
        } = served;
        drop(client);
        running.shutdown().expect("it ends");
    }
}

fn synchronous_server(frames: Frames) -> io::Result<Running> {
    synchronous::FramesServer::bind_to("127.0.0.1:0", synchronous::Frames(frames))?.spawn()
}

fn threading_server(frames: Frames) -> io::Result<Running> {
    threading::FramesServer::bind_to("127.0.0.1:0", threading::Frames(frames))?.spawn()
}

impl Served {
    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.client
            .get_mut()
            .write_all(bytes.as_ref())
            .expect("the server reads");
    }

    fn expect(&mut self, bytes: impl AsRef<[u8]>) {
        let mut got = vec![0; bytes.as_ref().len()];
        self.client.read_exact(&mut got).expect("a reply");
        assert!(got == bytes.as_ref(), "{:?}", String::from_utf8_lossy(&got));
    }

    fn expect_end(&mut self) {
        let mut rest = Vec::new();
        self.client.read_to_end(&mut rest).expect("the end");
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }

    fn finish(&mut self) {
        let client = self.client.get_mut();
        client.shutdown(Shutdown::Write).expect("it is open");
    }

    fn told(&mut self) -> String {
        let told = self.told.recv_timeout(sockserv_tests::DEADLINE);
        told.expect("the handler tells something")
    }
}

fn single_bytes() {
    both(|served| {
        for byte in b"p\0\0\0\x05hello\0\0\0\0\0\0\0\x01x" {
            served.send([*byte]);
        }
        served.expect(b"\0\0\0\x05hello\0\0\0\0\0\0\0\x01x");
    });
}

fn pipelined() {
    both(|served| {
        let lines: String = (0..5000).map(|line| format!("{line}\n")).collect();
        let mut sending = served.client.get_ref().try_clone().expect("a descriptor");
        let bytes = format!("l{lines}");
        let sent = std::thread::spawn(move || sending.write_all(bytes.as_bytes()));
        served.expect(lines);
        sent.join().expect("no panic").expect("the server reads");
    });
}

fn tied() {
    both(|served| {
        served.send("lone\ntwo\nthr");
        let mut replies = [0; 20];
        let count = served.client.get_mut().read(&mut replies); // Although the third line is not there.
        assert_eq!(&replies[..count.expect("a reply")], b"one\ntwo\n");
        served.send("ee\n");
        served.expect("three\n");
    });
}

fn too_long() {
    both(|served| {
        served.send(format!("lone\n{}", "x".repeat(21)));
        assert_eq!(served.told(), "a frame is longer than 20 bytes");
        served.send("x".repeat(100_000));
        served.send("\ntwo\n");
        served.expect("one\ntwo\n");
    });
    both(|served| {
        served.send("p\0\x01\0\x01");
        assert_eq!(served.told(), "a frame is longer than 65536 bytes");
        served.send(vec![b'x'; 0x1_0001]);
        served.send("\0\0\0\x03two");
        served.expect("\0\0\0\x03two");
    });
}

fn ended() {
    both(|served| {
        served.send(format!("cone\n{}\ntwo\n", "x".repeat(21)));
        assert_eq!(served.told(), "a frame is longer than 20 bytes");
        assert_eq!(served.told(), "the end");
        served.expect("one\n");
        served.expect_end();
    });
}

fn truncated() {
    both(|served| {
        served.send("lone\ntw");
        served.finish();
        assert_eq!(served.told(), "the stream ended in the middle of a frame");
        assert_eq!(served.told(), "the end");
        served.expect("one\n");
        served.expect_end();
    });
}

fn unsendable() {
    both(|served| {
        served.send("u");
        assert_eq!(
            served.told(),
            "malformed frame: a line with a line end inside"
        );
        served.expect("good\nbetter\n");
        served.expect_end();
    });
}

fn silence() {
    both(|served| {
        served.send("tone\ntw");
        assert_eq!(served.told(), "a read waited longer than `timeout`");
        served.expect("one\n");
        served.expect_end();
    });
}

fn leftover() {
    both(|served| {
        served.send("hfirst\n\x06secondthird\n");
        served.expect("first\nsecond\nthird\n");
        served.expect_end();
    });
}

fn change() {
    both(|served| {
        served.send("supgrade\n");
        served.expect(
            "\u{80}\0\0\x07changed"
                .chars()
                .map(|c| c as u8)
                .collect::<Vec<_>>(),
        );
    });
    both(|served| {
        served.send("supgrade\nearly");
        assert_eq!(
            served.told(),
            "5 bytes were received ahead of a change of the protocol"
        );
        served.expect("early");
        served.expect_end();
    });
}

/// What was answered is not owed any more, although the buffer is the codec's.
fn idle() {
    both(|served| {
        served.send("lone\ntwo\n");
        served.expect("one\ntwo\n");
        served.running.handle().shutdown();
        assert_eq!(served.told(), "the end");
        served.expect_end();
    });
}

fn halves() {
    both(|served| {
        served.send("?one\ntwo\nth");
        served.expect("one\ntwo\n");
        served.send("ree\n");
        served.expect("three\n");
        served.finish();
        served.expect_end();
    });
}

/// Far more than a buffer, in fragments, while short ones come before and behind.
fn long() {
    both(|served| {
        let mut bytes = b"r".to_vec();
        let mut replies = Vec::new();
        for count in [5_usize, 3 << 20, 7, 0, 100_000] {
            let record: Vec<u8> = (0..count).map(|at| at as u8).collect();
            let mut fragments = record.chunks(70_000).peekable();
            while let Some(fragment) = fragments.next() {
                let last = if fragments.peek().is_none() {
                    1 << 31
                } else {
                    0
                };
                bytes.extend_from_slice(&(last | fragment.len() as u32).to_be_bytes());
                bytes.extend_from_slice(fragment);
            }
            if count == 0 {
                bytes.extend_from_slice(&[0x80, 0, 0, 0]);
            }
            replies.extend_from_slice(&(1 << 31 | count as u32).to_be_bytes());
            replies.extend_from_slice(&record);
        }
        let mut sending = served.client.get_ref().try_clone().expect("a descriptor");
        let sent = std::thread::spawn(move || sending.write_all(&bytes));
        served.expect(replies);
        sent.join().expect("no panic").expect("the server reads");
    });
}
