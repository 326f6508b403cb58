//! Partitions as sysfs describes them, and which of them can be ROOT. Pure.

use std::collections::BTreeMap;
use std::str::FromStr;

use anyhow::{Result, bail};

use crate::gpt::{Entry, ROOT_X86_64};

/// The label of ROOT.
const ROOT_LABEL: &str = "ballast-root";
/// The label of VAR, on ROOT's disk.
const VAR_LABEL: &str = "ballast-var";

/// How the command line names ROOT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootSpec {
    /// By the label in the partition table.
    Label(String),
    /// By the partition's own UUID.
    Uuid(String),
}

impl Default for RootSpec {
    fn default() -> Self {
        Self::Label(ROOT_LABEL.into())
    }
}

impl FromStr for RootSpec {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once('=') {
            Some((_, "")) => bail!("the name is empty"),
            Some(("PARTLABEL", label)) => Ok(Self::Label(label.into())),
            Some(("PARTUUID", uuid)) => Ok(Self::Uuid(uuid.to_ascii_lowercase())),
            _ => bail!("the root is named by PARTLABEL= or PARTUUID="),
        }
    }
}

impl std::fmt::Display for RootSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Label(label) => write!(f, "PARTLABEL={label}"),
            Self::Uuid(uuid) => write!(f, "PARTUUID={uuid}"),
        }
    }
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// The disk's name in /dev.
    pub disk: String,
    /// The partition's name in /dev.
    pub name: String,
    /// Its number in the partition table.
    pub number: u32,
    label: Option<String>,
}

/// Reads one entry of /sys/class/block: where the link points (`…/block/DISK/PARTITION`), and its `uevent` file. `None`
/// for what is no partition.
pub fn parse_partition(link: &str, uevent: &str) -> Option<Partition> {
    let field = |key: &str| {
        uevent
            .lines()
            .filter_map(|line| line.split_once('='))
            .find(|(k, _)| *k == key)
            .map(|(_, value)| value.to_owned())
    };
    if field("DEVTYPE")? != "partition" {
        return None;
    }
    let disk = link.rsplit('/').nth(1)?;
    Some(Partition {
        // sysfs writes the / of a name such as cciss/c0d0 as !.
        disk: disk.replace('!', "/"),
        name: field("DEVNAME")?,
        number: field("PARTN")?.parse().ok()?,
        label: field("PARTNAME"),
    })
}

/// The order in which partitions are looked at: that of their names, vdb before vdaa.
pub fn sort(partitions: &mut [Partition]) {
    partitions.sort_by(|a, b| (a.disk.len(), &a.disk, a.number).cmp(&(b.disk.len(), &b.disk, b.number)));
}

/// Why no partition can be taken, although some are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Several disks have the partition that the firmware booted.
    Disks(Vec<String>),
    /// Several partitions are what the command line names.
    Partitions(Vec<String>),
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (what, names) = match self {
            Self::Disks(names) => ("several disks have the partition that was booted", names),
            Self::Partitions(names) => ("several partitions are meant", names),
        };
        let names = names.join(", ");
        write!(
            f,
            "{what}, and nothing says which is this node's: {names}; take the others away, or name one on the kernel's command line: \
             root=PARTUUID=…"
        )
    }
}

/// The partition to take for ROOT; None if it is not there yet. Where the firmware says which partition it `booted` from, only that disk
/// counts, whatever others carry, unless the command line names a partition by its UUID. `table` as for [`candidates`].
///
/// # Errors
/// If there are several that cannot be distinguished: to take the first would let a disk that somebody plugs in take the node over.
pub fn choose<'a>(
    spec: &RootSpec,
    booted: Option<&str>,
    partitions: &'a [Partition],
    table: impl Fn(&str) -> Vec<Entry>,
) -> Result<Option<&'a Partition>, Refused> {
    let is_by_uuid = matches!(spec, RootSpec::Uuid(_));
    let own = match booted.filter(|_| !is_by_uuid) {
        None => None,
        Some(booted) => {
            let mut disks: Vec<&str> = partitions.iter().map(|partition| partition.disk.as_str()).collect();
            disks.dedup();
            disks.retain(|disk| table(disk).iter().any(|entry| entry.id.to_string() == booted));
            match disks.as_slice() {
                [] => return Ok(None),
                [disk] => Some(*disk),
                several => return Err(Refused::Disks(several.iter().map(|disk| (*disk).to_owned()).collect())),
            }
        }
    };
    let of_own = |disk: &str| own.is_none_or(|own| own == disk);
    let mut found = candidates(spec, partitions, of_own, &table);
    match (found.pop(), found.is_empty()) {
        (last, true) => Ok(last),
        (last, false) => {
            let names = found.into_iter().chain(last).map(|partition| partition.name.clone());
            Err(Refused::Partitions(names.collect()))
        }
    }
}

