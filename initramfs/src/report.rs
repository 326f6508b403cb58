//! What /init leaves for the agent: which step took how long, and what was mounted.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::clock::{self, Moment};
use crate::failure::Failure;
use crate::mounts::folder;

/// The folder, and the file in it, where the agent finds the report.
const FOLDER: &str = "/run/ballast";
const FILE: &str = "/run/ballast/initramfs.json";

/// The steps that have been made.
#[derive(Debug, Default)]
pub struct Steps(Vec<Step>);

/// One step, with its clocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    name: &'static str,
    start_us: u64,
    end_us: u64,
    cpu_us: u64,
}

impl Steps {
    /// Makes one step, and notes its time.
    ///
    /// # Errors
    /// What the step fails with, under the step's name.
    pub fn run<T>(&mut self, name: &'static str, act: impl FnOnce() -> Result<T>) -> Result<T, Failure> {
        let (start_us, start_cpu_us) = (clock::uptime_us(), clock::own_cpu_us());
        let value = act().map_err(|error| Failure { step: name, error })?;
        let cpu_us = clock::own_cpu_us() - start_cpu_us;
        self.0.push(Step { name, start_us, end_us: clock::uptime_us(), cpu_us });
        Ok(value)
    }
}

/// All that the agent learns.
#[derive(Debug)]
pub struct Report<'a> {
    /// The steps so far.
    pub steps: &'a Steps,
    /// When /init started.
    pub start: Moment,
    /// COMMIT.SERIAL.
    pub deployment: String,
    /// ROOT's device node.
    pub root_device: String,
    /// VAR's device node; empty if /var is in memory.
    pub var_device: String,
    /// Whether overlayfs refuses files without fs-verity.
    pub verity: bool,
    /// Whether VAR had no machine identity yet.
    pub first_boot: bool,
    /// What somebody should know of this boot, one sentence each.
    pub problems: Vec<String>,
}

/// Leaves the report for the agent.
///
/// # Errors
/// If /run cannot be written.
pub fn write(report: &Report<'_>, end: Moment) -> Result<()> {
    folder(Path::new(FOLDER), 0o755)?;
    let text = render(report, end, clock::own_cpu_us());
    fs::write(FILE, text).with_context(|| format!("writing {FILE}"))
}

/// The report as one line of JSON. `end` is when /init was about to hand over. The `cpu_us` of a step is the processor time
/// that /init itself used in it; that of the whole is what process 1 has used since it began as the kernel's own thread, so that
/// systemd, which goes on as process 1, can be distinguished from it.
pub fn render(report: &Report<'_>, end: Moment, cpu_us: u64) -> String {
    let mut out = String::from("{\"steps\":[");
    for (i, Step { name, start_us, end_us, cpu_us }) in report.steps.0.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        push(
            &mut out,
            format_args!(
                r#"{comma}{{"name":{},"start_us":{start_us},"end_us":{end_us},"cpu_us":{cpu_us}}}"#,
                quoted(name)
            ),
        );
    }
    out.push(']');
    for (key, Moment { uptime_us, busy_us }) in [("start", report.start), ("end", end)] {
        push(&mut out, format_args!(r#","{key}":{{"uptime_us":{uptime_us},"busy_us":{busy_us}}}"#));
    }
    push(&mut out, format_args!(r#","cpu_us":{cpu_us}"#));
    for (key, value) in
        [("deployment", &report.deployment), ("root_device", &report.root_device), ("var_device", &report.var_device)]
    {
        push(&mut out, format_args!(r#","{key}":{}"#, quoted(value)));
    }
    push(&mut out, format_args!(",\"verity\":{},\"first_boot\":{}", report.verity, report.first_boot));
    let problems: Vec<String> = report.problems.iter().map(|problem| quoted(problem)).collect();
    push(&mut out, format_args!(",\"problems\":[{}]}}\n", problems.join(",")));
    out
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
}

fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => push(&mut out, format_args!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_of_json() {
        let steps = Steps(vec![
            Step { name: "modules", start_us: 1, end_us: 20, cpu_us: 9 },
            Step { name: "switch root", start_us: 20, end_us: 21, cpu_us: 1 },
        ]);
        let report = Report {
            steps: &steps,
            start: Moment { uptime_us: 1, busy_us: 2 },
            deployment: "abc.0".into(),
            root_device: "/dev/vda2".into(),
            var_device: "/dev/\"odd\\\n".into(),
            verity: true,
            first_boot: false,
            problems: vec!["one \"x\"".into(), "two".into()],
        };
        let expected = concat!(
            r#"{"steps":[{"name":"modules","start_us":1,"end_us":20,"cpu_us":9},"#,
            r#"{"name":"switch root","start_us":20,"end_us":21,"cpu_us":1}],"#,
            r#""start":{"uptime_us":1,"busy_us":2},"end":{"uptime_us":30,"busy_us":40},"cpu_us":35,"deployment":"abc.0","#,
            r#""root_device":"/dev/vda2","var_device":"/dev/\"odd\\\u000a","verity":true,"first_boot":false,"#,
            r#""problems":["one \"x\"","two"]}"#,
            "\n"
        );
        assert_eq!(render(&report, Moment { uptime_us: 30, busy_us: 40 }, 35), expected);
    }

    #[test]
    fn a_failed_step_bears_its_name() {
        let failure = Steps::default().run("root", || -> Result<()> { anyhow::bail!("gone") }).unwrap_err();
        assert_eq!(failure.to_string(), "root: gone");
    }
}
