//! The memory's file.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::{
    clients::{host::Host, store},
    update::model::Memory,
};

/// Where it is.
const FILE: &str = "/var/lib/ballast/update.json";

const DOING: &str = "writing /var/lib/ballast/update.json";

/// Reads the memory; a node that has none yet remembers nothing.
///
/// # Errors
/// If it is there and cannot be read.
pub fn load(host: &Host) -> Result<Memory> {
    match store::read(&host.path(FILE))? {
        None => Ok(Memory::default()),
        Some(text) => serde_json::from_slice(&text).with_context(|| {
            format!("reading {FILE}; it can be removed: what is pinned and what was bad is forgotten then")
        }),
    }
}

/// Changes the memory, one change at a time.
#[derive(Debug, Clone)]
pub struct Changer {
    host: Host,
}

impl Changer {
    /// For the memory of `host`.
    pub fn new(host: Host) -> Self {
        Self { host }
    }

    /// Reads it, has it changed, and writes it if it is different then. It is on the disk when this returns.
    ///
    /// # Errors
    /// If it cannot be read or written, also because the disk does not answer.
    pub async fn change<T: Send + 'static>(&self, change: impl FnOnce(&mut Memory) -> T + Send + 'static) -> Result<T> {
        self.host.change(DOING, |host| changed(host, change)).await
    }

    /// As [`Self::change`], waiting no longer than `deadline` for the disk.
    ///
    /// # Errors
    /// As there.
    pub async fn change_within(
        &self,
        deadline: Duration,
        change: impl FnOnce(&mut Memory) + Send + 'static,
    ) -> Result<()> {
        self.host.change_within(deadline, DOING, |host| changed(host, change)).await
    }
}

fn changed<T>(host: &Host, change: impl FnOnce(&mut Memory) -> T) -> Result<T> {
    let before = load(host)?;
    let mut after = before.clone();
    let told = change(&mut after);
    if after != before {
        let text = serde_json::to_vec_pretty(&after).context("encoding the memory of releases")?;
        store::write(&host.path(FILE), &text)?;
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::update::model::Digest;

    #[tokio::test]
    async fn what_is_remembered_outlives_the_agent() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        let digest = Digest::parse(&format!("sha256:{}", "a".repeat(64))).unwrap();
        let pinned = digest.clone();
        Changer::new(host.clone()).change(|memory| memory.pinned.push(pinned)).await.unwrap();
        assert_eq!(load(&host).unwrap().pinned, [digest]);
        fs::write(host.path(FILE), "{").unwrap();
        assert!(format!("{:#}", load(&host).unwrap_err()).contains("it can be removed"));
    }
}
