//! The stock image: built from `bench/stock` with the mkosi of `make setup`, once per content of that folder.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::subject::{MEMORY_MIB, Subject};
use qemu_vm::lab::Lab;
use qemu_vm::qemu::firmware::Firmware;

/// The image and the figures of its size.
pub(super) struct Stock {
    pub(super) subject: Subject,
    pub(super) figures: PathBuf,
}

/// The stock image, built if it is not in the cache.
pub(super) fn build(lab: &Lab) -> Result<Stock> {
    build_with(lab, &[])
}

/// The same with these packages besides.
pub(super) fn build_with(lab: &Lab, packages: &[&str]) -> Result<Stock> {
    let recipe = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/stock"));
    let names: String = packages.iter().map(|name| format!("-{name}")).collect();
    let folder = cache()?.join(format!("stock-{:016x}{names}", key(recipe)?));
    if !folder.exists() {
        println!("bench: building the stock image to compare with (three minutes and 230 MB of packages, once)");
        let fresh = folder.with_extension("new");
        mkosi(lab, recipe, packages, &fresh)?;
        std::fs::rename(&fresh, &folder).context("moving the stock image into the cache")?;
    }
    let firmware = Firmware::Direct {
        kernel: folder.join("vmlinuz"),
        initramfs: Some(folder.join("initrd")),
        // `quiet` as for ours: Debian's own cloud images write the kernel's messages out, which takes longer still.
        cmdline: include_str!("../stock/cmdline").trim_end().to_owned(),
    };
    let subject = Subject {
        name: "stock",
        firmware,
        is_uefi: false,
        disk: Some(folder.join("stock.raw")),
        ready: "stock: READY",
        last_unit: Some("stock-ready.service"),
        credentials: Vec::new(),
        memory_mib: MEMORY_MIB,
    };
    Ok(Stock { subject, figures: folder.join("stock.json") })
}

fn mkosi(lab: &Lab, recipe: &Path, packages: &[&str], fresh: &Path) -> Result<()> {
    let target = lab.workspace.target.canonicalize().context("finding target/")?;
    let program = target.join("mkosi");
    if !program.exists() {
        bail!("{} is missing: `make setup` brings mkosi, which builds the stock image", program.display());
    }
    let work = fresh.with_extension("work");
    for folder in [fresh, &work, &cache()?.join("packages")] {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    let log = target.join("bench/stock.log");
    std::fs::create_dir_all(target.join("bench")).context("making target/bench")?;
    let file = std::fs::File::create(&log).with_context(|| format!("making {}", log.display()))?;
    let option = |name: &str, path: &Path| format!("--{name}={}", path.display());
    let done = Command::new(&program)
        .arg("-C")
        .arg(recipe)
        .arg(option("tools-tree", &target.join("tools")))
        .arg(option("sandbox-tree", &target.join("setup")))
        .arg(option("package-cache-dir", &cache()?.join("packages")))
        .arg(option("workspace-dir", &work))
        .arg(option("output-dir", fresh))
        .args(packages.iter().map(|name| format!("--package={name}")))
        .args(["--force", "build"])
        .stdin(Stdio::null())
        .stdout(file.try_clone().context("sharing the log")?)
        .stderr(file)
        .status()
        .context("starting mkosi")?;
    if !done.success() {
        bail!("mkosi could not build the stock image; its log is {}", log.display());
    }
    // mkosi wants its own output to stay until it ends; the disk is what is needed.
    for leftover in [&fresh.join("root"), &work] {
        std::fs::remove_dir_all(leftover).with_context(|| format!("removing {}", leftover.display()))?;
    }
    Ok(())
}

fn cache() -> Result<PathBuf> {
    let own = std::env::var_os("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let usual = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    Ok(own
        .or_else(usual)
        .context("neither XDG_CACHE_HOME nor HOME is set: there is no place for a cache")?
        .join("ballast"))
}

/// A number for the content of the recipe. A new compiler may number it anew; then the image is built once more.
fn key(recipe: &Path) -> Result<u64> {
    let mut files = BTreeMap::new();
    collect(recipe, &mut files)?;
    let mut hasher = DefaultHasher::new();
    for (path, content) in files {
        (path.strip_prefix(recipe).unwrap_or(&path), content).hash(&mut hasher);
    }
    Ok(hasher.finish())
}

fn collect(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) -> Result<()> {
    let what = || format!("reading {}", folder.display());
    for entry in std::fs::read_dir(folder).with_context(what)? {
        let path = entry.with_context(what)?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            let content = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            files.insert(path, content);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_goes_by_content_and_name() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for dir in [&one, &two] {
            std::fs::create_dir(dir.path().join("tree")).unwrap();
            std::fs::write(dir.path().join("tree/file"), "same").unwrap();
        }
        assert_eq!(key(one.path()).unwrap(), key(two.path()).unwrap());
        std::fs::write(two.path().join("tree/file"), "other").unwrap();
        assert_ne!(key(one.path()).unwrap(), key(two.path()).unwrap());
    }
}
