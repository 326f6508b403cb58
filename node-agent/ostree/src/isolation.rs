//! This process is alone: it ends with its parent, and what it makes writable is writable for nobody else. It has to be root, since a
//! release has owners, file capabilities and immutable folders; of what root may it keeps no more than that.

use std::path::Path;

use anyhow::{Context, Result};
use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr,
    Scope,
};
use rustix::{
    mount::{MountFlags, MountPropagationFlags, mount_change, mount_remount},
    process::{Signal, set_parent_process_death_signal},
    thread::{CapabilitySet, CapabilitySets, UnshareFlags, capabilities, set_capabilities, set_no_new_privs},
};

/// Where ROOT is mounted on a node, and its folder /boot.
const MOUNTS: [&str; 2] = ["/sysroot", "/boot"];

/// As /init mounts ROOT.
const FLAGS: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);

/// Where libostree writes beside [`MOUNTS`]: locks, and what ostree-ext and `ostree commit` keep for a moment.
const SCRATCH: [&str; 4] = ["/run/ostree", "/run/lock", "/tmp", "/dev/null"];

/// What a release's files take: owners, modes, file capabilities, the mark that a deployment is immutable.
const CAPABILITIES: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::LINUX_IMMUTABLE);

/// The rules of Linux 6.12.
const RULES: ABI = ABI::V6;

pub(crate) fn tie_to_parent() -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL)).context("asking to end with the parent")
}

/// On a node: without a network, since the image proxy's service has one; and if it `writes`, with a mount namespace of its own in
/// which /sysroot and /boot can be written to. From then on nothing else can be written to. A folder that lies elsewhere is as
/// writable as it is.
pub(crate) fn isolate(sysroot: &Path, writes: bool) -> Result<()> {
    if sysroot != Path::new("/") {
        return Ok(());
    }
    let namespaces = UnshareFlags::NEWNET | if writes { UnshareFlags::NEWNS } else { UnshareFlags::empty() };
    #[expect(unsafe_code, reason = "rustix marks it so for what other flags can do")]
    // SAFETY: new namespaces share no memory and no descriptors that anyone could rely on; there is one thread.
    unsafe { rustix::thread::unshare_unsafe(namespaces) }.context("leaving the network and the mounts of the host")?;
    if writes {
        let private = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
        mount_change("/", private).context("keeping our mounts to ourselves")?;
        // The file system itself first, then where else it is seen: each mount has a read-only flag of its own.
        mount_remount(MOUNTS[0], FLAGS, "").with_context(|| format!("remounting {} writable", MOUNTS[0]))?;
        let bind = mount_remount(MOUNTS[1], FLAGS | MountFlags::BIND, "");
        bind.with_context(|| format!("remounting {} writable", MOUNTS[1]))?;
    }
    confine(if writes { &MOUNTS } else { &[] }).context("giving up what a release does not take")
}

/// Gives up all privileges but [`CAPABILITIES`], and writing but below `writable`. What is started from here has no more.
fn confine(writable: &[&str]) -> Result<()> {
    set_no_new_privs(true).context("giving up new privileges")?;
    let kept = capabilities(None).context("looking at the capabilities")?.permitted & CAPABILITIES;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).context("giving up capabilities")?;
    let ruleset = Ruleset::default()
        // A kernel without it has none of the image's other defences either.
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(RULES))?
        // Processes outside are not killed, and not spoken to over sockets that have no path.
        .scope(Scope::from_all(RULES))?;
    let mut ruleset = ruleset.create()?.add_rule(PathBeneath::new(PathFd::new("/")?, AccessFs::from_read(RULES)))?;
    for path in writable.iter().chain(&SCRATCH).map(Path::new) {
        // Of these some are there only now and then.
        let Ok(place) = PathFd::new(path) else { continue };
        let all = if path.is_dir() { AccessFs::from_all(RULES) } else { AccessFs::from_file(RULES) };
        ruleset = ruleset.add_rule(PathBeneath::new(place, all))?;
    }
    ruleset.restrict_self().map(drop).context("restricting this process")
}

#[cfg(test)]
mod tests {
    use std::{fs, thread};

    use super::*;

    /// All of it is a thread's own, so this one ends with the test.
    #[test]
    fn who_is_confined_keeps_few_rights_and_writes_where_it_may() {
        // Not in /tmp, where it may.
        let folders = [(); 2].map(|()| tempfile::tempdir_in("/var/tmp").unwrap());
        let [here, elsewhere] = folders.each_ref().map(|folder| folder.path().to_owned());
        thread::spawn(move || {
            confine(&[here.to_str().unwrap()]).unwrap();
            let permitted = capabilities(None).unwrap().permitted;
            assert!(CAPABILITIES.contains(permitted), "{permitted:?}");
            // Its own status: /proc/self is the first thread's.
            let status = fs::read_to_string("/proc/thread-self/status").unwrap();
            assert!(status.contains("NoNewPrivs:\t1"), "{status}");
            fs::write(here.join("file"), "a").unwrap();
            fs::rename(here.join("file"), here.join("other")).unwrap();
            let denied = fs::write(elsewhere.join("file"), "a").unwrap_err();
            assert_eq!(denied.kind(), std::io::ErrorKind::PermissionDenied);
            assert_eq!(fs::read_to_string(here.join("other")).unwrap(), "a");
        })
        .join()
        .unwrap();
    }
}
