//! The file `update.json`.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::{
    clients::{damage, host::Host, store},
    update::model::Memory,
};

/// Where it is.
const FILE: &str = "/var/lib/ballast/update.json";

const DOING: &str = "writing /var/lib/ballast/update.json";

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// What is remembered; of a damaged file all that could be read.
    pub memory: Memory,
    /// What is wrong with the file, if it is damaged. It is set aside with the next change.
    pub damage: Option<String>,
}

/// Reads the memory; a node that has none yet remembers nothing.
pub fn load(host: &Host) -> Loaded {
    let text = match store::read(&host.path(FILE)) {
        Ok(None) => return Loaded { memory: Memory::default(), damage: None },
        Ok(Some(text)) => text,
        Err(error) => return Loaded { memory: Memory::default(), damage: Some(format!("{error:#}")) },
    };
    match serde_json::from_slice(&text) {
        Ok(memory) => Loaded { memory, damage: None },
        Err(error) => Loaded { memory: Memory::salvage(&text), damage: Some(error.to_string()) },
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

    /// Sets the file aside, if it is damaged, and writes it anew.
    ///
    /// # Errors
    /// If that cannot be done; what could be read is gone by meanwhile.
    pub async fn mend(&self) -> Result<()> {
        self.change(|_| ()).await
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
    let Loaded { memory: before, damage } = load(host);
    if let Some(why) = &damage {
        let (pins, failed) = (before.pinned.len(), before.failed.len());
        let then = format!(
            "{pins} pins and {failed} failed releases could be read from it, others are forgotten; see ballast releases, and pin again \
             what is to be kept"
        );
        damage::set_aside(host, FILE, why, &then)?;
    }
    let mut after = before.clone();
    let reported = change(&mut after);
    if after != before || damage.is_some() {
        let text = serde_json::to_vec_pretty(&after).context("encoding the memory of releases")?;
        store::write(&host.path(FILE), &text)?;
    }
    Ok(reported)
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
        let digest: Digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
        let pinned = digest.clone();
        Changer::new(host.clone()).change(|memory| memory.pinned.push(pinned)).await.unwrap();
        assert_eq!(load(&host).memory.pinned, [digest]);
    }

    #[tokio::test]
    async fn a_damaged_file_is_set_aside_reported_and_made_anew() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (damaged, pins) in [
            ("{".to_owned(), 0),
            (String::new(), 0),
            ("\0\0\0\0".to_owned(), 0),
            (format!(r#"{{"pinned":["{digest}"],"wanted":{{"later":{{}}}}}}"#), 1),
        ] {
            let tree = tempfile::tempdir().unwrap();
            let host = Host::new(tree.path());
            fs::create_dir_all(host.path("/var/lib/ballast")).unwrap();
            fs::write(host.path(FILE), &damaged).unwrap();
            assert!(load(&host).damage.is_some(), "{damaged:?}");
            Changer::new(host.clone()).mend().await.unwrap();
            let Loaded { memory, damage } = load(&host);
            assert_eq!((memory.pinned.len(), damage), (pins, None), "{damaged:?}");
            assert_eq!(fs::read_to_string(host.path(format!("{FILE}.damaged-1"))).unwrap(), damaged);
            let [reported] = &damage::reported(&host)[..] else { panic!("{:?}", damage::reported(&host)) };
            assert!(
                reported.contains("is kept as update.json.damaged-1: ") && reported.contains("pin again"),
                "{reported}"
            );
        }
    }

    #[tokio::test]
    async fn a_folder_in_its_place_is_set_aside() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        fs::create_dir_all(host.path(FILE)).unwrap();
        Changer::new(host.clone()).mend().await.unwrap();
        assert_eq!(load(&host), Loaded { memory: Memory::default(), damage: None });
        assert!(host.path(format!("{FILE}.damaged-1")).is_dir());
    }
}
