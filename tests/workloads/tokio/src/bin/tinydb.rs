// SPDX-License-Identifier: MIT
//! A table of names and values that all clients share: GET NAME and SET NAME VALUE, a line each.
use futures_util::{SinkExt, StreamExt};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use tokio_util::codec::{Framed, LinesCodec};
use workloads_tokio::*;

type Table = Mutex<BTreeMap<String, String>>;

fn answer(table: &Table, line: &str) -> String {
    let mut words = line.splitn(3, ' ');
    let mut table = table.lock().unwrap();
    match (words.next(), words.next(), words.next()) {
        (Some("GET"), Some(name), None) => match table.get(name) {
            Some(value) => format!("{name} = {value}"),
            None => format!("error: no name {name}"),
        },
        (Some("SET"), Some(name), Some(value)) => match table.insert(name.into(), value.into()) {
            Some(before) => format!("set {name} = {value}, before {before}"),
            None => format!("set {name} = {value}"),
        },
        (Some("GET"), ..) => "error: GET has one name".into(),
        (Some("SET"), ..) => "error: SET has a name and a value".into(),
        _ => format!("error: what is {line:?}"),
    }
}

#[tokio::main]
async fn main() -> Result {
    let listener = listen("127.0.0.1:8080").await?;
    let table = Arc::new(Table::default());
    table.lock().unwrap().insert("first".into(), "there from the start".into());
    loop {
        let (client, _) = listener.accept().await?;
        let table = table.clone();
        tokio::spawn(async move {
            let mut lines = Framed::new(client, LinesCodec::new_with_max_length(1024));
            while let Some(line) = lines.next().await {
                let reply = line.map_or_else(|e| format!("error: {e}"), |l| answer(&table, &l));
                if lines.send(reply).await.is_err() {
                    break;
                }
            }
        });
    }
}
