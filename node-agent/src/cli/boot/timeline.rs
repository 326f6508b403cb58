//! The boot as a list of parts, in the order in which they started: a pure function of what the agent and systemd report.

use serde::Serialize;

use crate::{
    clients::systemd::{Moments, Started},
    report::boot::{Boot, Cpu},
};

/// The names in [`Boot::cpu`] that are no units.
const NO_UNITS: [&str; 3] = ["kernel", "/init", "systemd"];

/// The whole boot. Times are microseconds since the kernel started; what is not known is null.
#[derive(Debug, Serialize)]
pub(super) struct Timeline {
    /// The release.
    pub(super) version: String,
    /// When the node was READY.
    pub(super) ready_us: Option<u64>,
    /// CPU time of all CPUs until then.
    pub(super) busy_us: Option<u64>,
    /// All parts, by their start.
    pub(super) parts: Vec<Part>,
    /// Whose the CPU time until READY was; the last is the rest, for which nobody accounts.
    pub(super) busy_by: Vec<Cpu>,
}

/// What a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// The kernel, until it runs /init.
    Kernel,
    /// /init, until it becomes systemd.
    Init,
    /// A step of /init.
    Step,
    /// systemd, until READY.
    Systemd,
    /// What systemd does before its first unit.
    Manager,
    /// A service or a mount.
    Unit,
}

/// One part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Part {
    pub(super) kind: Kind,
    pub(super) name: String,
    /// Null if it was started again since: systemd keeps the last start only.
    pub(super) start_us: Option<u64>,
    /// It was up, or done. Null if it is still starting.
    pub(super) end_us: Option<u64>,
    /// Its own CPU time: until READY if it ran then, else until it ended, or until now.
    pub(super) cpu_us: Option<u64>,
}

impl Part {
    /// How long it took.
    pub(super) fn duration_us(&self) -> Option<u64> {
        Some(self.end_us?.saturating_sub(self.start_us?))
    }

    fn new(kind: Kind, name: &str, start_us: Option<u64>, end_us: Option<u64>, cpu_us: Option<u64>) -> Self {
        Self { kind, name: name.to_owned(), start_us, end_us, cpu_us }
    }
}

impl Timeline {
    /// The boot of `version`, which is READY.
    pub(super) fn new(version: &str, boot: &Boot, moments: Moments, started: Vec<Started>) -> Self {
        let micros = |ms: Option<u64>| ms.map(|ms| ms * 1000);
        let ready_us = micros(boot.ready_ms);
        let mut parts = before_systemd(boot);
        let at = |us: u64| (us > 0).then_some(us);
        parts.push(Part::new(Kind::Systemd, "systemd", at(moments.userspace_us), ready_us, cpu_of(boot, "systemd")));
        for (name, start_us, end_us) in [
            ("generators", moments.generators_start_us, moments.generators_end_us),
            ("loading units", moments.load_start_us, moments.load_end_us),
        ] {
            if start_us > 0 && end_us >= start_us {
                parts.push(Part::new(Kind::Manager, name, Some(start_us), Some(end_us), None));
            }
        }
        let at_boot = started.into_iter().filter(|unit| moments.finish_us == 0 || unit.start_us <= moments.finish_us);
        let mut units: Vec<Part> = at_boot.map(|unit| unit_part(&unit, boot, ready_us.unwrap_or(u64::MAX))).collect();
        started_again(&mut units, boot, ready_us.unwrap_or(u64::MAX));
        let busy_by = busy_by(boot, &units, ready_us.unwrap_or(u64::MAX));
        parts.append(&mut units);
        // Stable: a whole stands before its own first part.
        parts.sort_by_key(|part| part.start_us.unwrap_or(u64::MAX));
        Self { version: version.to_owned(), ready_us, busy_us: micros(boot.busy_ms), parts, busy_by }
    }
}

