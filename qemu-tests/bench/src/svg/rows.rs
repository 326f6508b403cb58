//! Which rows a boot gets: the parts that took long, in the order of their start, and one row for all others.

use super::super::timeline::{Span, Timeline};
use super::page::{Colour, millis};

/// More rows than this are not read by anybody; of the units the longest are kept.
const UNITS: usize = 16;

/// So many of /init's steps fit beside its bar.
const STEPS: usize = 3;

/// One row of a boot.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// A part with its own bar
    Part { name: String, colour: Colour, start_us: u64, end_us: u64, cpu_us: Option<u64>, note: String },
    /// The units that are too short for one
    Folded { name: String, starts_us: Vec<u64>, cpu_us: u64 },
}

/// The rows of `boot`; what took less than `fold_us`, and had less CPU time, is folded.
pub(super) fn rows(boot: &Timeline, fold_us: u64) -> Vec<Row> {
    let part = |name: &str, colour, start_us, end_us: u64, cpu_us| {
        // A unit that is up long after READY has no more of the picture than until there.
        let end_us = end_us.min(boot.ready_us).max(start_us);
        Row::Part { name: name.to_owned(), colour, start_us, end_us, cpu_us, note: String::new() }
    };
    let init = if boot.steps.is_empty() { "initramfs" } else { "/init" };
    let mut rows = vec![
        part("kernel", Colour::Kernel, 0, boot.kernel_us, boot.kernel_cpu_us),
        part(init, Colour::Init, boot.kernel_us, boot.initramfs_us, boot.initramfs_cpu_us),
    ];
    if let Some(Row::Part { note, .. }) = rows.last_mut() {
        *note = steps(boot);
    }
    if boot.systemd_cpu_us.is_some() {
        rows.push(part("systemd itself", Colour::Systemd, boot.initramfs_us, boot.ready_us, boot.systemd_cpu_us));
    }
    for step in boot.manager.iter().filter(|step| length(step, boot) >= fold_us) {
        rows.push(part(&step.name, Colour::Systemd, step.start_us, step.end_us, step.cpu_us));
    }
    let (long, short) = longest(boot, fold_us);
    // Nearly all are services: what is not says so.
    let short_name = |unit: &Span| unit.name.strip_suffix(".service").unwrap_or(&unit.name).to_owned();
    rows.extend(long.iter().map(|unit| part(&short_name(unit), Colour::Unit, unit.start_us, unit.end_us, unit.cpu_us)));
    if !short.is_empty() {
        let name = format!("{} shorter units", short.len());
        let cpu_us = short.iter().filter_map(|unit| unit.cpu_us).sum();
        rows.push(Row::Folded { name, starts_us: short.iter().map(|unit| unit.start_us).collect(), cpu_us });
    }
    rows
}

/// The steps of /init are too short for bars of their own: the longest as text.
fn steps(boot: &Timeline) -> String {
    let mut steps: Vec<&Span> = boot.steps.iter().collect();
    steps.sort_by_key(|step| std::cmp::Reverse(step.end_us.saturating_sub(step.start_us)));
    let reported: Vec<String> = steps
        .iter()
        .take(STEPS)
        .map(|step| format!("{} {}", step.name, millis(step.end_us.saturating_sub(step.start_us))))
        .collect();
    match steps.len().saturating_sub(STEPS) {
        0 => reported.join(", "),
        more => format!("{}, {more} more steps", reported.join(", ")),
    }
}

/// What a span has of the time until READY, be it as time or as CPU time.
fn length(span: &Span, boot: &Timeline) -> u64 {
    span.end_us.min(boot.ready_us).saturating_sub(span.start_us).max(span.cpu_us.unwrap_or(0))
}

/// The longest units, and the others; both in the order in which they started.
fn longest(boot: &Timeline, fold_us: u64) -> (Vec<&Span>, Vec<&Span>) {
    let mut units: Vec<&Span> = boot.units.iter().filter(|unit| unit.start_us < boot.ready_us).collect();
    units.sort_by_key(|unit| std::cmp::Reverse(length(unit, boot)));
    let long = units.iter().take(UNITS).take_while(|unit| length(unit, boot) >= fold_us).count();
    let mut short = units.split_off(long);
    for list in [&mut units, &mut short] {
        list.sort_by_key(|unit| unit.start_us);
    }
    (units, short)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(name: &str, start_us: u64, end_us: u64, cpu_us: Option<u64>) -> Span {
        Span { name: name.into(), start_us, end_us, cpu_us }
    }

    fn name(row: &Row) -> &str {
        match row {
            Row::Part { name, .. } | Row::Folded { name, .. } => name,
        }
    }

    #[test]
    fn short_parts_are_folded_and_counted() {
        let boot = Timeline {
            kernel_us: 100,
            initramfs_us: 200,
            ready_us: 10_000,
            steps: vec![span("root", 100, 105, None), span("var", 105, 200, None)],
            units: vec![
                span("short.mount", 300, 310, Some(3)),
                span("late.service", 2_000, 90_000, None),
                span("busy.service", 400, 410, Some(500)),
                span("after.service", 20_000, 30_000, None),
            ],
            ..Timeline::default()
        };
        let rows = rows(&boot, 50);
        let names: Vec<&str> = rows.iter().map(name).collect();
        assert_eq!(names, ["kernel", "/init", "busy", "late", "1 shorter units"]);
        assert!(rows.contains(&Row::Folded { name: "1 shorter units".into(), starts_us: vec![300], cpu_us: 3 }));
        let Row::Part { end_us, .. } = rows[3] else { panic!("not a part") };
        assert_eq!(end_us, 10_000, "cut at READY");
        assert_eq!(steps(&boot), "var 0.1 ms, root 0.0 ms");
    }

    #[test]
    fn the_longest_units_are_kept_in_order() {
        let units = (0..40).map(|n| span(&format!("u{n}"), n, n + 1_000 + (n % 5) * 100, None)).collect();
        let boot = Timeline { ready_us: 5_000, units, ..Timeline::default() };
        let (long, short) = longest(&boot, 10);
        assert_eq!((long.len(), short.len()), (UNITS, 40 - UNITS));
        assert!(long.windows(2).all(|pair| pair[0].start_us <= pair[1].start_us));
    }
}
