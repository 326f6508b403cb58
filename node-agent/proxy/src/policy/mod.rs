//! Which images may be used: containers-policy.json(5) with sigstore signatures by key. All but `check` is pure.

pub(super) mod check;
pub(super) mod identity;
pub(super) mod inline;
pub(super) mod key;
pub(super) mod model;
pub(super) mod scope;
pub(super) mod signature;
mod source;
