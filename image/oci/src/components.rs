//! Which part of the release a file belongs to: what changes together travels together. Pure.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use ballast_why::{owners, report};

/// What no package and no folder of ours has: accounts, links made by presets.
const REST: &str = "rest";

/// Small, and different in each release: what else they lay with would be fetched again for them. The commit itself, with
/// all its folders, is a layer of its own.
const HOT: &str = "changes-with-each-build";
const HOT_FILES: [&str; 5] = [
    "usr/lib/os-release",
    "usr/lib/clock-epoch",
    "usr/lib/ballast/cmdline",
    "usr/etc/ld.so.cache",
    "usr/lib/ballast/images/preloaded.tar",
];

/// The initramfs is packed when the commit is made, beside the kernel's modules.
const INITRAMFS: &str = "initramfs";
const INITRAMFS_FILE: &str = "/initramfs.img";
const KERNEL: &str = "kernel";
const MODULES: &str = "usr/lib/modules/";

/// Folders of files.tsv that are ours.
const FILES: &str = "image/root";
const PROGRAMS: &str = "target/stage/root";

/// What packages have as their source in files.tsv.
const PACKAGE: &str = "package ";

/// Knows each file's component.
#[derive(Debug, Default)]
pub(crate) struct Components {
    /// Path in the commit → component.
    of: BTreeMap<String, String>,
}

impl Components {
    /// `files` is image/why's table, `packages` the packages with their source in the fifth column.
    pub(crate) fn parse(files: &str, packages: &str) -> Result<Self> {
        let sources: BTreeMap<&str, &str> = packages
            .lines()
            .filter_map(|line| {
                let mut fields = line.split('\t');
                Some((fields.next()?, fields.nth(3)?))
            })
            .collect();
        let rows = report::parse(files).context("reading where files come from")?;
        let of = rows.into_values().map(|row| {
            let component = match row.source.strip_prefix(PACKAGE) {
                Some(package) => (*sources.get(package).unwrap_or(&package)).to_owned(),
                None => ours(&row.source, &row.path),
            };
            (in_commit(&row.path), component)
        });
        Ok(Self { of: of.collect() })
    }

    /// The component of a path, which has no slash in front.
    pub(crate) fn of(&self, path: &str) -> &str {
        if HOT_FILES.contains(&path) {
            HOT
        } else if path.starts_with(MODULES) && path.ends_with(INITRAMFS_FILE) {
            INITRAMFS
        } else if path.starts_with(MODULES) {
            KERNEL
        } else {
            self.of.get(path).map_or(REST, String::as_str)
        }
    }

    /// The component of an object that lies at all of these paths: that of the first.
    pub(crate) fn of_object(&self, paths: &BTreeSet<String>) -> &str {
        paths.first().map_or(REST, |path| self.of(path))
    }
}

/// How often a component changes, for ostree-ext's packing if there are more components than layers.
pub(crate) fn frequency(component: &str) -> u32 {
    if component == HOT { u32::MAX } else { 1 }
}

fn ours(source: &str, path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    match source {
        owners::BUILD => REST.to_owned(),
        // Each program changes by itself.
        PROGRAMS => format!("ballast-{name}"),
        FILES => "ballast-files".to_owned(),
        // The lean libraries.
        folder => folder.rsplit('/').next().unwrap_or(folder).to_owned(),
    }
}

/// image/why saw /etc where it was before the commit.
fn in_commit(path: &str) -> String {
    if path.starts_with("etc/") { format!("usr/{path}") } else { path.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_a_component() {
        let files = "etc/passwd\t1\tbuild\t\taccounts\n\
                     etc/mke2fs.conf\t1\tpackage e2fsprogs\t\tx\n\
                     usr/lib/libcom_err.so.2\t1\tpackage libcom-err2\t\tx\n\
                     usr/bin/ballast\t1\ttarget/stage/root\t\tx\n\
                     usr/lib/sysctl.d/50-ballast.conf\t1\timage/root\t\tx\n\
                     usr/lib/libcurl.so.4\t1\ttarget/stage/lean\t\tx\n\
                     usr/lib/modules/6.12/vmlinuz\t1\ttarget/stage/kernel\t\tx\n";
        let packages = "e2fsprogs\t1\tamd64\t2\te2fsprogs\t1\nlibcom-err2\t1\tamd64\t2\te2fsprogs\t1\n";
        let components = Components::parse(files, packages).unwrap();
        let table = [
            ("usr/etc/passwd", "rest"),
            ("usr/etc/mke2fs.conf", "e2fsprogs"),
            ("usr/lib/libcom_err.so.2", "e2fsprogs"),
            ("usr/bin/ballast", "ballast-ballast"),
            ("usr/lib/sysctl.d/50-ballast.conf", "ballast-files"),
            ("usr/lib/libcurl.so.4", "lean"),
            ("usr/lib/modules/6.12/vmlinuz", "kernel"),
            ("usr/lib/modules/6.12/initramfs.img", "initramfs"),
            ("usr/lib/os-release", "changes-with-each-build"),
            ("home", "rest"),
        ];
        for (path, component) in table {
            assert_eq!(components.of(path), component, "{path}");
        }
        let paths = ["usr/lib/x", "usr/bin/ballast"].map(str::to_owned).into();
        assert_eq!(components.of_object(&paths), "ballast-ballast", "the first by name");
    }
}
