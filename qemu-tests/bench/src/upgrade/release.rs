//! The release that a build would make if one package had changed: the image's own tree, commit and packing, with the
//! image's manifest as the one before.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use qemu_vm::lab::Lab;
use qemu_vm::tools::output;

/// A release as an OCI layout.
pub(super) struct Made {
    pub(super) layout: PathBuf,
    /// The layers of the package that changed
    pub(super) changed_bytes: u64,
    /// All layers
    pub(super) image_bytes: u64,
}

/// Makes the release `version` of the image under test, with every program of `package` changed.
pub(super) fn with_changed(lab: &Lab, package: &str, version: &str, scratch: &Path) -> Result<Made> {
    let image = lab.workspace.target.join("image");
    let tree = scratch.join("tree");
    // Hard links: what changes is replaced, never written to.
    let mut cp = Command::new("cp");
    cp.args(["-a", "--link"]).arg(&lab.image.root).arg(&tree);
    output("cp", &mut cp).context("copying the image's tree")?;
    let sources = sources(&image.join("sbom.spdx.json"))?;
    let files = fs::read_to_string(image.join("files.tsv")).context("reading files.tsv")?;
    let mut changed = 0;
    for path in programs(&files, package) {
        changed += u32::from(change(&tree.join(path))?);
    }
    ensure!(changed > 0, "no program of {package} is in the image");
    set_version(&tree.join("usr/lib/os-release"), version)?;

    let repo = scratch.join("repo").display().to_string();
    let (tree, subject) = (format!("--tree=dir={}", tree.display()), format!("--subject=Ballast {version}"));
    lab.tools.output("ostree", ["init", "--mode=archive", "--repo", &repo])?;
    let metadata = format!("--add-metadata-string=version={version}");
    let arguments =
        ["commit", "--repo", &repo, "--branch=ballast/x86_64", &tree, "--no-xattrs", "--bootable", "--fsync=false"];
    let more =
        ["--owner-uid=0", "--owner-gid=0", "--generate-composefs-metadata", "--timestamp=@0", &subject, &metadata];
    let commit = lab.tools.output("ostree", arguments.into_iter().chain(more)).context("making a commit")?;
    let commit = String::from_utf8_lossy(&commit).trim().to_owned();

    let packages = scratch.join("packages.tsv");
    let row = |(name, source): (&String, &String)| format!("{name}\t-\t-\t-\t{source}\n");
    fs::write(&packages, sources.iter().map(row).collect::<String>()).context("writing packages.tsv")?;
    let prior = scratch.join("prior.json");
    let before = manifest(&lab.image.release)?;
    fs::write(&prior, before.to_string()).context("writing the manifest before")?;
    let layout = scratch.join("release.oci");
    let mut pack = lab.tools.with_libraries(&lab.workspace.target.join("stage/oci"));
    pack.arg("--repo").arg(&repo).args(["--commit", &commit, "--files"]).arg(image.join("files.tsv"));
    pack.arg("--packages").arg(&packages).arg("--prior").arg(&prior).arg(&layout);
    output("ballast-oci", &mut pack).context("packing the release")?;

    let after = manifest(&layout)?;
    let source = sources.get(package).map_or(package, String::as_str);
    let known: Vec<&str> = layers(&before).map(|layer| layer.digest).collect();
    let new = layers(&after).filter(|layer| !known.contains(&layer.digest));
    let changed_bytes = new.filter(|layer| layer.has(source)).map(|layer| layer.size).sum();
    ensure!(changed_bytes > 0, "no layer of {source} changed");
    Ok(Made { layout, changed_bytes, image_bytes: layers(&after).map(|layer| layer.size).sum() })
}

/// A layer of a manifest, with the components that ostree-ext packed into it.
struct Layer<'a> {
    digest: &'a str,
    size: u64,
    components: &'a str,
}

impl Layer<'_> {
    fn has(&self, component: &str) -> bool {
        self.components.split(',').any(|one| one.trim() == component)
    }
}

fn layers(manifest: &Value) -> impl Iterator<Item = Layer<'_>> {
    manifest["layers"].as_array().into_iter().flatten().map(|layer| Layer {
        digest: layer["digest"].as_str().unwrap_or_default(),
        size: layer["size"].as_u64().unwrap_or_default(),
        components: layer["annotations"]["ostree.components"].as_str().unwrap_or_default(),
    })
}

