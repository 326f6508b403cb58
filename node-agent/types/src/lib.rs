//! What several parts of Ballast speak of: names of images, digests of content, deployments, kinds of failures.
//!
//! Text is parsed once, at the border; behind it only these types travel.

mod deployment;
mod digest;
mod failure;
mod going_down;
mod reference;
mod sha256;

pub use self::{
    deployment::{DeploymentId, NotADeployment},
    digest::{Digest, NotADigest},
    failure::{Failure, FailureKind},
    going_down::GoingDown,
    reference::{ImageReference, ReferenceError, split_reference},
    sha256::{NotSha256, Sha256Digest},
};
