//! What can go wrong at the fault proxy, when, and how often. The choice is pure.

/// What a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum On {
    /// Whatever it is
    Everything,
    /// A manifest, by tag or digest
    Manifests,
    /// A layer or a configuration
    Blobs,
    /// The one with this digest (`sha256:…`)
    Blob(String),
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends before an answer
    Drop,
    /// After so many bytes of the body nothing more comes, and the connection stays open
    Stall {
        /// Bytes that still come
        after: u64,
    },
    /// After so many bytes of the body the connection ends
    Cut {
        /// Bytes that still come
        after: u64,
    },
    /// The body comes no faster than this
    Throttle {
        /// Bytes of it in a second
        bytes_per_second: u64,
    },
    /// An answer of this status, in place of the registry's
    Status(u16),
    /// The whole is only so long, and the answer says so too
    Truncate {
        /// Its length
        at: u64,
    },
    /// The lowest bit of one byte is another
    Flip {
        /// Which byte of the whole
        at: u64,
    },
}

/// How often a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// So many requests, then never again
    First(u32),
    /// Until it is changed
    Always,
}

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) on: On,
    pub(super) fault: Fault,
    pub(super) times: Times,
}

impl On {
    fn is(&self, path: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Manifests => path.contains("/manifests/"),
            Self::Blobs => path.contains("/blobs/"),
            Self::Blob(digest) => path.ends_with(&format!("/blobs/{digest}")),
        }
    }
}

/// What goes wrong with a request for `path`: the first rule that is meant for it and is not used up; one strike is taken off.
pub(super) fn strike(rules: &mut [Rule], path: &str) -> Option<Fault> {
    let rule = rules.iter_mut().find(|rule| rule.times != Times::First(0) && rule.on.is(path))?;
    if let Times::First(left) = &mut rule.times {
        *left -= 1;
    }
    Some(rule.fault.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOB: &str = "/v2/ballast/blobs/sha256:ab";

    #[test]
    fn a_fault_strikes_what_it_is_meant_for_and_as_often_as_it_should() {
        let rule = |on, status, times| Rule { on, fault: Fault::Status(status), times };
        let mut rules = vec![
            rule(On::Blob("sha256:ab".into()), 500, Times::First(2)),
            rule(On::Blobs, 503, Times::First(1)),
            rule(On::Manifests, 404, Times::Always),
        ];
        let mut struck = |path: &str| match strike(&mut rules, path) {
            Some(Fault::Status(status)) => status,
            _ => 0,
        };
        assert_eq!([struck(BLOB), struck(BLOB), struck(BLOB), struck(BLOB)], [500, 500, 503, 0]);
        assert_eq!([struck("/v2/ballast/manifests/1"), struck("/v2/ballast/manifests/1")], [404, 404]);
        assert_eq!(struck("/v2/"), 0);
    }
}
