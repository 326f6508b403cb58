//! The volumes and logs that pods have on the disk: which there are, and their removal.

use std::{
    collections::BTreeSet,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{manifest, sandbox, termination, volumes};
use crate::clients::{cgroup, host::Host};

/// The versions of our pods that have volumes or logs here. Others keep logs in the same place, a kubelet above all.
pub(super) fn owners(host: &Host) -> BTreeSet<String> {
    let volumes = names(&host.path(sandbox::VOLUMES)).into_iter();
    let logs = names(&host.path(sandbox::LOGS)).into_iter().filter_map(|name| owner(&name).map(str::to_owned));
    let logs = logs.filter(|uid| manifest::is_own_uid(uid));
    let runs = names(&host.path(sandbox::RUN)).into_iter();
    volumes.chain(logs).chain(runs).collect()
}

/// Removes the volumes and logs of the version `uid` of a pod.
///
/// # Errors
/// If something cannot be removed.
pub(super) fn remove(host: &Host, uid: &str) -> Result<()> {
    volumes::remove(host, uid)?;
    cgroup::remove(host, &sandbox::group(uid))?;
    let folder = host.path(sandbox::LOGS);
    for name in names(&folder).iter().filter(|name| owner(name) == Some(uid)) {
        let logs: PathBuf = folder.join(name);
        fs::remove_dir_all(&logs).with_context(|| format!("removing {}", logs.display()))?;
    }
    Ok(())
}

/// Removes the logs in `folder`, one container's, that are older than the run before `attempt`: the runtime writes logs
/// and never removes one.
///
/// # Errors
/// If the folder cannot be read, or a log not removed.
pub(super) fn prune_logs(folder: &Path, attempt: u32) -> Result<()> {
    for name in names(folder) {
        // `9.log`, the older ones of the same run, as `9.log.1`, and its termination message.
        let number = name.split_once(".log").or_else(|| name.split_once(termination::ENDING));
        let number: Option<u32> = number.and_then(|(number, _)| number.parse().ok());
        if number.is_some_and(|number| number + 1 < attempt) {
            let log = folder.join(name);
            fs::remove_file(&log).with_context(|| format!("removing {}", log.display()))?;
        }
    }
    Ok(())
}

/// `NAMESPACE_NAME_UID` → UID; neither a namespace nor a name has a `_`.
fn owner(log_folder: &str) -> Option<&str> {
    log_folder.splitn(3, '_').nth(2)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            if error.kind() != ErrorKind::NotFound {
                log::warn!("reading {}: {error}", folder.display());
            }
            return Vec::new();
        }
    };
    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pod_left_is_found_and_removed() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        let [one, two] = ["1", "2"].map(|last| format!("01234567-89ab-8def-8123-456789abcde{last}"));
        let kubelets = "7d0c2b1e-9f5b-4c55-9a53-3f0f1c8b8a11";
        for folder in [
            format!("var/lib/ballast/volumes/{one}/data"),
            format!("run/ballast/pods/{one}/volumes/conf"),
            format!("sys/fs/cgroup/ballast-pods/pod{one}"),
            format!("var/log/pods/ns_web_{one}/c"),
            format!("var/log/pods/ns_web_{two}/c"),
            format!("var/log/pods/ns_web_{kubelets}/c"),
            "var/log/pods/kube-system_etcd-node_0123456789abcdef0123456789abcdef/etcd".to_owned(),
            "var/log/pods/notes".to_owned(),
        ] {
            fs::create_dir_all(tree.path().join(folder)).unwrap();
        }
        assert_eq!(owners(&host), [one.clone(), two.clone()].into());
        remove(&host, &one).unwrap();
        assert_eq!(owners(&host), [two.clone()].into());
        remove(&host, &two).unwrap();
        assert_eq!(fs::read_dir(tree.path().join("var/log/pods")).unwrap().count(), 3);
        for gone in ["run/ballast/pods", "sys/fs/cgroup/ballast-pods"] {
            assert_eq!(fs::read_dir(tree.path().join(gone)).unwrap().count(), 0, "{gone}");
        }
    }

    #[test]
    fn the_log_of_the_run_before_stays() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["0.log", "0.message", "8.log", "8.log.1", "9.log", "9.log.2", "9.message", "notes"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        prune_logs(folder.path(), 10).unwrap();
        let mut left = names(folder.path());
        left.sort();
        assert_eq!(left, ["9.log", "9.log.2", "9.message", "notes"]);
        prune_logs(&folder.path().join("none"), 1).unwrap();
    }
}
