// SPDX-License-Identifier: MIT
//! Counts ticks until it is asked to stop.
use dora_node_api::{DoraNode, Event};

fn main() -> eyre::Result<()> {
    let (_node, mut events) = DoraNode::init_from_env()?;
    let mut n = 0;
    while let Some(event) = events.recv() {
        match event {
            Event::Input { .. } => {
                n += 1;
                println!("tick {n}");
            }
            Event::Stop(_) => break,
            _ => {}
        }
    }
    Ok(())
}
