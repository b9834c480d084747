// SPDX-License-Identifier: MIT
//! A message with each tick, every other one large enough for shared memory; ends after twenty.
use dora_node_api::{dora_core::config::DataId, DoraNode, Event, IntoArrow};

fn main() -> eyre::Result<()> {
    let (mut node, mut events) = DoraNode::init_from_env()?;
    let output = DataId::from("number".to_owned());
    let mut n = 0i64;
    while n < 20 {
        match events.recv() {
            Some(Event::Input { metadata, .. }) => {
                let numbers: Vec<i64> = if n % 2 == 1 { (0..100_000).collect() } else { vec![n] };
                node.send_output(output.clone(), metadata.parameters, numbers.into_arrow())?;
                n += 1;
            }
            Some(Event::Stop(_)) | None => break,
            Some(_) => {}
        }
    }
    println!("{n} sent");
    Ok(())
}
