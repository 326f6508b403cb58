//! Pods: from the manifest to the running program, beside `ctr run` and `podman kube play` on the stock image, all with one image that is there
//! already; and what 110 of them take. Under the instruction counter, so a millisecond is a million instructions on any machine.

mod script;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::stock;
use super::subject::Subject;
use super::wall::median;
use qemu_vm::guest::Guest;
use qemu_vm::lab::Lab;

/// How often each starts the pod. The first start reads programs from the disk; the median is of all.
const STARTS: usize = 5;

/// As many as a kubelet runs.
const MANY: u32 = 110;

/// Each has a shim of containerd's, of some 10 MB.
const MANY_MIB: u32 = 4096;

/// One CPU is emulated at some 0.2 G instructions a second on a slow host.
const TIMEOUT: Duration = Duration::from_secs(1800);

/// What is written to `target/bench/pods.json`.
#[derive(Debug, Serialize)]
struct Report {
    running_ms: Running,
    pods_110: Many,
}

/// Milliseconds from the command, or the manifest's appearance, until the program runs.
#[derive(Debug, Serialize)]
struct Running {
    ours: Vec<f64>,
    ctr: Vec<f64>,
    podman: Vec<f64>,
}

#[derive(Debug, Serialize)]
struct Many {
    all_running_s: f64,
    memory_per_pod_bytes: u64,
    agent_memory_bytes: u64,
}

/// Measures, and writes `target/bench/pods.json`.
///
/// # Errors
/// When an image cannot be built, a pod does not run, or ours is more than a tenth slower than the faster of the others.
pub(super) fn measure(lab: &Lab, folder: &Path) -> Result<()> {
    println!("bench: pods: starting one {STARTS} times on each, then {MANY} at once (some ten minutes)");
    let archive = lab.image.root.join("usr/lib/ballast/images/preloaded.tar");
    let archive = std::fs::read(&archive).with_context(|| format!("reading {}", archive.display()))?;
    let subject = Subject { name: "ours-with-pods", memory_mib: MANY_MIB, ..Subject::ours(lab) };
    let (ours, pods_110) = subject.ask(lab, |_, guest| {
        let times = starts(guest, &script::ours())?;
        Ok((times, many(guest)?))
    })?;
    let stock = stock::build_with(lab, &["podman", "catatonit"])?.subject;
    let (ctr, podman) = stock.ask(lab, |_, guest| {
        guest.ask(&script::images(&archive))?;
        Ok((starts(guest, &script::ctr())?, starts(guest, &script::podman())?))
    })?;
    let report = Report { running_ms: Running { ours, ctr, podman }, pods_110 };
    let file = folder.join("pods.json");
    let text = serde_json::to_string_pretty(&report).context("encoding the figures")?;
    std::fs::write(&file, text + "\n").with_context(|| format!("writing {}", file.display()))?;
    println!("bench: pods: {report}; the figures are in {}", file.display());
    report.check()
}

/// What the script says of its starts, in milliseconds.
fn starts(guest: &mut Guest, script: &str) -> Result<Vec<f64>> {
    let output = guest.shell_within(script, TIMEOUT)?.success("starting pods")?.text();
    parse_starts(&output)
}

fn parse_starts(output: &str) -> Result<Vec<f64>> {
    let number = |line: &str| {
        let nanoseconds: u64 = line.strip_prefix("start ")?.parse().ok()?;
        Some((nanoseconds / 10_000) as f64 / 100.0)
    };
    let times: Vec<f64> = output.lines().filter_map(number).collect();
    ensure!(times.len() == STARTS, "{} starts are in the output, expected {STARTS}: {output}", times.len());
    Ok(times)
}

fn many(guest: &mut Guest) -> Result<Many> {
    let output = guest.shell_within(&script::many(MANY), TIMEOUT)?.success("starting many pods")?.text();
    let field = |name: &str| {
        let value = output.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
        value.with_context(|| format!("{name} is not in the output: {output}"))
    };
    let used = field("used_before_kib")?.abs_diff(field("used_after_kib")?) * 1024;
    Ok(Many {
        all_running_s: (field("took_ns")? / 1_000_000) as f64 / 1000.0,
        memory_per_pod_bytes: used / u64::from(MANY),
        agent_memory_bytes: field("agent_kib")? * 1024,
    })
}

impl Report {
    fn check(&self) -> Result<()> {
        let Running { ours, ctr, podman } = &self.running_ms;
        let (ours, fastest) = (median(ours), median(ctr).min(median(podman)));
        ensure!(
            ours <= fastest * 1.1,
            "a pod of ours runs after {ours:.0} ms, more than a tenth after {fastest:.0} ms"
        );
        let agent = self.pods_110.agent_memory_bytes;
        ensure!(agent <= 20_000_000, "with {MANY} pods the agent takes {agent} bytes, more than 20 MB");
        Ok(())
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Running { ours, ctr, podman } = &self.running_ms;
        let Many { all_running_s, memory_per_pod_bytes, agent_memory_bytes } = &self.pods_110;
        write!(
            f,
            "ours {:.0} ms, ctr {:.0} ms, podman {:.0} ms (medians of {STARTS}); {MANY} pods in {all_running_s:.1} s, {:.2} MB each, the agent \
             {:.1} MB",
            median(ours),
            median(ctr),
            median(podman),
            *memory_per_pod_bytes as f64 / 1e6,
            *agent_memory_bytes as f64 / 1e6
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(ours: f64, agent_memory_bytes: u64) -> Report {
        Report {
            running_ms: Running { ours: vec![900.0, ours, 1.0], ctr: vec![100.0; 3], podman: vec![300.0; 3] },
            pods_110: Many { all_running_s: 1.0, memory_per_pod_bytes: 1, agent_memory_bytes },
        }
    }

    #[test]
    fn the_median_is_held_against_the_faster_one() {
        assert!(report(110.0, 20_000_000).check().is_ok());
        assert!(report(111.0, 1).check().is_err());
        assert!(report(90.0, 20_000_001).check().is_err());
    }

    #[test]
    fn starts_are_read_in_milliseconds_and_counted() {
        let output = "start 1234567\nother\nstart 2000000\nstart 3\nstart 4\nstart 5000000000\n";
        assert_eq!(parse_starts(output).unwrap(), [1.23, 2.0, 0.0, 0.0, 5000.0]);
        assert!(parse_starts("start 1\n").is_err());
    }
}
