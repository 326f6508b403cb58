//! Files that the agent writes for a pod, for all of its containers: /etc/hosts and /etc/resolv.conf. They are written in place: containers
//! that run have this very file.

use std::{
    fs::{self, OpenOptions, Permissions},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::private_folder;
use crate::{
    clients::host::Host,
    pods::{
        model::{Facts, Pod, Resolver},
        sandbox,
    },
};

/// The /etc/hosts of a pod; where it lies on the host.
///
/// # Errors
/// If it cannot be written.
pub(in crate::pods) fn provide_hosts(host: &Host, pod: &Pod, facts: &Facts) -> Result<String> {
    let node = match pod.spec.host_network {
        true => fs::read_to_string(host.path(sandbox::hosts::PATH)).unwrap_or_default(),
        false => String::new(),
    };
    provide(host, pod, "hosts", &sandbox::hosts::text(&pod.spec, &facts.pod_ip, &node))
}

/// The /etc/resolv.conf of a pod, with the node's `resolver`; where it lies on the host.
///
/// # Errors
/// If it cannot be written.
pub(in crate::pods) fn provide_resolv_conf(host: &Host, pod: &Pod, resolver: Resolver) -> Result<String> {
    provide(host, pod, "resolv.conf", &sandbox::resolv_conf::text(&pod.spec, resolver))
}

/// Writes the name servers of `resolver` into the files of those of `pods` that have one; which could not be written.
pub(in crate::pods) fn update_resolv_confs(host: &Host, pods: &[Pod], resolver: &Resolver) -> Vec<anyhow::Error> {
    let update = |pod: &Pod| {
        let path = place(host, pod, "resolv.conf");
        let has_one = sandbox::resolv_conf::is_own(&pod.spec) && path.exists();
        let text = has_one.then(|| sandbox::resolv_conf::text(&pod.spec, resolver.clone()));
        text.and_then(|text| write_in_place(&path, &text).err())
    };
    pods.iter().filter_map(update).collect()
}

fn place(host: &Host, pod: &Pod, name: &str) -> PathBuf {
    host.path(sandbox::run_folder(&pod.uid)).join(name)
}

fn provide(host: &Host, pod: &Pod, name: &str, text: &str) -> Result<String> {
    private_folder(&host.path(sandbox::run_folder(&pod.uid)))?;
    let path = place(host, pod, name);
    write_in_place(&path, text)?;
    Ok(path.display().to_string())
}

/// The new text comes before the old one's rest is cut off: nobody reads an empty file.
fn write_in_place(path: &Path, text: &str) -> Result<()> {
    let has_its_length = fs::metadata(path).is_ok_and(|there| there.len() == text.len() as u64);
    if has_its_length && fs::read(path).is_ok_and(|there| there == text.as_bytes()) {
        return Ok(());
    }
    let doing = || format!("writing {}", path.display());
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path).with_context(doing)?;
    file.write_all(text.as_bytes()).with_context(doing)?;
    file.set_len(text.len() as u64).with_context(doing)?;
    file.set_permissions(Permissions::from_mode(0o644)).with_context(doing)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::pods::manifest;

    #[test]
    fn containers_that_run_see_other_name_servers() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        let pod = |name: &str, fields: &str| {
            let text = format!(
                "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{{fields} containers: [{{name: c, image: x}}]}}}}"
            );
            manifest::parse("/a.yaml", &text).unwrap()
        };
        let resolver = |servers: &[&str]| Resolver {
            servers: servers.iter().map(|server| (*server).to_owned()).collect(),
            ..Resolver::default()
        };
        let (own, shared) = (pod("own", ""), pod("shared", "hostNetwork: true,"));
        let path = provide_resolv_conf(&host, &own, resolver(&["192.0.2.1", "192.0.2.2"])).unwrap();
        let inode = fs::metadata(&path).unwrap().ino();
        update_resolv_confs(&host, &[own.clone(), shared.clone()], &resolver(&["192.0.2.9"]));
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.ends_with("\nnameserver 192.0.2.9\n"), "{text}");
        let there = fs::metadata(&path).unwrap();
        assert_eq!((there.ino(), there.mode() & 0o777), (inode, 0o644));
        // One that never started gets none.
        assert!(!place(&host, &shared, "resolv.conf").exists());
    }
}
