// SPDX-License-Identifier: MIT
//! Prints what each read brings, as bytes.
use futures_util::StreamExt;
use tokio_util::codec::{BytesCodec, Framed};
use workloads_tokio::*;

#[tokio::main]
async fn main() -> Result {
    let listener = listen("127.0.0.1:8080").await?;
    loop {
        let (client, _) = listener.accept().await?;
        println!("a client");
        tokio::spawn(async move {
            let mut packets = Framed::new(client, BytesCodec::new());
            while let Some(packet) = packets.next().await {
                match packet {
                    Ok(bytes) => println!("packet: {:?}", &bytes[..]),
                    Err(e) => println!("closed with an error: {e}"),
                }
            }
            println!("end of file");
        });
    }
}
