//! spec.containers\[\].volumeMounts\[\].

use std::collections::BTreeSet;

use super::{
    container::Context,
    expand::{Budget, expanded},
    reader::Fields,
    volume::absolute,
};
use crate::pods::model::{Mount, Propagation};

const PROPAGATIONS: [(&str, Option<Propagation>); 3] = [
    ("None", None),
    ("HostToContainer", Some(Propagation::HostToContainer)),
    ("Bidirectional", Some(Propagation::Bidirectional)),
];

/// Whether mounts below a read-only one are read-only too is the runtime's: it does not promise it.
const RECURSIVE: [(&str, ()); 2] = [("Disabled", ()), ("IfPossible", ())];

pub(super) fn mounts(
    fields: &mut Fields<'_>,
    context: &Context<'_>,
    is_privileged: bool,
    env: &[(String, String)],
) -> Vec<Mount> {
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
        let sub_path = sub_path(&mut mount, env, context.objects.budget());
        mount.word("recursiveReadOnly", &RECURSIVE);
        let read_only = mount.flag("readOnly").unwrap_or_default();
        mount.finish();
        if let (Some(volume), Some(path)) = (volume, path) {
            let (volume, path) = (volume.text.to_owned(), path.text.to_owned());
            mounts.push(Mount { volume, path, read_only, propagation, sub_path });
        }
    }
    mounts
}

/// The part of the volume that is seen; None for all of it.
fn sub_path(mount: &mut Fields<'_>, env: &[(String, String)], budget: &Budget) -> Option<String> {
    let (plain, expression) = (mount.text("subPath"), mount.text("subPathExpr"));
    let (key, said, path) = match (plain, expression) {
        (Some(said), None) => ("subPath", said, said.text.to_owned()),
        (None, Some(said)) => ("subPathExpr", said, expanded(mount, said, "subPathExpr", env, budget)),
        (Some(_), Some(said)) => {
            mount.refuse_at(said.line, "subPathExpr", "is not possible beside subPath");
            return None;
        }
        (None, None) => return None,
    };
    if path.is_empty() {
        return None;
    }
    let is_whole = expression.is_none() || !path.contains("$(");
    mount.require(is_whole, said, key, "expected $(NAME) of variables in env");
    mount.require(is_inside(&path), said, key, "expected a relative path without `..`");
    Some(path)
}

/// Whether a path leads to something below where it begins.
pub(super) fn is_inside(path: &str) -> bool {
    !path.is_empty() && !path.starts_with('/') && path.split('/').all(|part| part != "..")
}
