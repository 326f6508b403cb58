//! Where a boot goes: the kernel, the steps of the initramfs, the units, each with its start and its end.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use qemu_vm::guest::Guest;

/// A part of the boot, in microseconds since the kernel started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Span {
    pub(super) name: String,
    pub(super) start_us: u64,
    pub(super) end_us: u64,
    /// Its CPU time, where systemd accounts for it
    #[serde(default)]
    pub(super) cpu_us: Option<u64>,
}

/// A whole boot.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Timeline {
    pub(super) kernel_us: u64,
    pub(super) kernel_cpu_us: Option<u64>,
    /// The end of the initramfs
    pub(super) initramfs_us: u64,
    pub(super) initramfs_cpu_us: Option<u64>,
    pub(super) ready_us: u64,
    pub(super) steps: Vec<Span>,
    /// systemd's own CPU time until READY
    pub(super) systemd_cpu_us: Option<u64>,
    /// systemd's own work before its first unit
    pub(super) manager: Vec<Span>,
    pub(super) units: Vec<Span>,
}

/// Whose work it was until READY.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Share {
    pub(super) name: String,
    pub(super) cpu_us: u64,
}

/// What `ballast boot --json` prints (docs/operating.md).
#[derive(Debug, Deserialize)]
pub(super) struct NodesOwn {
    ready_us: u64,
    parts: Vec<Part>,
    pub(super) busy_by: Vec<Share>,
}

#[derive(Clone, Debug, Deserialize)]
struct Part {
    kind: String,
    name: String,
    start_us: Option<u64>,
    end_us: Option<u64>,
    cpu_us: Option<u64>,
}

impl NodesOwn {
    /// Asks a node.
    pub(super) fn of(guest: &mut Guest) -> Result<Self> {
        let text = guest.ask("ballast boot --json")?;
        serde_json::from_str(&text).with_context(|| format!("reading what `ballast boot` says: {text}"))
    }

    /// CPU time of `name` until READY, in nanoseconds: under the instruction counter, instructions.
    pub(super) fn instructions(&self, name: &str) -> Result<u64> {
        let share = self.busy_by.iter().find(|share| share.name == name);
        Ok(share.with_context(|| format!("`ballast boot` says no CPU time of {name}"))?.cpu_us * 1000)
    }
}

impl Timeline {
    /// Ours, as the node itself says it.
    pub(super) fn ours(own: &NodesOwn) -> Result<Self> {
        let one = |kind: &str| {
            let part = own.parts.iter().find(|part| part.kind == kind);
            part.with_context(|| format!("`ballast boot` says nothing of the {kind}"))
        };
        let (kernel, init, systemd) = (one("kernel")?, one("init")?, one("systemd")?);
        let spans = |kind: &str, prefix: &str| -> Vec<Span> {
            let parts = own.parts.iter().filter(|part| part.kind == kind);
            parts.filter_map(|part| part.span(prefix, own.ready_us)).collect()
        };
        Ok(Self {
            kernel_us: kernel.end_us.context("the kernel has no end")?,
            kernel_cpu_us: kernel.cpu_us,
            initramfs_us: init.end_us.context("/init has no end")?,
            initramfs_cpu_us: init.cpu_us,
            ready_us: own.ready_us,
            steps: spans("step", ""),
            systemd_cpu_us: systemd.cpu_us,
            manager: spans("manager", "systemd: "),
            units: spans("unit", ""),
        })
    }

    /// The stock image's: its kernel and its systemd say when they began.
    pub(super) fn stock(guest: &mut Guest, ready_us: u64) -> Result<Self> {
        let kernel = guest.ask("dmesg")?;
        let userspace = guest.ask("systemctl show --property=UserspaceTimestampMonotonic --value")?;
        let init = kernel.lines().find(|line| line.contains("Run /init as init process"));
        let kernel_us = init.and_then(stamp).context("the kernel's log does not say when /init was run")?;
        let initramfs_us = userspace.parse().with_context(|| format!("reading systemd's start {userspace:?}"))?;
        let (manager, units) = (manager(guest)?, units(guest, ready_us)?);
        Ok(Self { kernel_us, initramfs_us, ready_us, manager, units, ..Self::default() })
    }
}

impl Part {
    /// `None` for what started after READY. What is not up by then goes on until then.
    fn span(&self, prefix: &str, ready_us: u64) -> Option<Span> {
        let start_us = self.start_us.filter(|&start| start < ready_us)?;
        let end_us = self.end_us.unwrap_or(ready_us);
        Some(Span { name: format!("{prefix}{}", self.name), start_us, end_us, cpu_us: self.cpu_us })
    }
}

/// `[    1.234567] text` as microseconds.
fn stamp(line: &str) -> Option<u64> {
    let (seconds, micros) = line.strip_prefix('[')?.split_once(']')?.0.trim().split_once('.')?;
    Some(seconds.parse::<u64>().ok()? * 1_000_000 + micros.parse::<u64>().ok()?)
}

/// What systemd does before its first unit starts, as it says it itself.
fn manager(guest: &mut Guest) -> Result<Vec<Span>> {
    let moments = ["Userspace", "GeneratorsStart", "GeneratorsFinish", "UnitsLoadStart", "UnitsLoadFinish"];
    let properties = moments.map(|moment| format!("{moment}TimestampMonotonic")).join(",");
    Ok(manager_spans(&guest.ask(&format!("systemctl show --no-pager --property={properties}"))?))
}

