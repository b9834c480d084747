// SPDX-License-Identifier: MIT
//! Standard input to a server and the server to standard output, over TCP or (--udp) a datagram a read.
use std::net::SocketAddr;
use tokio::{
    io::{stdin, stdout, AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
};
use workloads_tokio::*;

async fn tcp(server: SocketAddr) -> Result {
    let (mut from, mut to) = TcpStream::connect(server).await?.into_split();
    let typed = tokio::spawn(async move {
        tokio::io::copy(&mut stdin(), &mut to).await?;
        to.shutdown().await
    });
    let mut out = stdout();
    tokio::io::copy(&mut from, &mut out).await?;
    out.flush().await?;
    if typed.is_finished() {
        typed.await??;
    }
    Ok(())
}

/// Ends with standard input: what was sent last has been answered, or never will be.
async fn udp(server: SocketAddr) -> Result {
    let socket = UdpSocket::bind(if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).await?;
    socket.connect(server).await?;
    let (mut input, mut out) = (stdin(), stdout());
    let mut line = vec![0; 1500];
    let mut answer = vec![0; 65536];
    loop {
        tokio::select! {
            n = input.read(&mut line) => match n? {
                0 => return Ok(()),
                n => { socket.send(&line[..n]).await?; }
            },
            n = socket.recv(&mut answer) => {
                out.write_all(&answer[..n?]).await?;
                out.flush().await?;
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result {
    let server = address(0, "127.0.0.1:8080")?;
    let done = if option("--udp") { udp(server).await } else { tcp(server).await };
    // A read of the terminal may still be under way in a thread that nothing can end.
    if let Err(e) = done {
        eprintln!("connect: {e}");
        std::process::exit(1);
    }
    std::process::exit(0);
}
