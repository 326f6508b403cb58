//! What images are made of: references, digests, manifests. Pure: bytes and text in, types out.

pub(super) mod convert;
pub(super) mod digest;
pub(super) mod manifest;
pub(super) mod reference;
