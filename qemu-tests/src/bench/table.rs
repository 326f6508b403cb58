//! The figures for a person, each beside what was promised.

use std::fmt::Write as _;

use super::report::{Details, Report};
use super::wall::median;

/// A figure and the limit that it shall keep.
struct Row {
    what: &'static str,
    value: String,
    limit: &'static str,
    kept: bool,
}

/// The table; a figure that misses its limit is marked.
pub(super) fn render(report: &Report, details: &Details) -> String {
    let rows = rows(report, details);
    let mut text = String::new();
    for Row { what, value, limit, kept } in &rows {
        let mark = if *kept { "" } else { "  <-- missed" };
        let _ = writeln!(text, "  {what:<42} {value:>22}   {limit:<14}{mark}");
    }
    text
}

fn rows(report: &Report, details: &Details) -> Vec<Row> {
    let giga = |count: u64| format!("{:.3} G", count as f64 / 1e9);
    let mega = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let plain = |what, value| Row { what, value, limit: "", kept: true };
    let (wall, image, stock) = (&report.wall, &report.image, &report.stock);
    let counts = &details.ready_instructions_of_each_run;
    let (least, most) = (counts.iter().min().copied().unwrap_or(1), counts.iter().max().copied().unwrap_or(1));
    let spread = (most - least) as f64 / least.max(1) as f64 * 100.0;
    let times = format!("{:.1} / {:.1} / {:.1} s", median(&wall.ours_s), median(&wall.stock_s), median(&wall.floor_s));
    let row = |what, value, limit, kept| Row { what, value, limit, kept };
    vec![
        row(
            "instructions to READY",
            giga(report.ready_instructions),
            "<= 5.0 G",
            report.ready_instructions <= 5_000_000_000,
        ),
        row("  spread of the runs", format!("{spread:.2} %"), "<= 1 %", spread <= 1.0),
        plain("  to the end of the kernel", giga(report.kernel_instructions)),
        row(
            "  of /init",
            giga(report.initramfs_instructions),
            "<= 0.1 G",
            report.initramfs_instructions <= 100_000_000,
        ),
        plain("the floor (kernel, empty /init)", giga(report.floor_instructions)),
        plain("the stock image to READY", giga(report.stock_ready_instructions)),
        plain("wall to READY: ours / stock / floor", times),
        row("  stock over ours", format!("{:.2}", wall.stock_over_ours), ">= 4", wall.stock_over_ours >= 4.0),
        row("packages", image.packages.to_string(), "<= 130", image.packages <= 130),
        row("installed", mega(image.installed_bytes), "<= 300 MB", image.installed_bytes <= 300_000_000),
        row("compressed", mega(image.compressed_bytes), "<= 110 MB", image.compressed_bytes <= 110_000_000),
        row("initramfs", mega(image.initramfs_bytes), "<= 1.5 MB", image.initramfs_bytes <= 1_500_000),
        plain("stock: packages", stock.packages.to_string()),
        plain(
            "stock: installed / compressed",
            format!("{} / {}", mega(stock.installed_bytes), mega(stock.compressed_bytes)),
        ),
        row(
            "agent, resident",
            mega(details.agent_resident_bytes),
            "<= 15 MB",
            details.agent_resident_bytes <= 15_000_000,
        ),
    ]
}
