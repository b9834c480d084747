// SPDX-License-Identifier: MIT
//! Sends each datagram back to where it came from.
use tokio::net::UdpSocket;
use workloads_tokio::*;

#[tokio::main]
async fn main() -> Result {
    let socket = UdpSocket::bind(address(0, "127.0.0.1:8080")?).await?;
    ready(socket.local_addr()?);
    let mut buffer = vec![0; 65536];
    loop {
        let (n, peer) = socket.recv_from(&mut buffer).await?;
        let sent = socket.send_to(&buffer[..n], peer).await?;
        println!("echoed {sent} of {n} bytes");
    }
}
