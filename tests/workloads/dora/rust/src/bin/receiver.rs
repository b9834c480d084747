// SPDX-License-Identifier: MIT
//! Microseconds from before the call that sends to the arrival, the median of each size, in latency.out.
use dora_node_api::{arrow::array::UInt8Array, DoraNode, Event, Parameter};
use std::{collections::BTreeMap, fmt::Write};
use workloads_dora::{filling, now};

fn main() -> eyre::Result<()> {
    let (_node, mut events) = DoraNode::init_from_env()?;
    let mut seen: BTreeMap<usize, Vec<i64>> = BTreeMap::new();
    while let Some(event) = events.recv() {
        match event {
            Event::Input { metadata, data, .. } => {
                let at = now();
                let bytes = data.as_any().downcast_ref::<UInt8Array>().ok_or_else(|| eyre::eyre!("no bytes"))?;
                if bytes.values().iter().any(|b| *b != filling(bytes.len())) {
                    eyre::bail!("wrong bytes in a message of {}", bytes.len());
                }
                let Some(Parameter::Integer(sent)) = metadata.parameters.get("sent") else { eyre::bail!("no time") };
                seen.entry(bytes.len()).or_default().push(at - sent);
            }
            _ => {}
        }
    }
    let mut text = String::new();
    for (size, times) in &mut seen {
        times.sort();
        writeln!(text, "{size} {} {}", times.len(), times[times.len() / 2] / 1000)?;
    }
    Ok(std::fs::write("latency.out", text)?)
}