fn manager_spans(properties: &str) -> Vec<Span> {
    let at = |key: &str| {
        let value = properties.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix("TimestampMonotonic="));
        value.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0)
    };
    let parts = [
        ("systemd: start", at("Userspace"), at("GeneratorsStart")),
        ("systemd: generators", at("GeneratorsStart"), at("GeneratorsFinish")),
        ("systemd: loading units", at("UnitsLoadStart"), at("UnitsLoadFinish")),
    ];
    let known = parts.into_iter().filter(|(_, start, end)| *start > 0 && end > start);
    known.map(|(name, start_us, end_us)| Span { name: name.to_owned(), start_us, end_us, cpu_us: None }).collect()
}

fn units(guest: &mut Guest, ready_us: u64) -> Result<Vec<Span>> {
    let properties =
        "Id,InactiveExitTimestampMonotonic,ActiveEnterTimestampMonotonic,InactiveEnterTimestampMonotonic,CPUUsageNSec";
    let text = guest.ask(&format!("systemctl show --no-pager --property={properties} '*.service' '*.mount'"))?;
    let mut units: Vec<Span> = text.split("\n\n").filter_map(unit).filter(|unit| unit.start_us < ready_us).collect();
    units.sort_by_key(|unit| unit.start_us);
    Ok(units)
}

/// One block of `systemctl show`; `None` for a unit that never started.
fn unit(block: &str) -> Option<Span> {
    let value = |key: &str| block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let micros = |key: &str| value(key).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    let start_us = micros("InactiveExitTimestampMonotonic");
    // A oneshot unit that does not stay active was never "active": it ended when it went back to inactive.
    let ends = [micros("ActiveEnterTimestampMonotonic"), micros("InactiveEnterTimestampMonotonic")];
    let end_us = ends.into_iter().find(|&end| end >= start_us).unwrap_or(start_us);
    let cpu_us = value("CPUUsageNSec").and_then(|text| text.parse::<u64>().ok()).map(|ns| ns / 1000);
    (start_us > 0).then(|| Span { name: value("Id").unwrap_or_default().to_owned(), start_us, end_us, cpu_us })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_whether_they_stay_or_not() {
        let active = "Id=containerd.service\nInactiveExitTimestampMonotonic=100\nActiveEnterTimestampMonotonic=250\n\
                      InactiveEnterTimestampMonotonic=0\nCPUUsageNSec=90000";
        let want = Span { name: "containerd.service".into(), start_us: 100, end_us: 250, cpu_us: Some(90) };
        assert_eq!(unit(active), Some(want));
        let oneshot = "Id=a.service\nInactiveExitTimestampMonotonic=5\nActiveEnterTimestampMonotonic=0\n\
                       InactiveEnterTimestampMonotonic=9\nCPUUsageNSec=[not set]";
        assert_eq!(unit(oneshot), Some(Span { name: "a.service".into(), start_us: 5, end_us: 9, cpu_us: None }));
        assert_eq!(unit("Id=never.service\nInactiveExitTimestampMonotonic=0"), None);
    }

    #[test]
    fn what_systemd_reports_of_itself_is_read() {
        let text = "UserspaceTimestampMonotonic=10\nGeneratorsStartTimestampMonotonic=20\n\
                    GeneratorsFinishTimestampMonotonic=50\nUnitsLoadStartTimestampMonotonic=0\n";
        let names: Vec<_> = manager_spans(text).into_iter().map(|span| (span.name, span.end_us)).collect();
        assert_eq!(names, [("systemd: start".to_owned(), 20), ("systemd: generators".to_owned(), 50)]);
    }

    #[test]
    fn kernel_stamps_are_read() {
        assert_eq!(stamp("[    1.000042] Run /init as init process"), Some(1_000_042));
        assert_eq!(stamp("Run /init"), None);
    }

    #[test]
    fn what_the_node_reports_is_read() {
        let text = r#"{"version":"1","ready_us":3000,"busy_us":2900,"parts":[
            {"kind":"kernel","name":"kernel","start_us":0,"end_us":1000,"cpu_us":900},
            {"kind":"init","name":"/init","start_us":1000,"end_us":1040,"cpu_us":40},
            {"kind":"step","name":"root","start_us":1000,"end_us":1030,"cpu_us":null},
            {"kind":"systemd","name":"systemd","start_us":1040,"end_us":3000,"cpu_us":700},
            {"kind":"manager","name":"generators","start_us":1100,"end_us":1150,"cpu_us":null},
            {"kind":"unit","name":"a.service","start_us":1500,"end_us":null,"cpu_us":5},
            {"kind":"unit","name":"late.service","start_us":3500,"end_us":3600,"cpu_us":5},
            {"kind":"unit","name":"again.service","start_us":null,"end_us":null,"cpu_us":5}],
            "busy_by":[{"name":"kernel","cpu_us":900},{"name":"/init","cpu_us":40}]}"#;
        let own: NodesOwn = serde_json::from_str(text).unwrap();
        let boot = Timeline::ours(&own).unwrap();
        assert_eq!((boot.kernel_us, boot.initramfs_us, boot.ready_us), (1000, 1040, 3000));
        assert_eq!((boot.steps.len(), boot.systemd_cpu_us), (1, Some(700)));
        assert_eq!(boot.manager[0].name, "systemd: generators");
        assert_eq!(boot.units, [Span { name: "a.service".into(), start_us: 1500, end_us: 3000, cpu_us: Some(5) }]);
        assert_eq!(own.instructions("/init").unwrap(), 40_000);
        assert!(own.instructions("systemd").is_err());
    }
}
