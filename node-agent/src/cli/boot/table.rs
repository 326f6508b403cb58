//! The boot for a person: a row for each part, READY among them, and whose the CPU time was.

use std::fmt::Write;

use super::timeline::{Kind, Part, Timeline};

/// A unit that took less, in time and in CPU time, is counted and not shown.
const SHORTEST_US: u64 = 1_000;

/// The table.
pub(super) fn render(timeline: &Timeline) -> String {
    let mut out = String::new();
    let known = |us: Option<u64>| us.map_or("?".to_owned(), seconds);
    let (ready, busy) = (known(timeline.ready_us), known(timeline.busy_us));
    line(&mut out, &format!("ballast {}: READY in {ready}, {busy} of CPU time\n", timeline.version));
    row(&mut out, "START", "DURATION", "CPU", "");
    let (shown, short): (Vec<&Part>, Vec<&Part>) = timeline.parts.iter().partition(|part| is_shown(part));
    let mut is_ready = false;
    for part in shown {
        let is_after = part.start_us.is_none_or(|start| timeline.ready_us.is_some_and(|ready| start >= ready));
        if is_after && !is_ready {
            ready_row(&mut out, timeline);
            is_ready = true;
        }
        let cell = |us: Option<u64>| us.map_or(String::new(), seconds);
        let start = part.start_us.map_or("later".to_owned(), seconds);
        let again = if part.start_us.is_none() { "  (started again since)" } else { "" };
        let duration = match (part.start_us, part.end_us) {
            (Some(_), None) => "starting".to_owned(),
            _ => cell(part.duration_us()),
        };
        row(&mut out, &start, &duration, &cell(part.cpu_us), &format!("{}{again}", name(part)));
    }
    if !is_ready {
        ready_row(&mut out, timeline);
    }
    if !short.is_empty() {
        line(&mut out, &format!("\n{} more units took less than a millisecond each.", short.len()));
    }
    cpu_table(&mut out, timeline);
    out
}

fn is_shown(part: &Part) -> bool {
    let long = |us: Option<u64>| us.is_some_and(|us| us >= SHORTEST_US);
    let unknown = part.start_us.is_none() || part.end_us.is_none();
    part.kind != Kind::Unit || unknown || long(part.duration_us()) || long(part.cpu_us)
}

fn name(part: &Part) -> String {
    match part.kind {
        Kind::Step | Kind::Manager => format!("  {}", part.name),
        Kind::Kernel | Kind::Init | Kind::Systemd | Kind::Unit => part.name.clone(),
    }
}

fn ready_row(out: &mut String, timeline: &Timeline) {
    let at = timeline.ready_us.map_or("?".to_owned(), seconds);
    row(out, &at, "", "", "---- READY ----");
}

fn cpu_table(out: &mut String, timeline: &Timeline) {
    let Some(busy_us) = timeline.busy_us.filter(|busy| *busy > 0 && !timeline.busy_by.is_empty()) else { return };
    line(out, "\nCPU TIME UNTIL READY");
    for part in timeline.busy_by.iter().filter(|part| part.cpu_us >= SHORTEST_US) {
        let share = (part.cpu_us * 100 + busy_us / 2) / busy_us;
        let note = if part.name == "rest" { ": the kernel's threads, generators, what ended unseen" } else { "" };
        line(out, &format!("{:>10} {share:>4} %  {}{note}", seconds(part.cpu_us), part.name));
    }
    line(out, &format!("{:>10}         in all", seconds(busy_us)));
}

fn row(out: &mut String, start: &str, duration: &str, cpu: &str, name: &str) {
    line(out, format!("{start:>10} {duration:>10} {cpu:>10}  {name}").trim_end());
}

fn seconds(us: u64) -> String {
    let ms = (us + 500) / 1000;
    format!("{}.{:03} s", ms / 1000, ms % 1000)
}

fn line(out: &mut String, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{text}");
}

#[cfg(test)]
mod tests {
    use super::{super::timeline::tests::boot, *};

    #[test]
    fn the_table_is_read_from_top_to_bottom() {
        let expected = "\
ballast 20261121.1: READY in 3.100 s, 3.000 s of CPU time

     START   DURATION        CPU
   0.000 s    1.000 s    0.950 s  kernel
   1.000 s    0.040 s    0.040 s  /init
   1.000 s    0.030 s               root
   1.040 s    2.060 s    0.700 s  systemd
   1.100 s    0.050 s               generators
   1.150 s    0.150 s               loading units
   1.410 s    0.040 s    0.030 s  once.service
   1.500 s    1.400 s    0.600 s  containerd.service
   3.100 s                        ---- READY ----
   3.200 s    0.200 s    0.080 s  udev.service
   8.000 s   starting             slow.service
     later               0.020 s  again.service  (started again since)

1 more units took less than a millisecond each.

CPU TIME UNTIL READY
   0.950 s   32 %  kernel
   0.040 s    1 %  /init
   0.700 s   23 %  systemd
   0.600 s   20 %  containerd.service
   0.030 s    1 %  once.service
   0.020 s    1 %  again.service
   0.660 s   22 %  rest: the kernel's threads, generators, what ended unseen
   3.000 s         in all
";
        assert_eq!(render(&boot()), expected);
    }
}
