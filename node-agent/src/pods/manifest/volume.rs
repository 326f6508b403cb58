//! spec.volumes\[\].

use super::{
    names,
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

/// Its name, and what it is.
pub(super) fn volume(mut fields: Fields<'_>) -> Option<(String, Volume)> {
    let name = fields.need("name");
    if let Some(name) = name {
        fields.require(names::is_label(name.text), name, "name", NAME);
    }
    let host = fields.fields("hostPath").map(host_path);
    let empty = fields.fields("emptyDir").map(empty_dir);
    let line = fields.line();
    let volume = match (host, empty) {
        (Some(host), None) => host,
        (None, Some(empty)) => Some(empty),
        (Some(_), Some(_)) => {
            fields.refuse_at(line, "", "expected one of hostPath, emptyDir");
            None
        }
        (None, None) => {
            if !fields.has_others() {
                fields.refuse_at(line, "", "expected one of hostPath, emptyDir");
            }
            None
        }
    };
    fields.finish();
    Some((name?.text.to_owned(), volume.unwrap_or(Volume::EmptyDir { memory: None, limit_bytes: None })))
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
    let is_valid = path.text.starts_with('/') && path.text.split('/').all(|part| part != "..");
    fields.require(is_valid, path, key, "expected an absolute path without `..`");
}
