//! Releases that failed on this node: remembered with their reason, and refused until they are allowed again.

pub use ballast_types::releases::FailedRelease;

use super::{Digest, Memory};

/// So many failed releases are remembered; the oldest go first. A registry makes a handful a year.
const MAX_FAILED: usize = 64;

impl Memory {
    /// The release named `name` (a digest, its beginning, or a version) among those that failed.
    pub fn find_failed(&self, name: &str) -> Option<&FailedRelease> {
        self.failed.iter().find(|failed| is_named(&failed.digest, &failed.version, name))
    }

    /// Why the release `digest` is not to be tried.
    pub fn failure_of(&self, digest: &Digest) -> Option<&FailedRelease> {
        self.failed.iter().find(|failed| failed.digest == *digest)
    }

    /// Remembers that a release failed, once.
    pub fn mark_failed(&mut self, failed: FailedRelease) {
        self.failed.retain(|known| known.digest != failed.digest);
        self.failed.push(failed);
        let surplus = self.failed.len().saturating_sub(MAX_FAILED);
        self.failed.drain(..surplus);
    }
}

/// Whether `name` means the release `digest` of `version`: the version, the digest, or at least six of its digits.
pub(in crate::update) fn is_named(digest: &Digest, version: &str, name: &str) -> bool {
    let hex = name.strip_prefix("sha256:").unwrap_or(name);
    let is_start = hex.len() >= 6 && digest.as_str().trim_start_matches("sha256:").starts_with(hex);
    is_start || (name == version && !version.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(letter: &str, reason: &str) -> FailedRelease {
        let digest: Digest = format!("sha256:{}", letter.repeat(64)).parse().unwrap();
        FailedRelease { digest, version: format!("{letter}.1"), reason: reason.to_owned(), at: 0 }
    }

    #[test]
    fn a_failed_release_is_remembered_once_and_found_by_its_names() {
        let mut memory = Memory::default();
        memory.mark_failed(failed("a", "first"));
        memory.mark_failed(failed("b", ""));
        memory.mark_failed(failed("a", "second"));
        assert_eq!(memory.failed.len(), 2);
        for (name, found) in [("a.1", true), ("aaaaaa", true), ("sha256:aaaaaaa", true), ("aaa", false), ("", false)] {
            assert_eq!(memory.find_failed(name).is_some(), found, "{name}");
        }
        assert_eq!(memory.find_failed("a.1").unwrap().reason, "second");
        for _ in 0..MAX_FAILED {
            memory.failed.push(failed("c", ""));
        }
        memory.mark_failed(failed("d", ""));
        assert_eq!((memory.failed.len(), memory.failed.last().unwrap().version.as_str()), (MAX_FAILED, "d.1"));
    }
}
