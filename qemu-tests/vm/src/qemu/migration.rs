//! A machine's state, all but its disks, in a file: QEMU's migration, whose other side is a later QEMU.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::qmp::Qmp;
use crate::deadline::Deadline;

/// Half a gigabyte through a busy host's disk.
const TIMEOUT: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_millis(50);
/// Bytes in a second. QEMU's own limit spares the network between two hosts; here there is none.
const AT_ONCE: u64 = 1 << 40;

/// Stops the machine and writes its state to `file`. It does not run again in this QEMU, and its disks are whole.
///
/// # Errors
/// When QEMU refuses, fails, or is not done in time.
pub(super) fn save(qmp: &mut Qmp, file: &Path) -> Result<()> {
    qmp.set_timeout(TIMEOUT)?;
    qmp.execute("stop")?;
    qmp.execute_with("migrate-set-parameters", &json!({ "max-bandwidth": AT_ONCE }))?;
    qmp.execute_with("migrate", &json!({ "uri": uri(file) }))?;
    completed(qmp).with_context(|| format!("writing the machine's state to {}", file.display()))
}

/// Reads what [`save`] wrote, in a QEMU that waits for it, and lets the machine go on.
///
/// # Errors
/// When it is not the state of such a machine, or is not read in time.
pub(super) fn restore(qmp: &mut Qmp, file: &Path) -> Result<()> {
    qmp.set_timeout(TIMEOUT)?;
    qmp.execute_with("migrate-incoming", &json!({ "uri": uri(file) }))?;
    completed(qmp).with_context(|| format!("reading the machine's state from {}", file.display()))?;
    // It was stopped when it was written, and so it is now.
    qmp.execute("cont").map(drop)
}

fn uri(file: &Path) -> String {
    format!("file:{}", file.display())
}

fn completed(qmp: &mut Qmp) -> Result<()> {
    let deadline = Deadline::after(TIMEOUT);
    let done = deadline.poll(PAUSE, || {
        let state = qmp.execute("query-migrate")?;
        match state["status"].as_str() {
            Some("completed") => Ok(Some(())),
            Some("failed" | "cancelled") => bail!("QEMU gave up: {state}"),
            _ => Ok(None),
        }
    })?;
    done.with_context(|| format!("QEMU is not done within {deadline}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_a_file_to_qemu() {
        assert_eq!(uri(Path::new("/a/memory")), "file:/a/memory");
    }
}
