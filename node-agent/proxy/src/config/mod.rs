//! What the administrator says in files: mirrors, credentials, where they lie. The policy has a folder of its own.

pub(super) mod credentials;
pub(super) mod files;
pub(super) mod registries;
