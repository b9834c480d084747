// SPDX-License-Identifier: MIT
//! Messages of 8 bytes to 40 MiB with the time when they were sent.
use dora_node_api::{dora_core::config::DataId, DoraNode, MetadataParameters, Parameter};
use std::{thread::sleep, time::Duration};
use workloads_dora::{filling, now};

fn main() -> eyre::Result<()> {
    let (mut node, _events) = DoraNode::init_from_env()?;
    let output = DataId::from("data".to_owned());
    sleep(Duration::from_millis(500));
    let (few, many) = (10, 30);
    for (size, count, pause) in [
        (8, many, 10),
        (512, many, 10),
        (4096, many, 10),
        (65536, many, 10),
        (1 << 20, many, 100),
        (4 << 20, many, 100),
        (40 << 20, few, 1000),
    ] {
        let data = vec![filling(size); size];
        for _ in 0..count {
            let sent = MetadataParameters::from([("sent".to_owned(), Parameter::Integer(now()))]);
            node.send_output_raw(output.clone(), sent, size, |out| out.copy_from_slice(&data))?;
            sleep(Duration::from_millis(pause));
        }
    }
    Ok(())
}
