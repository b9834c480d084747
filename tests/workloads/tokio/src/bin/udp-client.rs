// SPDX-License-Identifier: MIT
//! Sends standard input in datagrams of at most 1000 bytes, each answered before the next; ends with standard input.
use std::{io::Read, time::Duration};
use tokio::{net::UdpSocket, time::timeout};
use workloads_tokio::*;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result {
    let server = address(0, "127.0.0.1:8080")?;
    let mut data = Vec::new();
    std::io::stdin().read_to_end(&mut data)?;
    let socket = UdpSocket::bind(if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).await?;
    socket.connect(server).await?;
    let mut answer = vec![0; 65536];
    for part in data.chunks(1000) {
        socket.send(part).await?;
        let n = timeout(Duration::from_secs(20), socket.recv(&mut answer)).await??;
        println!("{n} bytes: {}", if answer[..n] == *part { "same" } else { "different" });
    }
    println!("end");
    Ok(())
}
