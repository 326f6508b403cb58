//! What the host's state cannot show and must not be forgotten: one small file.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{Command, Digest, FailedRelease, Offered, Revoked};

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
}

fn one<T: DeserializeOwned>(value: Option<Value>) -> Option<T> {
    serde_json::from_value(value?).ok()
}

fn list<T: DeserializeOwned>(value: Option<Value>) -> Vec<T> {
    let Some(Value::Array(all)) = value else { return Vec::new() };
    all.into_iter().filter_map(|value| one(Some(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
        // Before `failed` it was called `bad`.
        let older =
            format!(r#"{{"bad":[{{"digest":"sha256:{}","version":"1","reason":"r","at":1}}]}}"#, "b".repeat(64));
        let memory: Memory = serde_json::from_str(&older).unwrap();
        assert_eq!((memory.failed.len(), Memory::salvage(older.as_bytes())), (1, memory.clone()));
        assert!(serde_json::to_string(&memory).unwrap().contains(r#""failed":[{"#));
    }
}
