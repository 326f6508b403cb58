//! The calls of the CRI about what takes room on the disk.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;

use super::{CallError, Cri, Layer, QUICK, calls::START, convert::image_spec, wire};

/// Labels that the kubelet gives containers, and so do we.
const POD_UID: &str = "io.kubernetes.pod.uid";
const CONTAINER: &str = "io.kubernetes.container.name";

#[derive(Clone, PartialEq, Message)]
struct RemoveImageRequest {
    #[prost(message, optional, tag = "1")]
    image: Option<wire::ImageSpec>,
}

/// Of a Container in a list, what names its image: an id or a reference, by the runtime's age.
#[derive(Clone, PartialEq, Message)]
struct User {
    #[prost(message, optional, tag = "4")]
    image: Option<wire::ImageSpec>,
    #[prost(string, tag = "5")]
    image_ref: String,
    #[prost(string, tag = "10")]
    image_id: String,
}

#[derive(Clone, PartialEq, Message)]
struct Users {
    #[prost(message, repeated, tag = "1")]
    containers: Vec<User>,
}

#[derive(Clone, PartialEq, Message)]
struct ListContainerStatsRequest {
    #[prost(message, optional, tag = "1")]
    filter: Option<StatsFilter>,
}

#[derive(Clone, PartialEq, Message)]
struct StatsFilter {
    #[prost(btree_map = "string, string", tag = "3")]
    label_selector: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
struct ListContainerStatsResponse {
    #[prost(message, repeated, tag = "1")]
    stats: Vec<ContainerStats>,
}

#[derive(Clone, PartialEq, Message)]
struct ContainerStats {
    #[prost(message, optional, tag = "1")]
    attributes: Option<Attributes>,
    #[prost(message, optional, tag = "4")]
    writable_layer: Option<FilesystemUsage>,
}

#[derive(Clone, PartialEq, Message)]
struct Attributes {
    #[prost(btree_map = "string, string", tag = "3")]
    labels: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
struct FilesystemUsage {
    #[prost(message, optional, tag = "3")]
    used_bytes: Option<UInt64Value>,
}

#[derive(Clone, PartialEq, Message)]
struct UInt64Value {
    #[prost(uint64, tag = "1")]
    value: u64,
}

impl Cri {
    /// Removes an image with all names that it has, and what it alone had of the disk.
    ///
    /// # Errors
    /// As every call; the deadline is two minutes.
    pub async fn remove_image(&self, id: &str) -> Result<(), CallError> {
        let request = RemoveImageRequest { image: Some(image_spec(id)) };
        self.call("/runtime.v1.ImageService/RemoveImage", request, START).await.map(|_: wire::Empty| ())
    }

    /// What names the images of all containers that there are, whoever made them: ids and references.
    ///
    /// # Errors
    /// As every call.
    pub async fn images_in_use(&self) -> Result<BTreeSet<String>, CallError> {
        let reply: Users = self.call("/runtime.v1.RuntimeService/ListContainers", wire::Empty {}, QUICK).await?;
        let names = |user: User| [user.image.unwrap_or_default().image, user.image_ref, user.image_id];
        Ok(reply.containers.into_iter().flat_map(names).filter(|name| !name.is_empty()).collect())
    }

    /// What the containers that bear all of `labels` wrote into their root file systems. A container that is not known to have written
    /// anything is left out.
    ///
    /// # Errors
    /// As every call.
    pub async fn writable_layers(&self, labels: BTreeMap<String, String>) -> Result<Vec<Layer>, CallError> {
        let request = ListContainerStatsRequest { filter: Some(StatsFilter { label_selector: labels }) };
        let reply: ListContainerStatsResponse =
            self.call("/runtime.v1.RuntimeService/ListContainerStats", request, QUICK).await?;
        let layer = |stats: ContainerStats| {
            let mut labels = stats.attributes?.labels;
            let bytes = stats.writable_layer?.used_bytes?.value;
            Some(Layer { pod_uid: labels.remove(POD_UID)?, container: labels.remove(CONTAINER)?, bytes })
        };
        Ok(reply.stats.into_iter().filter_map(layer).collect())
    }
}
