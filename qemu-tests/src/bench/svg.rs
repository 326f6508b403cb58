//! The picture of where the boot goes: ours above the stock image, on one scale, then each part by part on its own.

use std::fmt::Write as _;

use super::timeline::{Span, Timeline};

const WIDTH: f64 = 1120.0;
const MARGIN: f64 = 24.0;
/// Names stand left of the bars, figures right of them.
const NAMES: f64 = 290.0;
const FIGURES: f64 = 190.0;
const ROW: f64 = 20.0;
const BAR: f64 = 14.0;
/// More rows than this are not read by anybody; the longest are kept.
const ROWS: usize = 26;

/// What takes less is not seen on any scale.
const SHORTEST_US: u64 = 1_000;

const KERNEL: &str = "#4e79a7";
const INITRAMFS: &str = "#e8871e";
const USERSPACE: &str = "#59a14f";
const CPU: &str = "#2f6b2a";

/// The picture; times are the guest's: one nanosecond per instruction, and what it waited.
pub(super) fn draw(ours: &Timeline, stock: &Timeline, floor_us: u64) -> String {
    let mut page = Page::default();
    page.title(
        "Where the boot goes",
        "guest time to READY on one CPU: a nanosecond per instruction (QEMU icount), and what it waited for the disk",
    );
    page.overview(&[("Ballast", ours), ("stock Debian 13", stock)], floor_us);
    page.title("Ballast, part by part", "the dark part of a bar is CPU time, where systemd accounts for it");
    page.detail(ours);
    page.title("Stock Debian 13, part by part", "the longest units; cloud-init, containerd, sshd, a NIC");
    page.detail(stock);
    page.finish()
}

#[derive(Default)]
struct Page {
    body: String,
    y: f64,
}

struct Scale {
    full_us: f64,
}

impl Scale {
    fn x(&self, us: u64) -> f64 {
        MARGIN + NAMES + self.width(us)
    }

    fn width(&self, us: u64) -> f64 {
        us as f64 / self.full_us * (WIDTH - 2.0 * MARGIN - NAMES - FIGURES)
    }
}

impl Page {
    fn title(&mut self, title: &str, note: &str) {
        self.y += 44.0;
        self.text(MARGIN, self.y, "title", title);
        self.y += 20.0;
        self.text(MARGIN, self.y, "note", note);
        self.y += 12.0;
    }

    fn overview(&mut self, boots: &[(&str, &Timeline)], floor_us: u64) {
        let longest = boots.iter().map(|(_, boot)| boot.ready_us).max().unwrap_or(1);
        let scale = Scale { full_us: longest.max(floor_us).max(1) as f64 };
        for (name, boot) in boots {
            self.row(
                name,
                &scale,
                &[
                    (0, boot.kernel_us, KERNEL),
                    (boot.kernel_us, boot.initramfs_us, INITRAMFS),
                    (boot.initramfs_us, boot.ready_us, USERSPACE),
                ],
            );
            self.figure(&format!("READY {:.2} s", boot.ready_us as f64 / 1e6));
        }
        self.row("kernel with an empty /init", &scale, &[(0, floor_us, KERNEL)]);
        self.figure(&format!("{:.2} s", floor_us as f64 / 1e6));
        self.y += 24.0;
        let mut x = MARGIN + NAMES;
        for (name, colour) in [("kernel", KERNEL), ("initramfs", INITRAMFS), ("systemd to READY", USERSPACE)] {
            let _ = writeln!(
                self.body,
                r#"<rect x="{x:.1}" y="{:.1}" width="12" height="12" fill="{colour}"/>"#,
                self.y - 10.0
            );
            self.text(x + 18.0, self.y, "name", name);
            x += 110.0;
        }
    }

    fn detail(&mut self, boot: &Timeline) {
        let scale = Scale { full_us: boot.ready_us.max(1) as f64 };
        let top = self.y;
        self.row("kernel", &scale, &[(0, boot.kernel_us, KERNEL)]);
        self.figure(&millis(boot.kernel_us));
        if boot.steps.is_empty() {
            self.row("initramfs", &scale, &[(boot.kernel_us, boot.initramfs_us, INITRAMFS)]);
            self.figure(&millis(boot.initramfs_us.saturating_sub(boot.kernel_us)));
        }
        for step in &boot.steps {
            self.row(&format!("/init: {}", step.name), &scale, &[(step.start_us, step.end_us, INITRAMFS)]);
            self.figure(&millis(step.end_us.saturating_sub(step.start_us)));
        }
        for part in &boot.manager {
            self.row(&part.name, &scale, &[(part.start_us, part.end_us, USERSPACE)]);
            self.figure(&millis(part.end_us - part.start_us));
        }
        for unit in longest(&boot.units) {
            let end = unit.end_us.min(boot.ready_us);
            let work = unit.cpu_us.map_or(unit.start_us, |cpu| (unit.start_us + cpu).min(end));
            self.row(&unit.name, &scale, &[(unit.start_us, end, USERSPACE), (unit.start_us, work, CPU)]);
            let cpu = unit.cpu_us.map_or(String::new(), |cpu| format!(" (CPU {})", millis(cpu)));
            self.figure(&format!("{}{cpu}", millis(unit.end_us.saturating_sub(unit.start_us))));
        }
        self.axis(&scale, top);
    }

