//! The picture of where the boot goes: ours above stock on one time axis, then each part by part.

mod page;
mod rows;

use self::page::{Colour, Page, Scale};
use self::rows::{Row, rows};
use super::timeline::Timeline;

/// Parts that took less than this share of the boot are folded into one row.
const OURS_FOLD: f64 = 0.012;
/// The stock image has eight times the units; the long ones are what matters.
const STOCK_FOLD: f64 = 0.03;

/// The picture; times are the guest's: one nanosecond per instruction, and what it waited.
pub(super) fn draw(ours: &Timeline, stock: &Timeline, floor_us: u64) -> String {
    let longest = ours.ready_us.max(stock.ready_us).max(floor_us);
    let common = Scale::to(longest);
    let mut page = Page::default();
    page.heading(
        "Boot to READY: Ballast and stock Debian 13",
        "From the kernel's start until containerd answers, on one emulated CPU: a nanosecond per instruction, and the disk's time.",
    );
    overview(&mut page, &common, ours, stock, floor_us);
    let zoom = longest as f64 / ours.ready_us.max(1) as f64;
    let title = if zoom >= 1.5 { format!("Ballast, magnified {zoom:.0} times") } else { "Ballast".to_owned() };
    detail(&mut page, &title, &Scale::to(ours.ready_us), ours, OURS_FOLD);
    detail(&mut page, "Stock Debian 13, cloud-init, sshd, containerd", &common, stock, STOCK_FOLD);
    page.finish()
}

fn overview(page: &mut Page, scale: &Scale, ours: &Timeline, stock: &Timeline, floor_us: u64) {
    page.space(10.0);
    page.begin_plot();
    for (name, boot) in [("Ballast", ours), ("stock Debian 13", stock)] {
        page.begin_row(name, true);
        page.bar(scale, 0, boot.kernel_us, Colour::Kernel, 1.0);
        page.bar(scale, boot.kernel_us, boot.initramfs_us, Colour::Init, 1.0);
        page.bar(scale, boot.initramfs_us, boot.ready_us, Colour::Unit, 1.0);
        page.figure_after(scale, boot.ready_us, &format!("READY {:.1} s", boot.ready_us as f64 / 1e6));
    }
    page.begin_row("kernel, empty /init", false);
    page.bar(scale, 0, floor_us, Colour::Kernel, 0.45);
    page.figure_after(scale, floor_us, &format!("{:.2} s, the floor", floor_us as f64 / 1e6));
    page.end_plot(scale, None);
    page.legend(&[(Colour::Kernel, "kernel"), (Colour::Init, "initramfs"), (Colour::Unit, "systemd and its units")]);
}

fn detail(page: &mut Page, title: &str, scale: &Scale, boot: &Timeline, fold: f64) {
    page.section(title);
    page.begin_plot();
    for row in rows(boot, (boot.ready_us as f64 * fold) as u64) {
        draw_row(page, scale, &row);
    }
    page.end_plot(scale, Some(boot.ready_us));
}

fn draw_row(page: &mut Page, scale: &Scale, row: &Row) {
    match row {
        Row::Part { name, colour, start_us, end_us, cpu_us, note } => {
            page.begin_row(name, false);
            // What is known to be work is solid, the rest of the time pale. Before the first unit nearly all is work.
            let is_work = cpu_us.is_none() && *colour != Colour::Unit;
            page.bar(scale, *start_us, *end_us, *colour, if is_work { 1.0 } else { 0.35 });
            if let Some(cpu_us) = cpu_us {
                page.bar(scale, *start_us, (start_us + cpu_us).min(*end_us), *colour, 1.0);
            }
            page.note_after(scale, *end_us, note);
            page.figures(Some(end_us.saturating_sub(*start_us)), *cpu_us);
        }
        Row::Folded { name, starts_us, cpu_us } => {
            page.begin_row(name, false);
            starts_us.iter().for_each(|&start| page.tick(scale, start));
            page.figures(None, Some(*cpu_us));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::timeline::Span;
    use super::*;

    fn boot(ready_us: u64) -> Timeline {
        let span = |name: &str, start_us, end_us| Span { name: name.into(), start_us, end_us, cpu_us: Some(100_000) };
        Timeline {
            kernel_us: 400_000,
            initramfs_us: 440_000,
            ready_us,
            steps: vec![span("modules", 400_000, 430_000)],
            manager: vec![span("systemd: generators", 500_000, 700_000)],
            units: vec![span("a<b.mount", 800_000, ready_us), span("c.service", 900_000, 1_500_000)],
            ..Timeline::default()
        }
    }

    #[test]
    fn the_picture_names_its_parts_and_is_whole() {
        let picture = draw(&boot(2_000_000), &boot(22_000_000), 350_000);
        for part in [
            "READY 2.0 s",
            "READY 22.0 s",
            "Ballast, magnified 11 times",
            "systemd: generators",
            "a&lt;b.mount",
            ">c</text>",
            "prefers-color-scheme: dark",
            "</svg>",
        ] {
            assert!(picture.contains(part), "{part}: {picture}");
        }
        assert!(!picture.contains("NaN") && !picture.contains("=\"-"), "{picture}");
    }
}
