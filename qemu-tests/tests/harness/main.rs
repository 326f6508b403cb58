//! The harness itself: registry, fault proxy and releases, with skopeo in a node's place; the image's units, as they lie in image/root; networkd, over
//! what is rendered for it. Boots nothing; needs the tools tree.

#![expect(clippy::unwrap_used, reason = "a helper of tests that fails is a failed test")]

mod crash;
mod faults;
mod networkd;
mod pushed;
mod releases;
mod support;
mod units;
mod volumes;
