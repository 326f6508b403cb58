//! spec.containers\[\].volumeMounts\[\].

use std::collections::BTreeSet;

use super::{container::Context, reader::Fields, volume::absolute};
use crate::pods::model::{Mount, Propagation};

const PROPAGATIONS: [(&str, Option<Propagation>); 3] = [
    ("None", None),
    ("HostToContainer", Some(Propagation::HostToContainer)),
    ("Bidirectional", Some(Propagation::Bidirectional)),
];

pub(super) fn mounts(fields: &mut Fields<'_>, context: &Context<'_>, is_privileged: bool) -> Vec<Mount> {
    let mut paths = BTreeSet::new();
    let mut mounts = Vec::new();
    for mut mount in fields.all("volumeMounts") {
        let volume = mount.need("name");
        if let Some(volume) = volume {
            let is_known = context.volumes.contains_key(volume.text);
            mount.require(is_known, volume, "name", "expected one of the names in spec.volumes");
        }
        let path = mount.need("mountPath");
        if let Some(path) = path {
            absolute(&mount, path, "mountPath");
            mount.require(paths.insert(path.text), path, "mountPath", "this path is mounted twice");
        }
        let propagation = mount.word("mountPropagation", &PROPAGATIONS).flatten();
        if propagation == Some(Propagation::Bidirectional) && !is_privileged {
            mount.refuse_at(mount.line(), "mountPropagation", "Bidirectional needs securityContext.privileged: true");
        }
        let read_only = mount.flag("readOnly").unwrap_or_default();
        mount.finish();
        if let (Some(volume), Some(path)) = (volume, path) {
            mounts.push(Mount { volume: volume.text.to_owned(), path: path.text.to_owned(), read_only, propagation });
        }
    }
    mounts
}
