//! One session of the bench, from top to bottom.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::instructions::{of_others, of_ours};
use super::report::{self, Details, Report};
use super::stock::Stock;
use super::subject::Subject;
use super::timeline::{NodesOwn, Timeline};
use super::{floor, pods as pod_starts, sizes, stock, svg, table, upgrade as upgrades, wall};
use crate::budget::{self, Budget};
use qemu_vm::lab::Lab;
use qemu_vm::qemu::accel::Accelerator;
use qemu_vm::workspace::Workspace;

/// Runs of ours under the instruction counter: their spread shows what the figure is worth.
const COUNTED_RUNS: usize = 3;

/// Measures everything, `rounds` rounds of wall time, and writes `target/bench/boot.json`, `details.json`, `boot.svg`.
///
/// # Errors
/// When an image is missing and cannot be built, a machine does not become READY, or a figure misses its limit.
pub fn run(rounds: u32) -> Result<()> {
    let lab = Lab::open()?;
    let folder = lab.workspace.target.join("bench");
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let (ours, floor, Stock { subject: stock, figures }) =
        (Subject::ours(&lab), floor::build(&lab)?, stock::build(&lab)?);

    println!("bench: counting instructions: ours {COUNTED_RUNS} times, the floor, the stock image (some minutes)");
    let count = |subject: &Subject, read: fn(&str) -> Result<u64>| {
        let instructions = read(&subject.ready(&lab, Accelerator::Icount, 1)?.line.text)?;
        println!("bench: {}: {:.3} G instructions to READY", subject.name, instructions as f64 / 1e9);
        Ok::<_, anyhow::Error>(instructions)
    };
    let counts = (0..COUNTED_RUNS).map(|_| count(&ours, of_ours)).collect::<Result<Vec<_>>>()?;
    let floor_instructions = count(&floor, of_others)?;
    let settings_ready_instructions = count(&Subject::ours_with_settings(&lab)?, of_ours)?;
    let cluster_ready_instructions = count(&Subject::ours_with_a_cluster(&lab)?, of_ours)?;
    let own = ours.ask(&lab, |_, guest| NodesOwn::of(guest))?;
    let (stock_ready_instructions, stock_boot) = stock.ask(&lab, |line, guest| {
        Ok((of_others(&line.text)?, Timeline::stock(guest, seconds_after(&line.text, "uptime ")?)?))
    })?;
    let memory = budget::idle_node(&lab)?;

    let wall = wall::measure(&lab, [&ours, &stock, &floor], rounds)?;
    let report = Report {
        ready_instructions: middle(&counts),
        settings_ready_instructions,
        cluster_ready_instructions,
        kernel_instructions: own.instructions("kernel")?,
        initramfs_instructions: own.instructions("/init")?,
        floor_instructions,
        stock_ready_instructions,
        busy_by: own.busy_by.clone(),
        idle_memory_bytes: memory.idle_bytes,
        agent_memory_bytes: memory.agent_bytes,
        wall,
        image: sizes::image_size(&lab)?,
        stock: sizes::of_stock(&figures)?,
    };
    let details = Details {
        accelerator_of_wall: lab.accelerator.name().to_owned(),
        ready_instructions_of_each_run: counts,
        floor_us: floor_instructions / 1000,
        ours: Timeline::ours(&own)?,
        stock: stock_boot,
    };
    report::write(&folder.join("boot.json"), &report)?;
    report::write(&folder.join("details.json"), &details)?;
    draw(&folder, &details)?;
    let (text, missed) = table::render(&report, &details, &Budget::load()?);
    print!("{text}");
    println!("bench: the figures are in {0}/boot.json, the picture is {0}/boot.svg", folder.display());
    upgrade()?;
    pods()?;
    ensure!(missed == 0, "{missed} figures miss their limits: they are marked in the table above");
    Ok(())
}

/// Measures an upgrade only, and writes `target/bench/upgrade.json`.
///
/// # Errors
/// When a release cannot be made, an upgrade fails, or more is fetched than is promised.
pub fn upgrade() -> Result<()> {
    let folder = Workspace::find().target.join("bench");
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    upgrades::measure(&folder)?;
    println!("bench: the figures of the upgrade are in {}/upgrade.json", folder.display());
    Ok(())
}

/// Measures pods only, and writes `target/bench/pods.json`.
///
/// # Errors
/// When a pod does not run, or ours is more than a tenth slower than the faster of `ctr run` and `podman kube play`.
pub fn pods() -> Result<()> {
    let lab = Lab::open()?;
    let folder = lab.workspace.target.join("bench");
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    pod_starts::measure(&lab, &folder)
}

/// Draws the picture of the last session anew, from what it left in `details.json`.
///
/// # Errors
/// When there was none, or the picture cannot be written.
pub fn redraw() -> Result<()> {
    let folder = Workspace::find().target.join("bench");
    draw(&folder, &report::details(&folder.join("details.json"))?)?;
    println!("bench: the picture is {}/boot.svg", folder.display());
    Ok(())
}

fn draw(folder: &Path, details: &Details) -> Result<()> {
    let picture = svg::draw(&details.ours, &details.stock, details.floor_us);
    std::fs::write(folder.join("boot.svg"), picture).context("writing boot.svg")
}

/// The number of seconds that follows `mark`, in microseconds.
fn seconds_after(line: &str, mark: &str) -> Result<u64> {
    let number = line.split_once(mark).and_then(|(_, rest)| rest.split_whitespace().next());
    let seconds: f64 = number.and_then(|text| text.parse().ok()).with_context(|| format!("no time in {line:?}"))?;
    Ok((seconds * 1e6) as u64)
}

fn middle(counts: &[u64]) -> u64 {
    let mut sorted = counts.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_in_lines() {
        assert_eq!(seconds_after("stock: READY uptime 22.5 cpu", "uptime ").unwrap(), 22_500_000);
        assert_eq!(middle(&[3, 1, 2]), 2);
    }
}
