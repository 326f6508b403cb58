//! The table `[kubelet]`.

use super::reader::Reader;
use crate::{
    model::{Kubelet, Reserved},
    values,
};

const IMAGE: &str = "where the kubelet is, as \"registry.example/kubelet:1.33\"";

pub(super) fn kubelet(table: &mut Reader<'_>) -> Kubelet {
    Kubelet {
        image: table.text("image", IMAGE, values::image).given(),
        cluster_dns: table.list("cluster_dns").or(Vec::new()),
        cluster_domain: table.get("cluster_domain").given().unwrap_or_default(),
        node_ip: table.get("node_ip").given(),
        reserved: table.table("reserved", |table| Reserved {
            cpu: table.get("cpu").given(),
            memory: table.get("memory").given(),
            storage: table.get("storage").given(),
        }),
        config: table.get("config").given().unwrap_or_default(),
    }
}
