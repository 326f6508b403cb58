//! The figures for a person, each beside what was promised.

use std::fmt::Write as _;

use super::report::{Details, Report};
use super::wall::{Wall, median};
use crate::budget::{Budget, CLUSTER_PERCENT, Figure, SETTINGS_PERCENT};
use qemu_vm::guest::AGENT;

/// What issue 3 promises beside the limits of budget.toml: instructions of the floor, of /init and of the agent's own start, and the
/// wall ratio.
const FLOOR: u64 = 450_000_000;
const SHARES: [(&str, u64); 2] = [("/init", 50_000_000), (AGENT, 30_000_000)];
const RATIO: f64 = 7.0;

/// Runs of one image lie closer together than this, or the figure says nothing.
const SPREAD_PERCENT: f64 = 1.0;

/// A figure and the limit that it shall keep.
struct Row {
    what: String,
    value: String,
    limit: String,
    kept: bool,
}

impl Row {
    fn plain(what: &str, value: String) -> Self {
        Self { what: what.to_owned(), value, limit: String::new(), kept: true }
    }

    fn limited(what: &str, value: String, limit: String, kept: bool) -> Self {
        Self { what: what.to_owned(), value, limit, kept }
    }
}

/// The table, in which a figure that misses its limit is marked, and how many do.
pub(super) fn render(report: &Report, details: &Details, budget: &Budget) -> (String, usize) {
    let mut text = String::new();
    let mut missed = 0;
    for Row { what, value, limit, kept } in rows(report, details, budget) {
        let mark = if kept { "" } else { "  <-- missed" };
        missed += usize::from(!kept);
        let _ = writeln!(text, "{}", format!("  {what:<42} {value:>26}   {limit:<14}{mark}").trim_end());
    }
    (text, missed)
}

fn rows(report: &Report, details: &Details, budget: &Budget) -> Vec<Row> {
    let watched = |what: &str, figure: Figure, value: u64| {
        let limit = budget.entry(figure).limit;
        Row::limited(what, figure.show(value), format!("<= {}", figure.show(limit)), value <= limit)
    };
    let mega = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let counts = &details.ready_instructions_of_each_run;
    let (least, most) = (counts.iter().min().copied().unwrap_or(1), counts.iter().max().copied().unwrap_or(1));
    let spread = (most - least) as f64 / least.max(1) as f64 * 100.0;
    let (image, stock) = (&report.image, &report.stock);
    let mut rows = vec![
        watched("instructions to READY", Figure::ReadyInstructions, report.ready_instructions),
        beside("  with a kilobyte of settings", report, report.settings_ready_instructions, SETTINGS_PERCENT),
        beside("  and a cluster", report, report.cluster_ready_instructions, CLUSTER_PERCENT),
        Row::limited(
            "  spread of the runs",
            format!("{spread:.2} %"),
            format!("<= {SPREAD_PERCENT} %"),
            spread <= SPREAD_PERCENT,
        ),
    ];
    // What is less than a hundredth of a G is noise here; boot.json has it.
    for share in report.busy_by.iter().filter(|share| share.cpu_us >= 10_000) {
        let (what, count) = (format!("  of {}", share.name), share.cpu_us * 1000);
        rows.push(match SHARES.into_iter().find(|(name, _)| *name == share.name) {
            Some((_, limit)) => Row::limited(&what, giga(count), format!("<= {}", giga(limit)), count <= limit),
            None => Row::plain(&what, giga(count)),
        });
    }
    rows.push(Row::limited(
        "the floor (kernel, empty /init)",
        giga(report.floor_instructions),
        format!("<= {}", giga(FLOOR)),
        report.floor_instructions <= FLOOR,
    ));
    rows.push(Row::plain("the stock image to READY", giga(report.stock_ready_instructions)));
    rows.extend(wall_rows(&report.wall));
    rows.extend([
        watched("packages", Figure::Packages, image.packages),
        watched("installed", Figure::InstalledBytes, image.installed_bytes),
        watched("compressed", Figure::CompressedBytes, image.compressed_bytes),
        watched("kernel", Figure::KernelBytes, image.kernel_bytes),
        watched("initramfs", Figure::InitramfsBytes, image.initramfs_bytes),
        Row::plain("stock: packages", stock.packages.to_string()),
        Row::plain(
            "stock: installed / compressed",
            format!("{} / {}", mega(stock.installed_bytes), mega(stock.compressed_bytes)),
        ),
        watched("memory of the idle node", Figure::IdleMemoryBytes, report.idle_memory_bytes),
        watched("  of the agent", Figure::AgentMemoryBytes, report.agent_memory_bytes),
    ]);
    rows
}

/// What settings make of it, which may be some percent more.
fn beside(what: &str, report: &Report, with: u64, percent: u64) -> Row {
    let limit = report.ready_instructions + report.ready_instructions * percent / 100;
    Row::limited(what, giga(with), format!("<= {}", giga(limit)), with <= limit)
}

fn wall_rows(wall: &Wall) -> Vec<Row> {
    let times = |all: &[&[f64]]| -> String {
        let medians: Vec<String> = all.iter().map(|times| format!("{:.1}", median(times))).collect();
        medians.join(" / ") + " s"
    };
    let ratio =
        |ratio: f64| Row::limited("  stock over ours", format!("{ratio:.2}"), format!(">= {RATIO}"), ratio >= RATIO);
    vec![
        Row::plain("wall to READY: ours / stock / floor", times(&[&wall.ours_s, &wall.stock_s, &wall.floor_s])),
        ratio(wall.stock_over_ours),
        Row::plain(
            "through UEFI: ours / stock / firmware's own",
            times(&[&wall.uefi.ours_s, &wall.uefi.stock_s, &wall.uefi.firmware_s]),
        ),
        ratio(wall.uefi.stock_over_ours),
    ]
}

fn giga(count: u64) -> String {
    format!("{:.3} G", count as f64 / 1e9)
}
