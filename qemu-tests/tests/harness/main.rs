//! The harness itself: registry, door and releases, with skopeo in a node's place. The image's units, as they lie in image/root. Boots nothing;
//! needs the tools tree.

#![expect(clippy::unwrap_used, reason = "a helper of tests that fails is a failed test")]

mod faults;
mod pushed;
mod releases;
mod support;
mod units;
mod volumes;
