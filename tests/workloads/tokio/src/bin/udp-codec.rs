// SPDX-License-Identifier: MIT
//! Two framed UDP sockets play ping-pong; who hears nothing for a while stops.
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use std::{net::SocketAddr, time::Duration};
use tokio::{net::UdpSocket, time::timeout};
use tokio_util::{codec::BytesCodec, udp::UdpFramed};
use workloads_tokio::*;

type Side = UdpFramed<BytesCodec>;
const ROUNDS: usize = 5;

async fn ping(mut side: Side, other: SocketAddr) -> Result<usize> {
    for n in 0..ROUNDS {
        side.send((Bytes::from(format!("ping {n}")), other)).await?;
        let (bytes, from) = timeout(Duration::from_secs(20), side.next()).await?.ok_or("closed")??;
        println!("a: {} {}", String::from_utf8_lossy(&bytes), from == other);
    }
    Ok(ROUNDS)
}

async fn pong(mut side: Side) -> Result<usize> {
    let mut heard = 0;
    while let Ok(Some(packet)) = timeout(Duration::from_millis(500), side.next()).await {
        let (bytes, from) = packet?;
        println!("b: {}", String::from_utf8_lossy(&bytes));
        side.send((Bytes::from_static(b"pong"), from)).await?;
        heard += 1;
    }
    Ok(heard)
}

#[tokio::main]
async fn main() -> Result {
    let any = address(0, "127.0.0.1:0")?;
    let (a, b) = (UdpSocket::bind(any).await?, UdpSocket::bind(any).await?);
    let to_b = b.local_addr()?;
    let framed = |s| UdpFramed::new(s, BytesCodec::new());
    let (sent, heard) = tokio::try_join!(ping(framed(a), to_b), pong(framed(b)))?;
    println!("{sent} sent, {heard} heard");
    Ok(())
}