/// The partitions of the disks that `counts` that are what the command line names. `table` reads the partition table of a disk, that sysfs knows
/// the labels only; it is asked if need be, once a disk. Without an explicit or a present label it is the type that counts.
fn candidates<'a>(
    spec: &RootSpec,
    partitions: &'a [Partition],
    counts: impl Fn(&str) -> bool,
    table: impl Fn(&str) -> Vec<Entry>,
) -> Vec<&'a Partition> {
    let partitions: Vec<&Partition> = partitions.iter().filter(|partition| counts(&partition.disk)).collect();
    let labelled = |label: &String| partitions.iter().filter(|p| p.label.as_ref() == Some(label)).copied().collect();
    let is_wanted = |entry: &Entry| match spec {
        RootSpec::Label(_) => entry.kind == ROOT_X86_64,
        RootSpec::Uuid(uuid) => entry.id.to_string() == *uuid,
    };
    if let RootSpec::Label(label) = spec {
        let found: Vec<&Partition> = labelled(label);
        if !found.is_empty() || *spec != RootSpec::default() {
            return found;
        }
    }
    let (mut tables, mut found) = (BTreeMap::new(), Vec::new());
    for partition in partitions {
        let entries = tables.entry(&partition.disk).or_insert_with(|| table(&partition.disk));
        if entries.iter().any(|entry| entry.number == partition.number && is_wanted(entry)) {
            found.push(partition);
        }
    }
    found
}

