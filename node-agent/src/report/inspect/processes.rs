//! Processes, with what each takes, and whose they are: a pod's container's, a unit's, the kernel's (proc_pid_stat(5), cgroups(7)).

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rustix::param::{clock_ticks_per_second, page_size};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::clients::{
    cri::{self, Cri, RunningContainer, Sandbox},
    host::Host,
};

/// How long the processors are watched.
const WATCH: Duration = Duration::from_secs(1);

/// What a pod's sandbox is called in the place of a container: no container can be.
const SANDBOX: &str = "(sandbox)";

/// Whose a process without a control group of its own is.
const KERNEL: &str = "kernel";

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Processes {
    /// What pods and units take, who takes most first.
    pub owners: Vec<Owner>,
    /// The processes, likewise.
    pub processes: Vec<Process>,
    /// Why pods are not called by their names.
    pub problem: Option<String>,
}

/// A container or a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// `NAMESPACE/POD/CONTAINER`, `NAME.service`, `kernel`.
    pub name: String,
    /// Processor time in thousandths of a processor, while it was watched.
    pub cpu_millis: u64,
    /// Memory of its processes.
    pub memory_bytes: u64,
    /// How many processes it has.
    pub processes: u64,
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// What it is called.
    pub name: String,
    /// Whose it is: an owner's name.
    pub owner: String,
    /// As for an owner.
    pub cpu_millis: u64,
    /// What of its memory is in use.
    pub memory_bytes: u64,
}

/// A process at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sample {
    name: String,
    ticks: u64,
    pages: u64,
    group: String,
}

pub(super) async fn inspect(host: &Host) -> Result<Processes> {
    let sample = |host: &Host| samples(host);
    let begun = Instant::now();
    let first = host.read("reading processes", sample).await?;
    sleep(WATCH).await;
    let second = host.read("reading processes", sample).await?;
    let watched = begun.elapsed();
    let (containers, problem) = match containers(host).await {
        Ok(containers) => (containers, None),
        Err(error) => (Vec::new(), Some(format!("{error:#}"))),
    };
    Ok(Processes { problem, ..summarise(&first, &second, watched, &containers) })
}

/// Those that run, and what holds the namespaces of each pod.
async fn containers(host: &Host) -> Result<Vec<RunningContainer>> {
    let cri = Cri::connect(&host.path(cri::SOCKET)).await?;
    let mut all = cri.running().await?;
    let sandbox = |one: Sandbox| RunningContainer {
        id: one.id,
        namespace: one.namespace,
        pod: one.name,
        name: SANDBOX.to_owned(),
    };
    all.extend(cri.sandboxes(BTreeMap::new()).await?.into_iter().filter(|one| one.ready).map(sandbox));
    Ok(all)
}

fn samples(host: &Host) -> Result<BTreeMap<u32, Sample>> {
    let folder = host.path("/proc");
    let entries = fs::read_dir(&folder).context("reading /proc")?;
    let mut all = BTreeMap::new();
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // It may end between two looks.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let group = fs::read_to_string(entry.path().join("cgroup")).unwrap_or_default();
        all.extend(parse(&stat, &group).map(|sample| (pid, sample)));
    }
    Ok(all)
}

/// The name is between the first and the last parenthesis, and may have any characters in it.
fn parse(stat: &str, group: &str) -> Option<Sample> {
    let (before, after) = stat.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    // The state is the third field.
    let fields: Vec<&str> = after.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let group = group.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
    Some(Sample { name: name.to_owned(), ticks: field(14)? + field(15)?, pages: field(24)?, group: group.to_owned() })
}

/// Whose a control group is.
fn owner(group: &str, containers: &[RunningContainer]) -> String {
    let parts: Vec<&str> = group.split('/').filter(|part| !part.is_empty()).collect();
    // `/…/ID` or `/…/cri-containerd-ID.scope`, and what the container made below.
    let is_in = |id: &str| parts.iter().any(|part| part.contains(id));
    if let Some(found) = containers.iter().find(|one| is_in(&one.id)) {
        return format!("{}/{}/{}", found.namespace, found.pod, found.name);
    }
    let is_unit = |part: &&&str| [".service", ".scope"].iter().any(|ending| part.ends_with(ending));
    let unit = parts.iter().find(is_unit).or(parts.last());
    unit.map_or(KERNEL.to_owned(), |unit| (*unit).to_owned())
}

