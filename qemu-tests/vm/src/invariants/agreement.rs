//! `ballast status` agrees with what the node itself shows.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

use crate::containers;
use crate::node::Node;
use crate::status::Status;

pub(super) fn check(node: &mut Node, commit: Option<&str>) -> Result<()> {
    let status = node.status()?;
    let guest = &mut node.guest;
    let release = guest.ask("cat /usr/lib/os-release")?;
    let cmdline = guest.ask("cat /proc/cmdline")?;
    let booted = booted_commit(&cmdline)?;
    equal("os.id", &status.os.id, &variable(&release, "ID")?)?;
    equal("os.version", &status.os.version, &variable(&release, "VERSION_ID")?)?;
    equal("os.commit", status.os.commit.as_deref().unwrap_or_default(), booted)?;
    if let Some(commit) = commit {
        equal("target/image/commit", commit, booted)?;
    }
    equal("node.hostname", &status.node.hostname, &guest.ask("cat /proc/sys/kernel/hostname")?)?;
    equal("node.machine_id", &status.node.machine_id, &guest.ask("cat /etc/machine-id")?)?;
    check_deployments(&status, booted)?;

    let containerd = guest.ask("containerd --version")?;
    ensure!(
        containerd.contains(&status.runtime.version),
        "runtime.version is {}, not {containerd}",
        status.runtime.version
    );
    ensure!(status.ready && status.runtime.ready, "it is not ready: {:?}", status.reasons);
    let parts = status.boot.kernel_ms + status.boot.initramfs_ms + status.boot.userspace_ms;
    ensure!(
        parts.abs_diff(status.boot.ready_ms) <= 3,
        "the parts of the boot add up to {parts}, not {}",
        status.boot.ready_ms
    );

    let (claimed, running) = (claimed(&status), containers::running(guest)?);
    ensure!(
        claimed == running.len(),
        "it reports {claimed} running sandboxes and containers, but there run {running:?}"
    );
    Ok(())
}

fn check_deployments(status: &Status, booted: &str) -> Result<()> {
    let mine: Vec<_> = status.deployments.iter().filter(|deployment| deployment.booted).collect();
    let [deployment] = mine[..] else { bail!("{} deployments are booted", mine.len()) };
    equal("the booted deployment", &deployment.commit, booted)?;
    ensure!(["trial", "good"].contains(&deployment.state.as_str()), "the booted deployment is {}", deployment.state);
    ensure!(status.deployments.iter().filter(|one| one.next).count() == 1, "not just one deployment boots next");
    Ok(())
}

/// Each running pod has its sandbox and its running containers.
fn claimed(status: &Status) -> usize {
    let running = status.pods.iter().filter(|pod| pod.phase == "Running");
    running.map(|pod| 1 + pod.containers.iter().filter(|container| container.state == "running").count()).sum()
}

fn booted_commit(cmdline: &str) -> Result<&str> {
    let argument = cmdline.split_whitespace().find_map(|word| word.strip_prefix("ballast.deployment="));
    let commit = argument.and_then(|deployment| deployment.split_once('.')).map(|(commit, _)| commit);
    commit.with_context(|| format!("there is no ballast.deployment= on the command line {cmdline:?}"))
}

fn variable(release: &str, key: &str) -> Result<String> {
    let pairs: BTreeMap<_, _> = release.lines().filter_map(|line| line.split_once('=')).collect();
    let value = pairs.get(key).with_context(|| format!("os-release has no {key}"))?;
    Ok(value.trim_matches('"').to_owned())
}

fn equal(what: &str, reported: &str, seen: &str) -> Result<()> {
    ensure!(reported == seen, "{what} is {reported:?}, the node shows {seen:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nodes_own_words_are_read() {
        assert_eq!(booted_commit("quiet ballast.deployment=ab12.0 panic=10").unwrap(), "ab12");
        assert!(booted_commit("quiet").is_err());
        assert_eq!(variable("ID=ballast\nVERSION_ID=\"1.2\"\n", "VERSION_ID").unwrap(), "1.2");
    }
}
