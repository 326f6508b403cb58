//! What several parts of Ballast speak of: names of images, digests of content, kinds of failures.
//!
//! Text is parsed once, at the border; behind it only these types travel.

mod digest;
mod failure;
mod reference;

pub use self::{
    digest::{Digest, NotADigest},
    failure::FailureKind,
    reference::{ImageReference, ReferenceError},
};
