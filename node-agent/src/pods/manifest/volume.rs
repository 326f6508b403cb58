//! spec.volumes\[\].

use super::{
    files::{self, Sources},
    names,
    objects::ObjectKind,
    pod::NAME,
    quantity,
    reader::{Fields, Said},
};
use crate::pods::model::{HostPathKind, MemoryDir, Volume};

const KINDS: [(&str, HostPathKind); 8] = [
    ("", HostPathKind::Any),
    ("DirectoryOrCreate", HostPathKind::DirectoryOrCreate),
    ("Directory", HostPathKind::Directory),
    ("FileOrCreate", HostPathKind::FileOrCreate),
    ("File", HostPathKind::File),
    ("Socket", HostPathKind::Socket),
    ("CharDevice", HostPathKind::CharDevice),
    ("BlockDevice", HostPathKind::BlockDevice),
];

/// Whether it is in memory.
const MEDIA: [(&str, bool); 2] = [("", false), ("Memory", true)];

/// What a volume may be.
const EXPECTED: &str = "expected one of hostPath, emptyDir, configMap, secret, downwardAPI, projected";

/// What only a Kubernetes API server knows where it is.
const OF_A_CLUSTER: [&str; 2] = ["persistentVolumeClaim", "ephemeral"];

/// Its name, and what it is; a volume that was refused is an emptyDir, so that mounts of it are not refused too.
pub(super) fn volume(mut fields: Fields<'_>, sources: &Sources<'_>) -> Option<(String, Volume)> {
    let name = fields.need("name");
    if let Some(name) = name {
        fields.require(names::is_label(name.text), name, "name", NAME);
    }
    let of_files = |files| Volume::Files { files };
    let found = [
        fields.fields("hostPath").map(host_path),
        fields.fields("emptyDir").map(|own| Some(empty_dir(own))),
        fields.fields("configMap").map(|own| Some(of_files(files::object(own, ObjectKind::ConfigMap, sources)))),
        fields.fields("secret").map(|own| Some(of_files(files::object(own, ObjectKind::Secret, sources)))),
        fields.fields("downwardAPI").map(|own| Some(of_files(files::downward(own, sources)))),
        fields.fields("projected").map(|own| Some(of_files(files::projected(own, sources)))),
    ];
    let line = fields.line();
    for key in OF_A_CLUSTER {
        if let Some(node) = fields.take(key) {
            fields.refuse_at(node.line, key, "needs a Kubernetes API server");
        }
    }
    let mut found = found.into_iter().flatten();
    let first = found.next();
    // What is written and none of these is refused by its own name.
    if found.next().is_some() || first.is_none() && fields.has_nothing_but("name") {
        fields.refuse_at(line, "", EXPECTED);
    }
    fields.finish();
    let none = Volume::EmptyDir { memory: None, limit_bytes: None };
    Some((name?.text.to_owned(), first.flatten().unwrap_or(none)))
}

fn host_path(mut fields: Fields<'_>) -> Option<Volume> {
    let path = fields.need("path");
    if let Some(path) = path {
        absolute(&fields, path, "path");
    }
    let kind = fields.word("type", &KINDS).unwrap_or(HostPathKind::Any);
    fields.finish();
    Some(Volume::HostPath { path: path?.text.to_owned(), kind })
}

fn empty_dir(mut fields: Fields<'_>) -> Volume {
    let is_in_memory = fields.word("medium", &MEDIA).unwrap_or_default();
    let limit = amount(&mut fields, "sizeLimit", quantity::bytes);
    fields.finish();
    match is_in_memory {
        true => Volume::EmptyDir { memory: Some(MemoryDir { size_bytes: limit }), limit_bytes: None },
        false => Volume::EmptyDir { memory: None, limit_bytes: limit },
    }
}

/// The amount `key`.
pub(super) fn amount(fields: &mut Fields<'_>, key: &'static str, parse: fn(&str) -> Option<u64>) -> Option<u64> {
    let said = fields.text(key)?;
    let amount = parse(said.text);
    fields.require(amount.is_some(), said, key, "expected an amount such as 500m or 64Mi");
    amount
}

/// Notes it if `path` is not one that leads to one place.
pub(super) fn absolute(fields: &Fields<'_>, path: Said<'_>, key: &str) {
    fields.require(is_absolute(path.text), path, key, "expected an absolute path without `..`");
}

/// Whether `path` leads to one place.
pub(super) fn is_absolute(path: &str) -> bool {
    path.starts_with('/') && path.split('/').all(|part| part != "..")
}
