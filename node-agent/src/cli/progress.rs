//! How far an operation is, for people: a bar on a terminal, else a line now and then.

use std::time::Instant;

use crate::update::model::{Phase, Progress};

/// The bar itself.
const WIDTH: usize = 30;

/// Without a terminal, a line for each so many percent.
const STEP_PERCENT: u64 = 10;

/// Shows progress on standard error.
pub(super) struct Bar {
    is_terminal: bool,
    phase: Option<Phase>,
    percent: u64,
    started: Instant,
    is_line_open: bool,
}

impl Bar {
    /// On a terminal or not.
    pub(super) fn new(is_terminal: bool) -> Self {
        Self { is_terminal, phase: None, percent: 0, started: Instant::now(), is_line_open: false }
    }

    /// Shows `progress`, if there is something new in it.
    pub(super) fn show(&mut self, progress: &Progress) {
        if self.phase != Some(progress.phase) {
            self.close();
            self.phase = Some(progress.phase);
            self.started = Instant::now();
            self.percent = 0;
            eprintln!("{}", title(progress));
        }
        if progress.phase != Phase::Fetch || progress.total_bytes == 0 {
            return;
        }
        let percent = progress.fetched_bytes.saturating_mul(100) / progress.total_bytes;
        let text = fetched(progress, self.started.elapsed().as_secs_f64());
        if self.is_terminal {
            eprint!("\r{} {text}\x1b[K", bar(percent));
            self.is_line_open = true;
        } else if percent / STEP_PERCENT > self.percent / STEP_PERCENT {
            eprintln!("  {percent} %, {text}");
        }
        self.percent = percent;
    }

    fn close(&mut self) {
        if self.is_line_open {
            eprintln!();
            self.is_line_open = false;
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.close();
    }
}

fn title(progress: &Progress) -> String {
    let image = progress.image.as_deref().unwrap_or("the image");
    match progress.phase {
        Phase::Resolve => format!("resolving {image}"),
        Phase::Preflight => "looking for room".to_owned(),
        Phase::Fetch => format!("fetching {image}"),
        Phase::Deploy => "making the deployment".to_owned(),
        Phase::Kernel => "writing kernel and initramfs".to_owned(),
        Phase::Commit => "writing the boot entry".to_owned(),
        Phase::Collect => "removing what is not needed any more".to_owned(),
        Phase::Check => "checking objects".to_owned(),
        Phase::Reboot => "rebooting".to_owned(),
    }
}

fn bar(percent: u64) -> String {
    let full = usize::try_from(percent).unwrap_or(100).min(100) * WIDTH / 100;
    format!("[{}{}]", "#".repeat(full), "-".repeat(WIDTH - full))
}

fn fetched(progress: &Progress, secs: f64) -> String {
    let mega = |bytes: u64| bytes as f64 / 1e6;
    let rate = if secs > 0.0 { mega(progress.fetched_bytes) / secs } else { 0.0 };
    format!("{:.1} of {:.1} MB, {rate:.1} MB/s", mega(progress.fetched_bytes), mega(progress.total_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_rate_are_reported() {
        let progress = Progress { fetched_bytes: 2_500_000, total_bytes: 10_000_000, ..Progress::default() };
        assert_eq!(fetched(&progress, 2.0), "2.5 of 10.0 MB, 1.2 MB/s");
        assert_eq!(bar(50), format!("[{}{}]", "#".repeat(15), "-".repeat(15)));
        assert_eq!(bar(250), format!("[{}]", "#".repeat(30)));
    }
}
