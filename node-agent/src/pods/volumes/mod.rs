//! Makes and removes the volumes of a pod on the host.

pub(super) mod files;
mod mounts;
pub(super) mod parts;
mod said;

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, Permissions},
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt},
    path::Path,
};

use anyhow::{Context, Result, bail};
use rustix::{
    fs::{Gid, chown},
    mount::{MountFlags, mount},
};

use super::{
    model::{Facts, HostPathKind, MemoryDir, Pod, Volume},
    sandbox,
};
use crate::clients::host::Host;

/// Makes what is missing of the pod's volumes, and returns where on the host each lies.
///
/// # Errors
/// If one cannot be made, or is not of the kind that the manifest says.
pub(super) fn provide(host: &Host, pod: &Pod, facts: &Facts) -> Result<BTreeMap<String, String>> {
    let group = group(pod)?;
    let mut paths = BTreeMap::new();
    for (name, volume) in &pod.spec.volumes {
        let path = match volume {
            Volume::HostPath { path, kind } => {
                host_path(&host.path(path), *kind).with_context(|| format!("volume {name}: {path}"))?;
                path.clone()
            }
            Volume::EmptyDir { memory, limit_bytes: _ } => {
                let path = format!("{}/{name}", sandbox::volumes_folder(&pod.uid));
                empty_dir(&host.path(&path), memory.as_ref(), group).with_context(|| format!("volume {name}"))?;
                path
            }
            Volume::Files { files } => {
                let path = format!("{}/volumes/{name}", sandbox::run_folder(&pod.uid));
                said::provide(&host.path(&path), files, group, facts).with_context(|| format!("volume {name}"))?;
                path
            }
        };
        paths.insert(name.clone(), host.path(&path).display().to_string());
    }
    Ok(paths)
}

/// Removes what `provide` made for the version `uid` of a pod, but for what lies at paths of the host.
///
/// # Errors
/// If something cannot be removed.
pub(super) fn remove(host: &Host, uid: &str) -> Result<()> {
    remove_run(host, uid)?;
    let folder = host.path(sandbox::volumes_folder(uid));
    remove_folder(&folder)
}

/// What goes with the boot.
fn remove_run(host: &Host, uid: &str) -> Result<()> {
    let folder = host.path(sandbox::run_folder(uid));
    // A part has one mount of ours, and on it may be others, which a container made.
    mounts::detach_below(&folder)?;
    parts::remove(host, uid)?;
    remove_folder(&folder)
}

/// Removes a folder with all that is in it. What is mounted below, by us or by a container, is no part of it: its content stays.
fn remove_folder(folder: &Path) -> Result<()> {
    mounts::detach_below(folder)?;
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.with_context(|| format!("removing {}", folder.display())),
    }
}

fn group(pod: &Pod) -> Result<Option<Gid>> {
    let number = pod.spec.fs_group.map(u32::try_from).transpose().context("fsGroup")?;
    Ok(number.map(Gid::from_raw))
}

/// Makes a folder for root alone, so that nobody but the pod gets at what is inside.
fn private_folder(folder: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("making the folder {}", folder.display()))
}

fn host_path(path: &Path, kind: HostPathKind) -> Result<()> {
    let is = |test: fn(&fs::FileType) -> bool, what: &str| -> Result<()> {
        let found = fs::metadata(path).context("looking at it")?.file_type();
        if test(&found) { Ok(()) } else { bail!("is not {what}") }
    };
    match kind {
        HostPathKind::Any => Ok(()),
        HostPathKind::DirectoryOrCreate => {
            fs::create_dir_all(path).context("making the folder")?;
            is(fs::FileType::is_dir, "a folder")
        }
        HostPathKind::Directory => is(fs::FileType::is_dir, "a folder"),
        HostPathKind::FileOrCreate => {
            match File::create_new(path) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error).context("making the file"),
                Ok(_) | Err(_) => {}
            }
            is(fs::FileType::is_file, "a file")
        }
        HostPathKind::File => is(fs::FileType::is_file, "a file"),
        HostPathKind::Socket => is(FileTypeExt::is_socket, "a socket"),
        HostPathKind::CharDevice => is(FileTypeExt::is_char_device, "a character device"),
        HostPathKind::BlockDevice => is(FileTypeExt::is_block_device, "a block device"),
    }
}