fn summarise(
    first: &BTreeMap<u32, Sample>,
    second: &BTreeMap<u32, Sample>,
    watched: Duration,
    containers: &[RunningContainer],
) -> Processes {
    let millis = |ticks: u64| {
        let watched = u64::try_from(watched.as_millis()).unwrap_or(u64::MAX).max(1);
        ticks.saturating_mul(1_000_000) / clock_ticks_per_second().max(1) / watched
    };
    let page = page_size() as u64;
    let mut owners: BTreeMap<String, Owner> = BTreeMap::new();
    let mut processes = Vec::new();
    for (pid, now) in second {
        // Of one that began meanwhile all counts.
        let before = first.get(pid).filter(|before| before.name == now.name).map_or(0, |before| before.ticks);
        let process = Process {
            pid: *pid,
            name: now.name.clone(),
            owner: owner(&now.group, containers),
            cpu_millis: millis(now.ticks.saturating_sub(before)),
            memory_bytes: now.pages * page,
        };
        let owner = owners.entry(process.owner.clone()).or_insert_with(|| Owner {
            name: process.owner.clone(),
            cpu_millis: 0,
            memory_bytes: 0,
            processes: 0,
        });
        owner.cpu_millis += process.cpu_millis;
        owner.memory_bytes += process.memory_bytes;
        owner.processes += 1;
        processes.push(process);
    }
    let mut owners: Vec<Owner> = owners.into_values().collect();
    owners.sort_by_key(|one| std::cmp::Reverse((one.cpu_millis, one.memory_bytes)));
    processes.sort_by_key(|one| std::cmp::Reverse((one.cpu_millis, one.memory_bytes)));
    Processes { owners, processes, problem: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(name: &str, user: u64, pages: u64) -> String {
        format!(
            "7 ({name}) S 1 7 7 0 -1 4194560 100 0 0 0 {user} 10 0 0 20 0 1 0 55 1000 {pages} 18446744073709551615 1\n"
        )
    }

    #[test]
    fn what_processes_take_is_summed_up_by_whose_they_are() {
        let id = "ab".repeat(32);
        let containers = [RunningContainer {
            id: id.clone(),
            namespace: "default".to_owned(),
            pod: "web".to_owned(),
            name: "c".to_owned(),
        }];
        let sample =
            |name: &str, user, pages, group: &str| parse(&stat(name, user, pages), &format!("0::{group}\n")).unwrap();
        let pod = format!("/ballast.slice/{id}");
        let kubelets = format!("/kubepods.slice/kubepods-pod1.slice/cri-containerd-{id}.scope/inner");
        let moment = |busy| {
            BTreeMap::from([
                (1, sample("systemd", 0, 10, "/init.scope")),
                (2, sample("kthreadd", 0, 0, "/")),
                (9, sample("a) (b", busy, 20, &pod)),
                (10, sample("sh", 0, 5, &kubelets)),
            ])
        };
        let hertz = clock_ticks_per_second();
        let found = summarise(&moment(0), &moment(hertz / 2), Duration::from_secs(1), &containers);
        let page = page_size() as u64;
        let owner = |one: &Owner| (one.name.clone(), one.cpu_millis, one.memory_bytes / page, one.processes);
        assert_eq!(
            found.owners.iter().map(owner).collect::<Vec<_>>(),
            [
                ("default/web/c".to_owned(), 500, 25, 2),
                ("init.scope".to_owned(), 0, 10, 1),
                (KERNEL.to_owned(), 0, 0, 1)
            ]
        );
        assert_eq!((found.processes[0].pid, found.processes[0].name.as_str()), (9, "a) (b"));
        assert_eq!(super::owner("/system.slice/containerd.service", &containers), "containerd.service");
    }

    #[test]
    fn what_is_no_process_is_none() {
        for text in ["", "7 (a", "7 (a) S 1", "7 (a) S 1 7 7 0 -1 4194560 100 0 0 0 x 10"] {
            assert_eq!(parse(text, ""), None, "{text}");
        }
    }
}
