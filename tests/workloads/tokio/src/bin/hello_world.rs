// SPDX-License-Identifier: MIT
//! Connects, says one line and goes.
use tokio::{io::AsyncWriteExt, net::TcpStream};
use workloads_tokio::*;

#[tokio::main]
async fn main() -> Result {
    let mut stream = TcpStream::connect(address(0, "10.0.2.2:6142")?).await?;
    println!("connected");
    let said = stream.write_all(b"hello world\n").await;
    println!("said hello: {}", said.is_ok());
    stream.shutdown().await?;
    Ok(())
}
