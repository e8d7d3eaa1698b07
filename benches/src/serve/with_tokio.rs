//! tokio, as its own documentation writes an echo server.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::{Builder, Runtime};

pub(super) fn multi_thread(addr: &str) -> io::Result<()> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_io()
        .build()?;
    run(&runtime, addr)
}

pub(super) fn current_thread(addr: &str) -> io::Result<()> {
    run(&Builder::new_current_thread().enable_io().build()?, addr)
}

fn run(runtime: &Runtime, addr: &str) -> io::Result<()> {
    runtime.block_on(async {
        let listener = TcpListener::bind(addr).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(echo(stream));
        }
    })
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).await? > 0 {
        writer.write_all(&line).await?;
        line.clear();
    }
    Ok(())
}

pub(super) fn udp(addr: &str) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let socket = UdpSocket::bind(addr).await?;
        let mut packet = vec![0; 65535];
        loop {
            let (length, peer) = socket.recv_from(&mut packet).await?;
            socket.send_to(&packet[..length], peer).await?;
        }
    })
}
