//! What several parts of Ballast speak of: names of images, and digests of content.
//!
//! Text is parsed once, at the border; behind it only these types travel.

mod digest;
mod reference;

pub use self::{
    digest::{Digest, NotADigest},
    reference::{ImageReference, ReferenceError},
};
