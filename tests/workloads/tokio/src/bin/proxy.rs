// SPDX-License-Identifier: MIT
//! Every client of the first address gets a connection of its own to the second.
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use workloads_tokio::*;

#[tokio::main]
async fn main() -> Result {
    let listener = TcpListener::bind(address(0, "127.0.0.1:8081")?).await?;
    let server = address(1, "127.0.0.1:8080")?;
    ready(listener.local_addr()?);
    loop {
        let (mut client, _) = listener.accept().await?;
        tokio::spawn(async move {
            let moved = async { copy_bidirectional(&mut client, &mut TcpStream::connect(server).await?).await };
            match moved.await {
                Ok((there, back)) => println!("{there} bytes there, {back} back"),
                Err(e) => println!("failed: {e}"),
            }
        });
    }
}
