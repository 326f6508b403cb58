//! Waits for ROOT by its identity, and mounts it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::mount::MountFlags;

use crate::cmdline::Request;
use crate::deployment::DeploymentId;
use crate::drivers::Drivers;
use crate::efi::Loader;
use crate::ext4;
use crate::gpt::{Entry, TABLE_BYTES, parse_table};
use crate::modules::TIMEOUT;
use crate::mounts::{self, OnDamage};
use crate::partition::{self, Partition, RootSpec};
use crate::uevent::Uevents;

/// A disk that is not there by then will not come.
pub const DEADLINE: Duration = Duration::from_secs(10);
/// When a root without the wanted deployment has been found: for how long after the last new device another may come.
const SETTLE: Duration = Duration::from_secs(1);

const BLOCK_DEVICES: &str = "/sys/class/block";

/// ROOT, mounted, and the partitions beside it.
#[derive(Debug)]
pub struct Root {
    /// The partition that is mounted.
    pub partition: Partition,
    /// Every partition that was there then.
    pub all: Vec<Partition>,
    mounted: bool,
}

/// Waits for the partition that is ROOT ([`partition::choose`]) and mounts it. If the time is up and it does not hold the named
/// deployment, it is mounted all the same, so that the next step can say what is there.
///
/// # Errors
/// If there is no such partition, or several, or it cannot be mounted.
pub fn mount(request: &Request, loader: &Loader, drivers: &mut Drivers, uevents: &Uevents) -> Result<Root> {
    // Only a boot that is counted gains by a panic: after it another release boots.
    let on_damage = if loader.is_counted { OnDamage::Panic } else { OnDamage::ReadOnly };
    let root =
        wait(&request.root, loader, drivers, uevents, |candidate| attempt(candidate, &request.deployment, on_damage))?;
    if !root.mounted {
        mounts::root(&device(&root.partition), MountFlags::RDONLY, on_damage)?;
    }
    Ok(root)
}

/// Waits for the partition that is ROOT and that `attempt` accepts; if the time is up, one that it found second best.
///
/// # Errors
/// If there is neither, or several that cannot be distinguished.
pub fn wait(
    spec: &RootSpec,
    loader: &Loader,
    drivers: &mut Drivers,
    uevents: &Uevents,
    mut attempt: impl FnMut(&Partition) -> Attempt,
) -> Result<Root> {
    let start = Instant::now();
    let mut tried = BTreeMap::<String, Attempt>::new();
    loop {
        let all = partitions()?;
        let chosen = partition::choose(spec, loader.partition.as_deref(), &all, table);
        let chosen = chosen.map_err(|refused| anyhow!("{refused}").context(format!("looking for {spec}")))?;
        if let Some(candidate) = chosen.filter(|candidate| !tried.contains_key(&candidate.name)) {
            let result = attempt(candidate);
            if result == Attempt::Mounted {
                return Ok(Root { partition: candidate.clone(), all, mounted: true });
            }
            tried.insert(candidate.name.clone(), result);
        }
        // Only now: what is there already needs no more drivers, however long its coming took.
        let holds_back = drivers.load_for_devices()?;
        let second_best = all.iter().find(|partition| tried.get(&partition.name) == Some(&Attempt::SecondBest));
        let timeout = match (second_best, holds_back) {
            (_, true) => TIMEOUT,
            (Some(_), false) => SETTLE,
            (None, false) => DEADLINE,
        };
        let device_came = uevents.wait((Instant::now() + timeout).min(start + DEADLINE))?;
        if device_came || (holds_back && start.elapsed() < DEADLINE) {
            continue;
        }
        return match second_best.cloned() {
            Some(partition) => Ok(Root { partition, all, mounted: false }),
            None => Err(describe_absence(spec, loader, &all, &tried, drivers.failures())),
        };
    }
}

/// The device node of a partition.
pub fn device(partition: &Partition) -> PathBuf {
    Path::new("/dev").join(&partition.name)
}

