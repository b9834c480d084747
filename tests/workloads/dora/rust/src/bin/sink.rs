// SPDX-License-Identifier: MIT
//! Counts and adds up what comes, and leaves it in sink.out.
use dora_node_api::{DoraNode, Event};

fn main() -> eyre::Result<()> {
    let (_node, mut events) = DoraNode::init_from_env()?;
    let (mut count, mut total) = (0, 0);
    while let Some(event) = events.recv() {
        match event {
            Event::Input { data, .. } => {
                let numbers: Vec<i64> = TryFrom::try_from(&data)?;
                total += numbers.iter().sum::<i64>();
                count += 1;
                println!("message {count}");
            }
            _ => {}
        }
    }
    Ok(std::fs::write("sink.out", format!("{count} {total}\n"))?)
}
