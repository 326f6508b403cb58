//! The report that /init leaves about the boot.

use std::{fs, io::ErrorKind};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::host::Host;

/// Where.
pub const RECORD: &str = "/run/ballast/initramfs.json";

/// Is there while /var is in memory, since it could not be mounted.
const IN_MEMORY: &str = "/run/ballast/var-in-memory";

/// Whether /var is in memory: nothing of what the node knew is there.
pub fn is_var_in_memory(host: &Host) -> bool {
    host.path(IN_MEMORY).exists()
}

/// The part that says what was wrong.
#[derive(Debug, Default, Deserialize)]
struct Record {
    #[serde(default)]
    problems: Vec<String>,
}

/// What somebody should know of how /init got here, one sentence each; nothing if it left no record.
///
/// # Errors
/// If the record is damaged.
pub fn problems(host: &Host) -> Result<Vec<String>> {
    let doing = || format!("reading {RECORD}");
    match fs::read_to_string(host.path(RECORD)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        text => Ok(serde_json::from_str::<Record>(&text.with_context(doing)?).with_context(doing)?.problems),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_reported_if_there_are_any() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        assert_eq!(problems(&host).unwrap(), [""; 0]);
        fs::create_dir_all(host.path("/run/ballast")).unwrap();
        for (text, expected) in [(r#"{"steps":[]}"#, &[][..]), (r#"{"problems":["a","b"]}"#, &["a", "b"])] {
            fs::write(host.path(RECORD), text).unwrap();
            assert_eq!(problems(&host).unwrap(), expected);
        }
        fs::write(host.path(RECORD), "{").unwrap();
        assert!(problems(&host).is_err());
    }
}
