// SPDX-License-Identifier: MIT
//! A room: the first line of a client is its name, each later one goes to all others.
use futures_util::{SinkExt, StreamExt};
use std::{collections::HashMap, net::SocketAddr, sync::Arc};
use tokio::{
    net::TcpStream,
    sync::{mpsc, Mutex},
};
use tokio_util::codec::{Framed, LinesCodec};
use workloads_tokio::*;

#[derive(Default)]
struct Room {
    members: HashMap<SocketAddr, mpsc::UnboundedSender<String>>,
}

impl Room {
    fn tell_others(&self, sender: SocketAddr, line: &str) {
        for (_, m) in self.members.iter().filter(|(a, _)| **a != sender) {
            let _ = m.send(line.to_string()); // one that is leaving does not hear it
        }
    }
}

async fn serve(client: TcpStream, room: Arc<Mutex<Room>>) -> Result {
    let at = client.peer_addr()?;
    let mut lines = Framed::new(client, LinesCodec::new());
    lines.send("your name?").await?;
    let Some(name) = lines.next().await.transpose()? else {
        return Ok(());
    };
    let (to_me, mut for_me) = mpsc::unbounded_channel();
    {
        let mut room = room.lock().await;
        room.members.insert(at, to_me);
        room.tell_others(at, &format!("{name} came"));
        lines.send(format!("welcome, {name}: {} here", room.members.len())).await?;
    }
    println!("{name} came");
    loop {
        tokio::select! {
            Some(line) = for_me.recv() => lines.send(line).await?,
            said = lines.next() => match said {
                Some(Ok(line)) => room.lock().await.tell_others(at, &format!("{name}: {line}")),
                _ => break,
            },
        }
    }
    let mut room = room.lock().await;
    room.members.remove(&at);
    room.tell_others(at, &format!("{name} went"));
    println!("{name} went");
    Ok(())
}

#[tokio::main]
async fn main() -> Result {
    let listener = listen("127.0.0.1:6142").await?;
    let room = Arc::new(Mutex::new(Room::default()));
    loop {
        let (client, _) = listener.accept().await?;
        let room = room.clone();
        tokio::spawn(async move {
            if let Err(e) = serve(client, room).await {
                println!("a client failed: {e}");
            }
        });
    }
}