fn before_systemd(boot: &Boot) -> Vec<Part> {
    let kernel_us = boot.kernel_ms.map(|ms| ms * 1000);
    let init_us = kernel_us.zip(boot.initramfs_ms).map(|(start, ms)| start + ms * 1000);
    let mut parts = Vec::new();
    if kernel_us.is_some() {
        parts.push(Part::new(Kind::Kernel, "kernel", Some(0), kernel_us, cpu_of(boot, "kernel")));
        parts.push(Part::new(Kind::Init, "/init", kernel_us, init_us, cpu_of(boot, "/init")));
    }
    for step in &boot.steps {
        // The whole is known in milliseconds only; no step of it is earlier.
        let start_us = step.start_us.max(kernel_us.unwrap_or(0));
        parts.push(Part::new(Kind::Step, &step.name, Some(start_us), Some(step.end_us.max(start_us)), None));
    }
    parts
}

fn cpu_of(boot: &Boot, name: &str) -> Option<u64> {
    boot.cpu.iter().find(|cpu| cpu.name == name).map(|cpu| cpu.cpu_us)
}

fn unit_part(unit: &Started, boot: &Boot, ready_us: u64) -> Part {
    let end_us = [unit.up_us, unit.down_us].into_iter().find(|&end| end >= unit.start_us);
    let cpu_us = match cpu_of(boot, &unit.name) {
        Some(until_ready) if unit.start_us < ready_us => Some(until_ready),
        // It ended before READY, or came after: what systemd knows is its own time.
        None | Some(_) if !unit.runs || unit.start_us >= ready_us => unit.cpu_us,
        None | Some(_) => None,
    };
    Part::new(Kind::Unit, &unit.name, Some(unit.start_us), end_us, cpu_us)
}

/// What ran at READY and starts later by systemd's account was started again since; its CPU time until READY is known still.
fn started_again(units: &mut Vec<Part>, boot: &Boot, ready_us: u64) {
    for cpu in boot.cpu.iter().filter(|cpu| !NO_UNITS.contains(&cpu.name.as_str())) {
        let known = units.iter().any(|unit| unit.name == cpu.name && unit.start_us.is_some_and(|at| at < ready_us));
        if !known {
            units.retain(|unit| unit.name != cpu.name);
            units.push(Part::new(Kind::Unit, &cpu.name, None, None, Some(cpu.cpu_us)));
        }
    }
}