fn manifest(layout: &Path) -> Result<Value> {
    let read = |file: PathBuf| -> Result<Value> {
        let text = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("reading {}", file.display()))
    };
    let index = read(layout.join("index.json"))?;
    let hex = index["manifests"][0]["digest"].as_str().and_then(|digest| digest.strip_prefix("sha256:"));
    read(layout.join("blobs/sha256").join(hex.context("the layout names no image")?))
}

/// Which source each package is built from, as the SBOM reports: `built from SOURCE VERSION`.
fn sources(sbom: &Path) -> Result<BTreeMap<String, String>> {
    #[derive(Deserialize)]
    struct Sbom {
        packages: Vec<Package>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Package {
        name: String,
        source_info: Option<String>,
    }
    let what = || format!("reading {}", sbom.display());
    let sbom: Sbom = serde_json::from_slice(&fs::read(sbom).with_context(what)?).with_context(what)?;
    let source = |package: Package| {
        let source = package.source_info?.strip_prefix("built from ")?.split(' ').next()?.to_owned();
        Some((package.name, source))
    };
    Ok(sbom.packages.into_iter().filter_map(source).collect())
}

/// The programs and libraries of `package`: paths of files.tsv, whose third column says where a file comes from.
fn programs<'a>(files: &'a str, package: &str) -> Vec<&'a str> {
    let wanted = format!("package {package}");
    let path = |line: &'a str| {
        let mut fields = line.split('\t');
        let path = fields.next()?;
        (fields.nth(1) == Some(&wanted) && path.starts_with("usr/")).then_some(path)
    };
    files.lines().filter_map(path).collect()
}

/// Makes another file with the same function of an ELF file: zeros behind its end are not read. Says whether it was one.
fn change(file: &Path) -> Result<bool> {
    let what = || format!("changing {}", file.display());
    let about = file.symlink_metadata().with_context(what)?;
    if !about.is_file() {
        return Ok(false);
    }
    let mut content = fs::read(file).with_context(what)?;
    if !content.starts_with(b"\x7fELF") {
        return Ok(false);
    }
    content.extend([0; 16]);
    replace(file, &content).with_context(what).map(|()| true)
}

fn set_version(file: &Path, version: &str) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    replace(file, qemu_vm::release::os_release(&text, version).as_bytes())
}

/// Another file in its place, for it is a link to that of the image.
fn replace(file: &Path, content: &[u8]) -> Result<()> {
    let mode = file.metadata().with_context(|| format!("looking at {}", file.display()))?.permissions().mode();
    fs::remove_file(file).with_context(|| format!("removing {}", file.display()))?;
    fs::write(file, content).with_context(|| format!("writing {}", file.display()))?;
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).with_context(|| format!("writing {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_a_package_are_found_by_the_third_column() {
        let files = "usr/bin/ls\t1\tpackage coreutils\t\tx\netc/x\t1\tpackage coreutils\t\tx\nusr/bin/sh\t1\tpackage dash\t\tx\n";
        assert_eq!(programs(files, "coreutils"), ["usr/bin/ls"]);
    }

    #[test]
    fn what_changes_is_another_file_and_its_twin_stays() {
        let dir = tempfile::tempdir().unwrap();
        let [one, twin] = ["one", "twin"].map(|name| dir.path().join(name));
        fs::write(&one, b"\x7fELF...").unwrap();
        fs::hard_link(&one, &twin).unwrap();
        assert!(change(&one).unwrap());
        assert_eq!((fs::read(&one).unwrap().len(), fs::read(&twin).unwrap().len()), (23, 7));
        fs::write(&twin, "#!/bin/sh").unwrap();
        assert!(!change(&twin).unwrap());
    }

    #[test]
    fn layers_report_their_components() {
        let manifest = serde_json::json!({"layers": [{"digest": "d", "size": 5, "annotations": {"ostree.components": "a,b"}}, {}]});
        let found: Vec<_> = layers(&manifest).map(|layer| (layer.size, layer.has("b"), layer.has("c"))).collect();
        assert_eq!(found, [(5, true, false), (0, false, false)]);
    }
}
