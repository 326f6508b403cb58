//! What is printed: JSON, one object a line.

use std::{
    io::{Write, stdout},
    process::ExitCode,
};

use anyhow::Error;
use serde::Serialize;
use serde_json::{Value, json};

use crate::failure;

/// How far a fetch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Progress {
    pub(crate) fetched_bytes: u64,
    /// Of the layers that were not here at the start.
    pub(crate) total_bytes: u64,
    /// Counts from 1, over the layers that were not here.
    pub(crate) layer: usize,
    pub(crate) layers: usize,
}

pub(crate) fn progress(progress: Progress) {
    line(&json!({ "progress": progress }));
}

pub(crate) fn result(result: &Value) -> ExitCode {
    line(&json!({ "result": result }));
    ExitCode::SUCCESS
}

pub(crate) fn error(error: &Error) -> ExitCode {
    line(&json!({ "error": { "kind": failure::kind(error), "message": format!("{error:#}") } }));
    ExitCode::FAILURE
}

fn line(value: &Value) {
    // Who does not listen any more need not be notified; the exit status still says how it went.
    let _ = writeln!(stdout().lock(), "{value}");
}