/// VAR: the one so labelled on the same disk as ROOT.
pub fn var_beside<'a>(root: &Partition, partitions: &'a [Partition]) -> Option<&'a Partition> {
    partitions.iter().find(|other| other.disk == root.disk && other.label.as_deref() == Some(VAR_LABEL))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpt::Guid;

    fn partition(disk: &str, number: u32, label: &str) -> Partition {
        Partition { disk: disk.into(), name: format!("{disk}{number}"), number, label: Some(label.into()) }
    }

    #[test]
    fn reads_sysfs() {
        let link = "../../devices/pci0000:00/0000:00:02.0/virtio1/block/vda/vda2";
        let uevent = "MAJOR=254\nMINOR=2\nDEVNAME=vda2\nDEVTYPE=partition\nDISKSEQ=1\nPARTN=2\nPARTNAME=ballast-root\n";
        let expected =
            Partition { disk: "vda".into(), name: "vda2".into(), number: 2, label: Some("ballast-root".into()) };
        assert_eq!(parse_partition(link, uevent), Some(expected));
        assert_eq!(parse_partition("x/block/vda", "DEVNAME=vda\nDEVTYPE=disk\n"), None);
        assert_eq!(parse_partition("x/block/vda/vda1", "DEVTYPE=partition\nDEVNAME=vda1\n"), None, "no number");
        let unlabelled =
            parse_partition("b/nvme0n1/nvme0n1p1", "DEVNAME=nvme0n1p1\nDEVTYPE=partition\nPARTN=1").unwrap();
        assert_eq!((unlabelled.disk.as_str(), unlabelled.label), ("nvme0n1", None));
    }

    #[test]
    fn picks_what_is_named() {
        let mut all = vec![
            partition("vdaa", 2, "ballast-root"),
            partition("vdb", 3, "ballast-var"),
            partition("vdb", 2, "ballast-root"),
            partition("vdb", 10, "ballast-root"),
            partition("vda", 1, "data"),
        ];
        sort(&mut all);
        let names = |spec: &str| {
            let found = candidates(&spec.parse().unwrap(), &all, |_| true, |_| panic!("no table is needed"));
            found.iter().map(|p| p.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names("PARTLABEL=ballast-root"), ["vdb2", "vdb10", "vdaa2"]);
        assert_eq!(names("PARTLABEL=data"), ["vda1"]);
        assert_eq!(names("PARTLABEL=other"), [""; 0]);
    }

    #[test]
    fn picks_by_type_and_by_identity() {
        let all =
            [partition("vda", 1, "a"), partition("vda", 2, "b"), partition("vdb", 1, "c"), partition("vdb", 2, "d")];
        let table = |disk: &str| match disk {
            "vda" => vec![
                Entry { number: 1, kind: Guid::from_bytes([1; 16]), id: Guid::from_bytes([0x11; 16]) },
                Entry { number: 2, kind: ROOT_X86_64, id: Guid::from_bytes([0xab; 16]) },
            ],
            _ => vec![],
        };
        let names = |spec: &RootSpec| {
            candidates(spec, &all, |_| true, table).iter().map(|p| p.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(&RootSpec::default()), ["vda2"]);
        assert_eq!(names(&"PARTUUID=11111111-1111-1111-1111-111111111111".parse().unwrap()), ["vda1"]);
        assert_eq!(names(&"PARTUUID=ABABABAB-ABAB-ABAB-ABAB-ABABABABABAB".parse().unwrap()), ["vda2"]);
        assert_eq!(names(&"PARTUUID=22222222-1111-1111-1111-111111111111".parse().unwrap()), [""; 0]);
    }

    #[test]
    fn only_the_booted_disk_counts() {
        let disk = |name: &str| {
            [(1, "ballast-esp"), (2, "ballast-root")].map(|(number, label)| partition(name, number, label))
        };
        // A volume on virtio, with the shorter name; the node's own disk; a second one of the same image.
        let mut all: Vec<Partition> = ["sda", "nvme0n1p", "nvme1n1p"].iter().flat_map(|name| disk(name)).collect();
        sort(&mut all);
        let (foreign, own) = (Guid::from_bytes([0xaa; 16]), Guid::from_bytes([0x11; 16]));
        let esp = |id| vec![Entry { number: 1, kind: Guid::from_bytes([1; 16]), id }];
        let distinct = |disk: &str| esp(if disk == "nvme0n1p" { own } else { foreign });
        let chosen = |spec: &RootSpec, booted: Option<Guid>| {
            let booted = booted.map(|guid| guid.to_string());
            choose(spec, booted.as_deref(), &all, distinct).map(|found| found.map(|partition| partition.name.clone()))
        };
        let by_label = RootSpec::default();
        assert_eq!(chosen(&by_label, Some(own)), Ok(Some("nvme0n1p2".to_owned())));
        assert_eq!(chosen(&by_label, Some(Guid::from_bytes([5; 16]))), Ok(None), "its disk is not there yet");
        let disks = ["sda", "nvme1n1p"].map(str::to_owned).to_vec();
        assert_eq!(chosen(&by_label, Some(foreign)), Err(Refused::Disks(disks)));
        // Without UEFI nobody says which: they are refused by name, unless the command line names one.
        let names = ["sda2", "nvme0n1p2", "nvme1n1p2"].map(str::to_owned).to_vec();
        assert_eq!(chosen(&by_label, None), Err(Refused::Partitions(names)));
        let by_uuid: RootSpec = format!("PARTUUID={own}").parse().unwrap();
        assert_eq!(chosen(&by_uuid, Some(foreign)), Ok(Some("nvme0n1p1".to_owned())));
        let reported = chosen(&by_label, None).unwrap_err().to_string();
        assert!(reported.contains("sda2, nvme0n1p2, nvme1n1p2") && reported.contains("root=PARTUUID="), "{reported}");
        let alone = choose(&by_label, None, &all[..2], distinct).unwrap().unwrap();
        assert_eq!(alone.name, "sda2");
    }

    #[test]
    fn var_is_on_the_disk_of_root() {
        let all = [partition("vda", 3, "ballast-var"), partition("vdb", 3, "ballast-var")];
        assert_eq!(var_beside(&partition("vdb", 2, "ballast-root"), &all).unwrap().name, "vdb3");
        assert_eq!(var_beside(&partition("vdc", 2, "ballast-root"), &all), None);
    }
}
