//! What is remembered of kubelets: a small file, whole or as it was before.

use anyhow::{Context, Result};
use ballast_types::split_reference;

use super::model::{Failed, MAX_FAILED, Memory, Version};
use crate::clients::{damage, host::Host, store};

/// Where it is.
pub(super) const FILE: &str = "/var/lib/ballast/kubelet.json";

const DOING: &str = "writing /var/lib/ballast/kubelet.json";

/// Reads it; a node that has none yet remembers nothing, and neither does one whose file is damaged: it is set aside by the next change.
///
/// # Errors
/// If the disk does not let it be read.
pub fn load(host: &Host) -> Result<Memory> {
    let Some(text) = store::read(&host.path(FILE))? else { return Ok(Memory::default()) };
    Ok(serde_json::from_slice(&text).unwrap_or_default())
}

/// Has it changed; it is on the disk when this returns.
///
/// # Errors
/// If it cannot be read or written.
pub async fn change(host: &Host, change: impl FnOnce(&mut Memory) + Send + 'static) -> Result<()> {
    host.change(DOING, |host| {
        let text = store::read(&host.path(FILE))?;
        let read = text.as_deref().map(serde_json::from_slice::<Memory>).transpose();
        let before = match read {
            Ok(read) => read.unwrap_or_default(),
            Err(error) => {
                damage::set_aside(
                    host,
                    FILE,
                    &error.to_string(),
                    "kubelets that failed are forgotten, and the kubelet is fetched anew",
                )?;
                Memory::default()
            }
        };
        let mut after = before.clone();
        change(&mut after);
        if after != before {
            let text = serde_json::to_vec_pretty(&after).context("encoding the memory of kubelets")?;
            store::write(&host.path(FILE), &text)?;
        }
        Ok(())
    })
    .await
}

impl Memory {
    /// `image` was fetched, and is this version. If that is the one that was damaged, it is whole again, and what is wanted stays.
    pub fn fetched(&mut self, image: String, version: Version) {
        self.sources.insert(version.digest.clone(), pinned(&image, &version.digest));
        if self.damaged.take_if(|damaged| *damaged == version.digest).is_none() {
            self.image = Some(image);
            self.wanted = Some(version);
        }
        let Self { wanted, good, .. } = self;
        self.sources.retain(|digest, _| wanted.iter().chain(&*good).any(|kept| kept.digest == *digest));
    }

    /// The version proved itself.
    pub fn proved(&mut self, version: Version) {
        self.good = Some(version);
    }

    /// The version failed; of each the last reason is kept.
    pub fn fail(&mut self, failed: Failed) {
        self.failed.retain(|known| known.digest != failed.digest || known.configuration != failed.configuration);
        self.failed.push(failed);
        let surplus = self.failed.len().saturating_sub(MAX_FAILED);
        self.failed.drain(..surplus);
    }

    /// The version with this digest is not what was signed any more: it is fetched anew.
    pub fn mend(&mut self, digest: String) {
        self.damaged = Some(digest);
    }
}

/// Exactly the version with `digest`, of where `image` names one by tag or digest.
fn pinned(image: &str, digest: &str) -> String {
    let (name, _, _) = split_reference(image);
    format!("{name}@{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_kept_and_a_damaged_one_is_set_aside() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        let version = |digest: &str| Version { digest: digest.to_owned(), version: "1.33.0".to_owned() };
        let failed = |digest: usize| Failed {
            digest: digest.to_string(),
            version: "1".to_owned(),
            reason: "r".to_owned(),
            at: 7,
            configuration: String::new(),
        };
        assert_eq!(load(&host).unwrap(), Memory::default());
        change(&host, move |memory| {
            memory.fetched("r.example/kubelet:1".to_owned(), version("a"));
            memory.proved(version("a"));
            (0..MAX_FAILED + 2).for_each(|digest| memory.fail(failed(digest)));
            memory.fail(failed(3));
        })
        .await
        .unwrap();
        let memory = load(&host).unwrap();
        assert_eq!((memory.failed.len(), memory.failed.last().unwrap().digest.as_str()), (MAX_FAILED, "3"));
        std::fs::write(tree.path().join("var/lib/ballast/kubelet.json"), "{").unwrap();
        assert_eq!(load(&host).unwrap(), Memory::default());
        change(&host, |memory| memory.mend("a".to_owned())).await.unwrap();
        assert!(tree.path().join("var/lib/ballast/kubelet.json.damaged-1").exists());
    }

    #[test]
    fn what_was_damaged_is_known_by_its_digest_and_what_is_wanted_stays() {
        let version = |digest: &str| Version { digest: digest.to_owned(), version: "1.33.0".to_owned() };
        let mut memory = Memory::default();
        memory.fetched("r.example:5000/kubelet:1.32".to_owned(), version("sha256:a"));
        memory.proved(version("sha256:a"));
        memory.fetched("r.example:5000/kubelet:1.33@sha256:b".to_owned(), version("sha256:b"));
        assert_eq!(memory.sources["sha256:a"], "r.example:5000/kubelet@sha256:a");
        assert_eq!(memory.sources["sha256:b"], "r.example:5000/kubelet@sha256:b");
        memory.mend("sha256:a".to_owned());
        memory.fetched(memory.sources["sha256:a"].clone(), version("sha256:a"));
        assert_eq!((memory.damaged.as_ref(), memory.wanted.as_ref()), (None, Some(&version("sha256:b"))));
        // What nobody keeps is not fetched again, either.
        memory.proved(version("sha256:b"));
        memory.fetched("r.example:5000/kubelet:1.34".to_owned(), version("sha256:c"));
        assert_eq!(memory.sources.len(), 2);
    }
}
