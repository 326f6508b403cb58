//! The page: primitives of SVG, top to bottom. Colours are chosen for light and dark, by the reader's preference.

use std::fmt::Write as _;

/// As wide as GitHub shows a README.
const WIDTH: f64 = 900.0;
const MARGIN: f64 = 22.0;
/// Names stand left of the plot, two columns of figures right of it.
const PLOT: f64 = 222.0;
const PLOT_END: f64 = 742.0;
const TOOK: f64 = 812.0;
const CPU: f64 = WIDTH - MARGIN;
const ROW: f64 = 19.0;
const BAR: f64 = 11.0;
/// A letter is about this wide: to see whether a figure fits before the plot ends.
const LETTER: f64 = 7.0;

const STYLE: &str = "\
text{font:12px -apple-system,\"Segoe UI\",\"DejaVu Sans\",Helvetica,Arial,sans-serif;fill:#1f2328}
.title{font-size:17px;font-weight:600}.section{font-size:14px;font-weight:600}.strong{font-weight:600}
.note{font-size:11px;fill:#656d76}.end{text-anchor:end}.mid{text-anchor:middle}
.page{fill:#fff;stroke:#d0d7de}.grid{stroke:#8c959f;stroke-opacity:.3}.tick{stroke:#8c959f}
.ready{stroke:#cf222e;stroke-width:1.5}.readytext{fill:#cf222e;font-size:11px;font-weight:600}
.kernel{fill:#4878b0}.init{fill:#d9822b}.systemd{fill:#8a63b8}.unit{fill:#3f8f5b}
@media (prefers-color-scheme: dark){text{fill:#e6edf3}.note{fill:#9198a1}.page{fill:#0d1117;stroke:#30363d}
.ready{stroke:#ff7b72}.readytext{fill:#ff7b72}.kernel{fill:#6ea1db}.init{fill:#e8a04c}.systemd{fill:#b08fdc}.unit{fill:#5fb67d}}";

/// Whose time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    Kernel,
    Init,
    Systemd,
    Unit,
}

impl Colour {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Init => "init",
            Self::Systemd => "systemd",
            Self::Unit => "unit",
        }
    }
}

/// A time axis over the plot's width.
pub(super) struct Scale {
    full_us: f64,
}

impl Scale {
    /// From the kernel's start to `us`.
    pub(super) fn to(us: u64) -> Self {
        Self { full_us: us.max(1) as f64 }
    }

    fn x(&self, us: u64) -> f64 {
        PLOT + (us as f64 / self.full_us).min(1.0) * (PLOT_END - PLOT)
    }

    /// The next of 1, 2, 5, 10, … tenths of a second that gives at most eight lines.
    fn step_us(&self) -> u64 {
        let steps = [100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000];
        steps.into_iter().find(|&step| step as f64 >= self.full_us / 8.0).unwrap_or(20_000_000)
    }
}

/// What has been drawn so far.
#[derive(Default)]
pub(super) struct Page {
    body: String,
    y: f64,
    plot_top: f64,
}

impl Page {
    /// The title and what the picture shows.
    pub(super) fn heading(&mut self, title: &str, note: &str) {
        self.y += 36.0;
        self.text(MARGIN, "title", title);
        self.y += 19.0;
        self.text(MARGIN, "note", note);
    }

    /// A part of the picture, with the headings of its figures.
    pub(super) fn section(&mut self, title: &str) {
        self.y += 34.0;
        self.text(MARGIN, "section", title);
        self.text(TOOK, "note end", "took");
        self.text(CPU, "note end", "own CPU");
        self.y += 14.0;
    }

    pub(super) fn space(&mut self, height: f64) {
        self.y += height;
    }

    /// Rows come from here on; the axis is drawn when they are there.
    pub(super) fn begin_plot(&mut self) {
        self.plot_top = self.y + 4.0;
    }

    pub(super) fn begin_row(&mut self, name: &str, strong: bool) {
        self.y += ROW;
        self.text(MARGIN, if strong { "strong" } else { "" }, name);
    }

    pub(super) fn bar(&mut self, scale: &Scale, start_us: u64, end_us: u64, colour: Colour, opacity: f64) {
        let (x, y) = (scale.x(start_us), self.y - BAR + 1.5);
        let width = (scale.x(end_us.max(start_us)) - x).max(1.0);
        let class = colour.class();
        self.add(format_args!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{BAR}" class="{class}" opacity="{opacity}"/>"#
        ));
    }

    /// A moment, for what is too short to have a length.
    pub(super) fn tick(&mut self, scale: &Scale, at_us: u64) {
        let (x, y) = (scale.x(at_us), self.y - BAR + 1.5);
        self.add(format_args!(r#"<path d="M{x:.1} {y:.1}v{BAR}" class="tick"/>"#));
    }

    /// How long it took, and its CPU time; what is not known stays blank.
    pub(super) fn figures(&mut self, took_us: Option<u64>, cpu_us: Option<u64>) {
        for (x, us) in [(TOOK, took_us), (CPU, cpu_us)] {
            if let Some(us) = us {
                self.text(x, "note end", &millis(us));
            }
        }
    }

    /// A figure behind the end of a bar.
    pub(super) fn figure_after(&mut self, scale: &Scale, end_us: u64, text: &str) {
        let x = scale.x(end_us) + 8.0;
        let fits = x + text.len() as f64 * LETTER < WIDTH - MARGIN;
        if fits { self.text(x, "strong", text) } else { self.text(CPU, "strong end", text) }
    }

    /// Small print behind the end of a bar, as far as there is room.
    pub(super) fn note_after(&mut self, scale: &Scale, end_us: u64, text: &str) {
        let x = scale.x(end_us) + 8.0;
        if !text.is_empty() && x + text.chars().count() as f64 * LETTER * 0.83 < PLOT_END {
            self.text(x, "note", text);
        }
    }

    /// The time axis under the rows, and where READY was.
    pub(super) fn end_plot(&mut self, scale: &Scale, ready_us: Option<u64>) {
        let (top, bottom) = (self.plot_top, self.y + 7.0);
        self.y += ROW + 1.0;
        let mut at = 0;
        while at as f64 <= scale.full_us {
            let x = scale.x(at);
            self.add(format_args!(r#"<path d="M{x:.1} {top:.1}V{bottom:.1}" class="grid"/>"#));
            let near_ready = ready_us.is_some_and(|ready| (scale.x(ready) - x).abs() < 44.0);
            if !near_ready {
                self.text(x, "note mid", &format!("{} s", at as f64 / 1e6));
            }
            at += scale.step_us();
        }
        if let Some(ready_us) = ready_us {
            let x = scale.x(ready_us);
            self.add(format_args!(r#"<path d="M{x:.1} {top:.1}V{bottom:.1}" class="ready"/>"#));
            self.text(x, "readytext mid", &format!("READY {:.2} s", ready_us as f64 / 1e6));
        }
    }

    /// What the colours of the overview mean.
    pub(super) fn legend(&mut self, entries: &[(Colour, &str)]) {
        self.y += ROW + 4.0;
        let mut x = PLOT;
        for (colour, name) in entries {
            let (y, class) = (self.y - 9.0, colour.class());
            self.add(format_args!(r#"<rect x="{x:.1}" y="{y:.1}" width="10" height="10" class="{class}"/>"#));
            self.text(x + 15.0, "note", name);
            x += 40.0 + name.len() as f64 * LETTER;
        }
        self.text(CPU, "note end", "below: solid is own CPU time, pale is waiting");
    }

    pub(super) fn finish(self) -> String {
        let height = (self.y + MARGIN).round();
        let (wide, high) = (WIDTH - 1.0, height - 1.0);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\">\n\
             <style>{STYLE}</style>\n\
             <rect x=\"0.5\" y=\"0.5\" width=\"{wide}\" height=\"{high}\" rx=\"8\" class=\"page\"/>\n{}</svg>\n",
            self.body
        )
    }

    fn text(&mut self, x: f64, class: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        let (y, class) = (self.y, if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") });
        self.add(format_args!(r#"<text x="{x:.1}" y="{y:.1}"{class}>{text}</text>"#));
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.body, "{element}");
    }
}

/// A time with two or three digits that count.
pub(super) fn millis(us: u64) -> String {
    match us {
        0..=9_999 => format!("{:.1} ms", us as f64 / 1e3),
        10_000..=999_999 => format!("{} ms", us / 1000),
        1_000_000..=9_999_999 => format!("{:.2} s", us as f64 / 1e6),
        _ => format!("{:.1} s", us as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_has_round_times_and_few() {
        for (full_us, step_us) in [(600_000, 100_000), (2_000_000, 500_000), (25_000_000, 5_000_000), (1, 100_000)] {
            assert_eq!(Scale::to(full_us).step_us(), step_us, "{full_us}");
        }
        assert!((Scale::to(10).x(10) - PLOT_END).abs() < 1e-9 && (Scale::to(10).x(0) - PLOT).abs() < 1e-9);
    }

    #[test]
    fn figures_keep_two_or_three_digits() {
        for (us, text) in [(1_234, "1.2 ms"), (12_345, "12 ms"), (1_234_567, "1.23 s"), (12_345_678, "12.3 s")] {
            assert_eq!(millis(us), text);
        }
    }
}
