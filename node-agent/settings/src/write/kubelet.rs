//! `[kubelet]`.

use toml_edit::Table;

use super::{put, put_list, put_table};
use crate::model::Kubelet;

pub(super) fn kubelet(kubelet: &Kubelet) -> Table {
    let mut table = Table::new();
    // Of a node without one nothing is written.
    if *kubelet == Kubelet::default() {
        return table;
    }
    put(&mut table, "image", kubelet.image.as_ref());
    put_list(&mut table, "cluster_dns", &kubelet.cluster_dns);
    put(&mut table, "cluster_domain", Some(&kubelet.cluster_domain));
    put(&mut table, "node_ip", kubelet.node_ip);
    put(&mut table, "config", Some(kubelet.config.as_str()).filter(|text| !text.is_empty()));
    let mut reserved = Table::new();
    put(&mut reserved, "cpu", kubelet.reserved.cpu.as_ref());
    put(&mut reserved, "memory", kubelet.reserved.memory.as_ref());
    put(&mut reserved, "storage", kubelet.reserved.storage.as_ref());
    put_table(&mut table, "reserved", reserved);
    table
}
