//! What several parts of Ballast speak of: names of images, digests of content, deployments, names of boot entries, kinds of
//! failures, and what the node reports of itself.
//!
//! Text is parsed once, at the border; behind it only these types travel.

mod boot_entry_name;
mod deployment;
mod digest;
mod failure;
mod going_down;
mod reference;
pub mod releases;
mod sha256;
pub mod status;
pub mod worker;

pub use self::{
    boot_entry_name::{BootEntryName, NotABootEntry, Tries},
    deployment::{DeploymentId, NotADeployment},
    digest::{Digest, NotADigest},
    failure::{Failure, FailureKind},
    going_down::GoingDown,
    reference::{ImageReference, ReferenceError, split_reference},
    sha256::{NotSha256, Sha256Digest},
};
