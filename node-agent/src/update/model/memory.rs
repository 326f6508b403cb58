//! What the host's state cannot show and must not be forgotten: one small file.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{Command, Digest, Offered, Revoked};

/// So many failed releases are remembered; the oldest go first. A registry makes a handful a year.
const MAX_FAILED: usize = 64;

/// What the agent remembers of releases, in `/var/lib/ballast/update.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Releases that are kept until they are unpinned.
    pub pinned: Vec<Digest>,
    /// Releases that failed here and are not tried again until they are allowed.
    /// Up to 20261121.1 the key was `bad`.
    #[serde(alias = "bad")]
    pub failed: Vec<FailedRelease>,
    /// Why this boot of a release on trial is about to be given up; it becomes the reason if no try is left.
    pub given_up: Option<FailedRelease>,
    /// The operation that was asked for and has not ended.
    pub wanted: Option<Command>,
    /// The release that was rolled back from by hand: not taken again without being asked for.
    pub left: Option<Digest>,
    /// A release that was fetched and is not to be deployed yet.
    pub fetched: Option<Digest>,
    /// The version of the highest release that proved itself here: an older one is taken only if that is asked for.
    pub floor: Option<String>,
    /// What releases that ran here have revoked. It is never forgotten.
    pub revoked: Revoked,
    /// What the registry offered last to a node that upgrades by itself, if its signatures run out.
    pub offered: Option<Offered>,
}

/// A release that failed here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedRelease {
    /// Which.
    pub digest: Digest,
    /// Its version.
    pub version: String,
    /// What was wrong, in one sentence.
    pub reason: String,
    /// When that was found, in seconds since 1970.
    pub at: u64,
}

impl Memory {
    /// What a damaged file still says: nothing, if it is no JSON; else all that can be read by itself.
    pub fn salvage(text: &[u8]) -> Self {
        let Ok(mut fields) = serde_json::from_slice::<Map<String, Value>>(text) else { return Self::default() };
        Self {
            pinned: list(fields.remove("pinned")),
            failed: list(fields.remove("failed").or_else(|| fields.remove("bad"))),
            given_up: one(fields.remove("given_up")),
            wanted: one(fields.remove("wanted")),
            left: one(fields.remove("left")),
            fetched: one(fields.remove("fetched")),
            floor: one(fields.remove("floor")),
            revoked: match fields.remove("revoked") {
                Some(Value::Object(mut sets)) => {
                    let mut set = |key: &str| list(sets.remove(key)).into_iter().collect();
                    Revoked { keys: set("keys"), releases: set("releases") }
                }
                Some(_) | None => Revoked::default(),
            },
            offered: one(fields.remove("offered")),
        }
    }

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

fn one<T: DeserializeOwned>(value: Option<Value>) -> Option<T> {
    serde_json::from_value(value?).ok()
}

fn list<T: DeserializeOwned>(value: Option<Value>) -> Vec<T> {
    let Some(Value::Array(all)) = value else { return Vec::new() };
    all.into_iter().filter_map(|value| one(Some(value))).collect()
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
        let digest = Digest::parse(&format!("sha256:{}", letter.repeat(64))).unwrap();
        FailedRelease { digest, version: format!("{letter}.1"), reason: reason.to_owned(), at: 0 }
    }

    #[test]
    fn a_bad_release_is_remembered_once_and_found_by_its_names() {
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

    #[test]
    fn of_a_damaged_file_all_is_taken_that_can_be_read() {
        let (a, b) = (format!("sha256:{}", "a".repeat(64)), format!("sha256:{}", "b".repeat(64)));
        let text = format!(
            r#"{{"pinned":["{a}","x"],"failed":[{{"digest":"{b}"}},{{"digest":"{b}","version":"1","reason":"r","at":1}}],"left":"{b}","wanted":{{"later":{{}}}},
                "floor":"2","revoked":{{"keys":["{a}","x"],"releases":7}}}}"#
        );
        assert!(serde_json::from_str::<Memory>(&text).is_err());
        let memory = Memory::salvage(text.as_bytes());
        assert_eq!((memory.pinned.len(), memory.failed.len(), memory.left.is_some()), (1, 1, true));
        assert_eq!((memory.wanted, memory.fetched, memory.floor.as_deref()), (None, None, Some("2")));
        assert_eq!((memory.revoked.keys.len(), memory.revoked.releases.len()), (1, 0));
        for text in [&b""[..], b"{", b"[]", b"\0\0", &text.as_bytes()[..40]] {
            assert_eq!(Memory::salvage(text), Memory::default());
        }
    }

    #[test]
    fn what_an_older_or_newer_agent_wrote_can_be_read() {
        let memory: Memory = serde_json::from_str(r#"{"pinned":[],"later":1}"#).unwrap();
        assert_eq!(memory, Memory::default());
    }
}