fn empty_dir(path: &Path, memory: Option<&MemoryDir>, group: Option<Gid>) -> Result<()> {
    if path.exists() {
        // From an earlier start of the pod, whose data it keeps; a reboot takes what was in memory.
        if memory.is_none() || is_mount_point(path)? {
            return Ok(());
        }
    }
    if let Some(parent) = path.parent() {
        private_folder(parent)?;
    }
    fs::create_dir_all(path).context("making the folder")?;
    if let Some(MemoryDir { size_bytes }) = memory {
        let options = size_bytes.map_or_else(String::new, |size| format!("size={size}"));
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        let options = std::ffi::CString::new(options).context("the mount options")?;
        mount("tmpfs", path, "tmpfs", flags, options.as_c_str()).context("mounting it in memory")?;
    }
    // Whatever user the containers run as, they can write (as the kubelet does it); with a group, what they write is the group's.
    let mode = if group.is_some() { 0o2777 } else { 0o777 };
    // A file system of its own keeps its sticky bit, there too.
    let mode = if memory.is_some() { mode | 0o1000 } else { mode };
    if let Some(group) = group {
        chown(path, None, Some(group)).context("giving it to the pod's group")?;
    }
    fs::set_permissions(path, Permissions::from_mode(mode)).context("opening it to all users of the pod")
}

fn is_mount_point(path: &Path) -> Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| fs::metadata(path).map(|found| found.dev()).context("looking at it");
    Ok(match path.parent() {
        Some(parent) => device(path)? != device(parent)?,
        None => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pods::manifest;

    fn pod(volumes: &str) -> Pod {
        let text = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: a}}, spec: {{volumes: {volumes}, containers: [{{name: c, \
             image: x}}]}}}}"
        );
        manifest::parse("/a.yaml", &text).unwrap()
    }

    #[test]
    fn volumes_are_made_kept_and_removed() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        let pod = pod("[{name: e, emptyDir: {}}, {name: h, hostPath: {path: /srv/h, type: DirectoryOrCreate}}]");
        let facts = Facts { uid: pod.uid.clone(), ..Facts::default() };
        let provide = |host: &Host, pod: &Pod| provide(host, pod, &facts);
        let paths = provide(&host, &pod).unwrap();
        let inside = Path::new(&paths["e"]).join("file");
        fs::write(&inside, "kept").unwrap();
        assert_eq!(provide(&host, &pod).unwrap(), paths);
        assert!(inside.exists() && tree.path().join("srv/h").is_dir());
        assert_eq!(fs::metadata(&paths["e"]).unwrap().permissions().mode() & 0o777, 0o777);
        remove(&host, &pod.uid).unwrap();
        assert!(!inside.exists() && tree.path().join("srv/h").is_dir());
        remove(&host, &pod.uid).unwrap();
    }

    #[test]
    fn a_host_path_must_be_what_the_manifest_says() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        fs::write(tree.path().join("f"), "").unwrap();
        for (kind, error) in
            [("Directory", Some("is not a folder")), ("File", None), ("Socket", Some("is not a socket"))]
        {
            let pod = pod(&format!("[{{name: v, hostPath: {{path: /f, type: {kind}}}}}]"));
            match (provide(&host, &pod, &Facts::default()), error) {
                (Ok(_), None) => {}
                (Err(found), Some(error)) => assert!(format!("{found:#}").ends_with(error), "{found:#}"),
                (found, _) => panic!("{kind}: {found:?}"),
            }
        }
    }
}
