//! Digests of contents that most states share: what is the same, byte for byte, is not hashed again.

use std::cell::RefCell;
use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use super::verity;

/// Of one path so many contents are kept: the whole one, and some that a cut left half of.
const KEPT: usize = 3;

type Known = RefCell<HashMap<String, Vec<(Vec<u8>, [u8; 32])>>>;

/// Digests that were made, by path.
#[derive(Debug, Default)]
pub(super) struct Sums {
    sha256: Known,
    verity: Known,
    whole: RefCell<HashMap<String, Vec<u8>>>,
}

impl Sums {
    /// SHA-256 of the `content` of `path`.
    pub(super) fn sha256(&self, path: &str, content: Vec<u8>) -> [u8; 32] {
        known(&self.sha256, path, content, |content| Sha256::digest(content).into())
    }

    /// Whether the `content` of `path` has the SHA-256 `named`. Once one had, others need only differ from it.
    pub(super) fn is_named(&self, path: &str, content: &[u8], named: &str) -> bool {
        let mut whole = self.whole.borrow_mut();
        if let Some(whole) = whole.get(path) {
            return whole == content;
        }
        let is_it = hex::encode(Sha256::digest(content)) == named;
        if is_it {
            whole.insert(path.to_owned(), content.to_owned());
        }
        is_it
    }

    /// The fs-verity digest of the `content` of `path`.
    pub(super) fn verity(&self, path: &str, content: Vec<u8>) -> [u8; 32] {
        known(&self.verity, path, content, verity::digest)
    }
}

fn known(known: &Known, path: &str, content: Vec<u8>, digest: impl FnOnce(&[u8]) -> [u8; 32]) -> [u8; 32] {
    let mut known = known.borrow_mut();
    let contents = known.entry(path.to_owned()).or_default();
    if let Some((_, digest)) = contents.iter().find(|(there, _)| *there == content) {
        return *digest;
    }
    let made = digest(&content);
    contents.truncate(KEPT - 1);
    contents.insert(0, (content, made));
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_content_has_its_own_digest_however_often_it_comes() {
        let sums = Sums::default();
        for number in [1, 2, 1, 3, 4, 5, 1, 2] {
            let content = vec![number; 10];
            assert_eq!(sums.sha256("/a", content.clone()), <[u8; 32]>::from(Sha256::digest(&content)));
            assert_eq!(sums.verity("/a", content.clone()), verity::digest(&content));
        }
        let named = hex::encode(Sha256::digest(b"whole"));
        let is_named =
            ["half", "whole", "half", "whole"].map(|content| sums.is_named("/k", content.as_bytes(), &named));
        assert_eq!(is_named, [false, true, false, true]);
    }
}
