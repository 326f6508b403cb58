//! Where each file comes from: a Debian package, a folder of this repository, or the build itself.

use std::{collections::HashMap, fs, path::Path};

use anyhow::{Context, Result};

/// Source of what no package and no folder has: accounts, links made by presets, caches.
pub const BUILD: &str = "build";

/// Files that a package writes when it is installed: they are its own, though dpkg does not know them.
const WRITTEN: [(&str, &str); 1] = [("etc/ssl/certs/ca-certificates.crt", "package ca-certificates")];

/// Folders into which the build moves programs and libraries of packages, and where they were (image/packages/apart).
const MOVED: [(&str, [&str; 2]); 1] = [("usr/lib/iproute2/", ["usr/bin/", "usr/lib/x86_64-linux-gnu/"])];

/// Path (without the slash in front) → source: `package NAME`, or the name of a folder.
#[derive(Debug, Default)]
pub struct Owners(HashMap<String, String>);

impl Owners {
    /// Reads dpkg's file lists, then the folders that are laid over the packages, the last one wins.
    pub fn load(dpkg_info: &Path, folders: &[(String, String)]) -> Result<Self> {
        let mut owners = Self::default();
        for entry in fs::read_dir(dpkg_info).with_context(|| format!("listing {}", dpkg_info.display()))? {
            let path = entry?.path();
            let Some(name) =
                path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".list"))
            else {
                continue;
            };
            let package = name.split(':').next().unwrap_or(name);
            let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            owners.add_package(package, &text);
        }
        owners.0.extend(WRITTEN.map(|(path, package)| (path.to_owned(), package.to_owned())));
        for (name, folder) in folders {
            owners.add_folder(name, Path::new(folder), "")?;
        }
        Ok(owners)
    }

    fn add_package(&mut self, package: &str, list: &str) {
        for path in list.lines() {
            self.0.insert(merged(path.trim_start_matches('/')), format!("package {package}"));
        }
    }

    fn add_folder(&mut self, name: &str, folder: &Path, prefix: &str) -> Result<()> {
        for entry in fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))? {
            let entry = entry?;
            let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                self.add_folder(name, &entry.path(), &format!("{path}/"))?;
            } else {
                self.0.insert(merged(&path), name.to_owned());
            }
        }
        Ok(())
    }

    /// The source of a file.
    pub fn of(&self, path: &str) -> &str {
        let moved = MOVED.iter().filter_map(|(to, from)| Some((path.strip_prefix(to)?, from)));
        let before = moved.flat_map(|(name, from)| from.map(|folder| format!("{folder}{name}")));
        let found = self.0.get(path).or_else(|| before.into_iter().find_map(|path| self.0.get(&path)));
        found.map_or(BUILD, String::as_str)
    }
}

/// Debian 13's packages still name paths by the links of the merged /usr.
fn merged(path: &str) -> String {
    let moved = ["bin/", "sbin/", "lib/", "lib64/"].iter().any(|folder| path.starts_with(folder));
    if moved { format!("usr/{path}") } else { path.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_belongs_to_its_package_else_to_the_build() {
        let mut owners = Owners::default();
        owners.add_package("iproute2", "/.\n/bin/ip\n/usr/share/iproute2/group\n");
        assert_eq!(owners.of("usr/bin/ip"), "package iproute2");
        assert_eq!(owners.of("usr/share/iproute2/group"), "package iproute2");
        assert_eq!(owners.of("usr/lib/iproute2/ip"), "package iproute2", "moved by the build");
        assert_eq!(owners.of("etc/passwd"), BUILD);
    }
}
