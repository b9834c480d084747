// SPDX-License-Identifier: MIT
//! Between source and sink: everything times two, to the end: a stop may overtake messages.
use dora_node_api::{dora_core::config::DataId, DoraNode, Event, IntoArrow};

fn main() -> eyre::Result<()> {
    let (mut node, mut events) = DoraNode::init_from_env()?;
    let output = DataId::from("twice".to_owned());
    while let Some(event) = events.recv() {
        match event {
            Event::Input { metadata, data, .. } => {
                let numbers: Vec<i64> = TryFrom::try_from(&data)?;
                let twice: Vec<i64> = numbers.iter().map(|n| n * 2).collect();
                node.send_output(output.clone(), metadata.parameters, twice.into_arrow())?;
            }
            _ => {}
        }
    }
    Ok(())
}
