//! The store of artifacts: signed OCI images that carry programs beside the OS. `artifact-worker` is all of it as a program; this is
//! the library, so that who packs an artifact and who reads it go by the same types.
//!
//! ```text
//!  registry ──image-proxy: policy, signatures──> client ──manifest──> model: which files, which digests
//!                                                   └──layers──> unpack ──> store: DIGEST/manifest.json, DIGEST/files/…  sealed
//!  systemd ──> artifact-worker start DIGEST FILE ──> measure: as the signed manifest says? ──> executes that very file
//! ```
//!
//! A version is a folder that is complete or not there. Its name is the digest of its manifest, and the manifest has the fs-verity digest of
//! each file: so what runs is what was signed, or it does not run. [`model`] and [`plan`] are pure.

#![expect(clippy::disallowed_methods, reason = "a program of its own: nothing else waits for its disk")]

pub mod client;
pub mod failure;
mod isolation;
pub mod measure;
pub mod model;
pub mod observe;
#[cfg(feature = "pack")]
pub mod pack;
pub mod plan;
pub mod program;
pub mod store;
mod unpack;
