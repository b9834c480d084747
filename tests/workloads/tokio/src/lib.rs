// SPDX-License-Identifier: MIT
//! What the programs share: their arguments, and how a server says that it is ready.
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// The result of a program: any error ends it with its text and status 1.
pub type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The `n`th argument that is no option.
pub fn argument(n: usize) -> Option<String> {
    std::env::args().skip(1).filter(|a| !a.starts_with("--")).nth(n)
}

pub fn option(name: &str) -> bool {
    std::env::args().any(|a| a == name)
}

/// The `n`th argument as an address, or what the program has by itself.
pub fn address(n: usize, default: &str) -> Result<SocketAddr> {
    Ok(argument(n).unwrap_or_else(|| default.to_string()).parse()?)
}

/// What waits for a server reads this line from its standard output.
pub fn ready(at: SocketAddr) {
    println!("listening on {at}");
}

/// A TCP server's socket at the first argument, or where the program listens by itself.
pub async fn listen(default: &str) -> Result<TcpListener> {
    let listener = TcpListener::bind(address(0, default)?).await?;
    ready(listener.local_addr()?);
    Ok(listener)
}