    fn row(&mut self, name: &str, scale: &Scale, bars: &[(u64, u64, &str)]) {
        self.y += ROW;
        self.text(MARGIN, self.y, "name", name);
        for (start, end, colour) in bars {
            let (x, width) = (scale.x(*start), scale.width(end.saturating_sub(*start)).max(1.0));
            let y = self.y - BAR + 3.0;
            let _ = writeln!(
                self.body,
                r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{BAR}" fill="{colour}"/>"#
            );
        }
    }

    fn figure(&mut self, text: &str) {
        self.text(WIDTH - MARGIN - FIGURES + 10.0, self.y, "name", text);
    }

    /// Lines at round times, behind the bars in effect: they are thin and pale.
    fn axis(&mut self, scale: &Scale, top: f64) {
        self.y += ROW;
        let step = round_step(scale.full_us / 6.0);
        let mut at = 0;
        while at as f64 <= scale.full_us {
            let x = scale.x(at);
            let _ = writeln!(
                self.body,
                r##"<line x1="{x:.1}" y1="{:.1}" x2="{x:.1}" y2="{:.1}" stroke="#000" stroke-opacity="0.12"/>"##,
                top + 4.0,
                self.y - 12.0
            );
            self.text(x - 10.0, self.y, "note", &format!("{:.1} s", at as f64 / 1e6));
            at += step;
        }
    }

    fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(self.body, r#"<text x="{x:.1}" y="{y:.1}" class="{class}">{text}</text>"#);
    }

    fn finish(self) -> String {
        let height = self.y + MARGIN;
        format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0}" width="{WIDTH}" height="{height:.0}">
<style>text{{font-family:"DejaVu Sans",Verdana,sans-serif;fill:#222}}.title{{font-size:19px;font-weight:bold}}.note{{font-size:12px;fill:#666}}.name{{font-size:12.5px}}</style>
<rect width="100%" height="100%" fill="#fff"/>
{}</svg>
"##,
            self.body
        )
    }
}

/// The longest units, in the order in which they started.
fn longest(units: &[Span]) -> Vec<&Span> {
    let weight = |unit: &Span| unit.end_us.saturating_sub(unit.start_us).max(unit.cpu_us.unwrap_or(0));
    let mut chosen: Vec<&Span> = units.iter().filter(|unit| weight(unit) >= SHORTEST_US).collect();
    chosen.sort_by_key(|unit| std::cmp::Reverse(weight(unit)));
    chosen.truncate(ROWS);
    chosen.sort_by_key(|unit| unit.start_us);
    chosen
}

fn millis(us: u64) -> String {
    if us < 10_000 { format!("{:.1} ms", us as f64 / 1e3) } else { format!("{} ms", us / 1000) }
}

/// The next of 1, 2, 5, 10, … tenths of a second that is not below `us`.
fn round_step(us: f64) -> u64 {
    let steps = [100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000];
    steps.into_iter().find(|&step| step as f64 >= us).unwrap_or(20_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(name: &str, start_us: u64, end_us: u64) -> Span {
        Span { name: name.into(), start_us, end_us, cpu_us: None }
    }

    #[test]
    fn the_longest_units_are_kept_in_order() {
        let units: Vec<Span> = (0..40).map(|n| span(&format!("u{n}"), n, n + 1_000 + (n % 5) * 100)).collect();
        let chosen = longest(&units);
        assert_eq!(chosen.len(), ROWS);
        assert!(chosen.windows(2).all(|pair| pair[0].start_us <= pair[1].start_us));
    }

    #[test]
    fn the_picture_names_its_parts_and_is_whole() {
        let boot = |ready_us| Timeline {
            kernel_us: 1_000,
            initramfs_us: 2_000,
            ready_us,
            steps: vec![span("modules", 1_000, 1_500)],
            manager: vec![span("systemd: generators", 2_000, 2_400)],
            units: vec![span("a<b.service", 2_500, 4_000), span("short.mount", 2_500, 2_510)],
        };
        let picture = draw(&boot(4_000_000), &boot(22_000_000), 1_400_000);
        for part in ["Ballast", "/init: modules", "systemd: generators", "a&lt;b.service", "READY 22.00 s", "</svg>"] {
            assert!(picture.contains(part), "{part}");
        }
        assert!(!picture.contains("short.mount"));
    }
}
