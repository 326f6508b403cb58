//! Memberships against a small API server, over TLS: how they get in, and what they do when it answers badly or not at all.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, missing_docs)]

mod bound;
mod join;
mod kubelet;
mod leave;
mod machine;
mod name;
mod operator;
mod rollout;
mod server;
mod trouble;
