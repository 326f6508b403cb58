//! Files of ours that turned out to be damaged: set aside, and reported until the next boot.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
};

use anyhow::{Context, Result};

use super::{host::Host, store};

/// What was set aside in this boot, a sentence each: reported by the agent, also by one that is restarted.
const RECORD: &str = "/run/ballast/damaged";

/// Sets the file or folder `path` aside. `why` says what is wrong with it, `then` what is lost and what to do.
///
/// # Errors
/// If it cannot be renamed; it is still there then.
pub fn set_aside(host: &Host, path: &str, why: &str, then: &str) -> Result<()> {
    let kept = store::set_aside(&host.path(path))?;
    let name = kept.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let reported = format!("{path} was damaged ({}) and is kept as {name}: {then}", why.replace('\n', " "));
    log::error!("{reported}");
    let file = host.path(RECORD);
    let append = || {
        fs::create_dir_all(file.parent().unwrap_or(&file))?;
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&file)?
            .write_all(format!("{reported}\n").as_bytes())
    };
    append().with_context(|| format!("writing {RECORD}"))
}

/// What was set aside in this boot, a sentence each.
pub fn reported(host: &Host) -> Vec<String> {
    let text = fs::read_to_string(host.path(RECORD)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}
