// SPDX-License-Identifier: MIT
//! TCP echo, a task a client. With --once it ends with its first client.
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use workloads_tokio::*;

async fn serve(mut client: TcpStream) -> std::io::Result<u64> {
    let mut buffer = vec![0; 4096];
    let mut total = 0;
    loop {
        let n = client.read(&mut buffer).await?;
        if n == 0 {
            return Ok(total);
        }
        client.write_all(&buffer[..n]).await?;
        total += n as u64;
    }
}

#[tokio::main]
async fn main() -> Result {
    let listener = listen("127.0.0.1:8080").await?;
    loop {
        let (client, _) = listener.accept().await?;
        let task = tokio::spawn(serve(client));
        if option("--once") {
            println!("echoed {} bytes", task.await??);
            return Ok(());
        }
    }
}