/// What came of mounting a candidate.
#[derive(Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It is the one, and mounted.
    Mounted,
    /// It can be mounted, but does not hold what was looked for.
    SecondBest,
    /// It cannot be mounted.
    Refused(String),
}

/// Mounts a candidate, and leaves it mounted if the deployment is there.
fn attempt(candidate: &Partition, id: &DeploymentId, on_damage: OnDamage) -> Attempt {
    let device = device(candidate);
    let mount = || mounts::root(&device, MountFlags::RDONLY, on_damage);
    // A power cut may have torn the superblock; nothing else of ROOT is looked at before the kernel does.
    let mounted = mount().or_else(|refused| match ext4::mend(&device) {
        Ok(true) => mount(),
        Ok(false) | Err(_) => Err(refused),
    });
    let result = mounted.and_then(|()| {
        if id.path(Path::new(mounts::ROOT)).is_dir() {
            return Ok(Attempt::Mounted);
        }
        mounts::root_off().map(|()| Attempt::SecondBest)
    });
    result.unwrap_or_else(|error| Attempt::Refused(format!("{error:#}")))
}

/// The partition table of a disk; empty if it cannot be read, since such a disk has nothing for us.
fn table(disk: &str) -> Vec<Entry> {
    let read = || -> Result<Vec<Entry>> {
        let mut start = Vec::with_capacity(TABLE_BYTES);
        File::open(Path::new("/dev").join(disk))?.take(TABLE_BYTES as u64).read_to_end(&mut start)?;
        parse_table(&start, block_bytes(disk)?)
    };
    read().unwrap_or_default()
}

/// The size of a disk's blocks, in which its partition table counts.
fn block_bytes(disk: &str) -> Result<usize> {
    let path = Path::new(BLOCK_DEVICES).join(disk.replace('/', "!")).join("queue/logical_block_size");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    text.trim().parse().with_context(|| format!("reading {}", path.display()))
}

/// Every partition there is, in order.
fn partitions() -> Result<Vec<Partition>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(BLOCK_DEVICES).with_context(|| format!("listing {BLOCK_DEVICES}"))? {
        let path = entry.with_context(|| format!("listing {BLOCK_DEVICES}"))?.path();
        // A device may go away between the two reads.
        if let (Ok(link), Ok(uevent)) = (fs::read_link(&path), fs::read_to_string(path.join("uevent"))) {
            all.extend(partition::parse_partition(&link.to_string_lossy(), &uevent));
        }
    }
    partition::sort(&mut all);
    Ok(all)
}

fn describe_absence(
    spec: &RootSpec,
    loader: &Loader,
    all: &[Partition],
    tried: &BTreeMap<String, Attempt>,
    failures: &[String],
) -> anyhow::Error {
    let mut reasons = Vec::new();
    for (name, attempt) in tried {
        if let Attempt::Refused(reason) = attempt {
            reasons.push(format!("{name}: {reason}"));
        }
    }
    if tried.is_empty() {
        let names: Vec<_> = all.iter().map(|partition| partition.name.as_str()).collect();
        let seen = if names.is_empty() { "none at all".into() } else { names.join(", ") };
        reasons.push(format!("no such partition after {} s (there: {seen})", DEADLINE.as_secs()));
    }
    reasons.extend(failures.iter().cloned());
    let disk = loader.partition.as_ref().map(|booted| format!(" on the disk of PARTUUID={booted}, which was booted"));
    anyhow!(reasons.join("; ")).context(format!("looking for {spec}{}", disk.unwrap_or_default()))
}

/// VAR's partition.
///
/// # Errors
/// If there is none on ROOT's disk.
pub fn var_partition(root: &Root) -> Result<&Partition> {
    match partition::var_beside(&root.partition, &root.all) {
        Some(var) => Ok(var),
        None => bail!("there is no partition labelled ballast-var on {}", root.partition.disk),
    }
}