/// Kernel, /init and systemd in this order, then units by their time, then the rest.
fn busy_by(boot: &Boot, units: &[Part], ready_us: u64) -> Vec<Cpu> {
    let Some(busy_ms) = boot.busy_ms else { return Vec::new() };
    let mut by: Vec<Cpu> = NO_UNITS
        .iter()
        .filter_map(|name| Some(Cpu { name: (*name).to_owned(), cpu_us: cpu_of(boot, name)? }))
        .collect();
    let before = units.iter().filter(|unit| unit.start_us.is_none_or(|start| start < ready_us));
    let mut of_units: Vec<Cpu> =
        before.filter_map(|unit| Some(Cpu { name: unit.name.clone(), cpu_us: unit.cpu_us? })).collect();
    of_units.sort_by_key(|cpu| std::cmp::Reverse(cpu.cpu_us));
    by.append(&mut of_units);
    let known: u64 = by.iter().map(|cpu| cpu.cpu_us).sum();
    by.push(Cpu { name: "rest".to_owned(), cpu_us: (busy_ms * 1000).saturating_sub(known) });
    by
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::report::boot::InitStep;

    fn cpu(name: &str, cpu_us: u64) -> Cpu {
        Cpu { name: name.to_owned(), cpu_us }
    }

    fn unit(name: &str, start_us: u64, up_us: u64, down_us: u64, cpu_us: Option<u64>, runs: bool) -> Started {
        Started { name: name.to_owned(), start_us, up_us, down_us, cpu_us, runs }
    }

    /// READY at 3.1 s: a mount and a oneshot before, containerd across, udev after, a timer's unit days later.
    pub(in crate::cli::boot) fn boot() -> Timeline {
        let steps = vec![InitStep { name: "root".into(), start_us: 1_000_200, end_us: 1_030_000 }];
        let boot = Boot {
            kernel_ms: Some(1_000),
            initramfs_ms: Some(40),
            userspace_ms: Some(2_060),
            ready_ms: Some(3_100),
            busy_ms: Some(3_000),
            steps,
            cpu: vec![
                cpu("kernel", 950_000),
                cpu("/init", 40_000),
                cpu("systemd", 700_000),
                cpu("again.service", 20_000),
                cpu("containerd.service", 600_000),
            ],
        };
        let moments = Moments {
            userspace_us: 1_040_000,
            generators_start_us: 1_100_000,
            generators_end_us: 1_150_000,
            load_start_us: 1_150_000,
            load_end_us: 1_300_000,
            finish_us: 9_000_000,
        };
        let started = vec![
            unit("udev.service", 3_200_000, 3_400_000, 0, Some(80_000), true),
            unit("containerd.service", 1_500_000, 2_900_000, 0, Some(9_000_000_000), true),
            unit("a.mount", 1_400_000, 1_400_300, 0, Some(200), true),
            unit("once.service", 1_410_000, 0, 1_450_000, Some(30_000), false),
            unit("again.service", 5_000_000_000, 5_000_100_000, 0, Some(1), true),
            unit("timer.service", 80_000_000_000, 0, 80_000_100_000, Some(5), false),
            unit("slow.service", 8_000_000, 0, 0, None, true),
        ];
        Timeline::new("20261121.1", &boot, moments, started)
    }

    fn part<'a>(timeline: &'a Timeline, name: &str) -> &'a Part {
        timeline.parts.iter().find(|part| part.name == name).unwrap()
    }

    #[test]
    fn parts_stand_in_the_order_of_their_start() {
        let timeline = boot();
        let names: Vec<&str> = timeline.parts.iter().map(|part| part.name.as_str()).collect();
        let expected = "kernel,/init,root,systemd,generators,loading units,a.mount,once.service,containerd.service,\
                        udev.service,slow.service,again.service";
        assert_eq!(names.join(","), expected);
        assert_eq!(part(&timeline, "once.service").duration_us(), Some(40_000));
        assert_eq!(part(&timeline, "slow.service").end_us, None);
    }

    #[test]
    fn cpu_time_is_that_of_the_boot_and_not_of_the_days_after() {
        let timeline = boot();
        for (name, cpu_us) in [
            ("containerd.service", Some(600_000)),
            ("once.service", Some(30_000)),
            ("udev.service", Some(80_000)),
            // It runs (is mounted) and had no group at READY: what it used since cannot be distinguished.
            ("a.mount", None),
            ("again.service", Some(20_000)),
        ] {
            assert_eq!(part(&timeline, name).cpu_us, cpu_us, "{name}");
        }
        let again = part(&timeline, "again.service");
        assert_eq!((again.start_us, again.end_us), (None, None));
    }

    #[test]
    fn the_cpu_time_until_ready_is_all_accounted_for() {
        let timeline = boot();
        let by: Vec<_> = timeline.busy_by.iter().map(|cpu| (cpu.name.as_str(), cpu.cpu_us / 1000)).collect();
        let expected = [
            ("kernel", 950),
            ("/init", 40),
            ("systemd", 700),
            ("containerd.service", 600),
            ("once.service", 30),
            ("again.service", 20),
            ("rest", 660),
        ];
        assert_eq!(by, expected);
        assert_eq!(timeline.busy_by.iter().map(|cpu| cpu.cpu_us).sum::<u64>(), 3_000_000);
    }

    #[test]
    fn without_figures_of_init_the_units_are_reported_all_the_same() {
        let boot = Boot { ready_ms: Some(3_100), ..Boot::default() };
        let started = vec![unit("a.service", 5, 9, 0, None, true)];
        let timeline = Timeline::new("x", &boot, Moments::default(), started);
        assert_eq!(timeline.parts.len(), 2, "{:?}", timeline.parts);
        assert!(timeline.busy_by.is_empty());
    }
}
