//! What is printed: JSON, one object a line.

use std::{
    io::{Write, stdout},
    process::ExitCode,
};

use anyhow::Error;
use ballast_types::worker::{Line, Progress, WorkerFailure};
use serde_json::Value;

use crate::failure;

pub(crate) fn progress(progress: Progress) {
    line(Line::Progress(progress));
}

pub(crate) fn result(result: Value) -> ExitCode {
    line(Line::Result(result));
    ExitCode::SUCCESS
}

pub(crate) fn error(error: &Error) -> ExitCode {
    line(Line::Error(WorkerFailure { kind: failure::kind(error), message: format!("{error:#}") }));
    ExitCode::FAILURE
}

fn line(line: Line<Value>) {
    // Who does not listen any more need not be notified; the exit status still says how it went.
    let _ = serde_json::to_string(&line).map(|line| writeln!(stdout().lock(), "{line}"));
}
