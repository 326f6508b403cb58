//! What the clients of registries and API servers share: when to try again, and whom TLS believes.

pub mod backoff;
mod retry_after;
pub mod tls;

pub use retry_after::retry_after;
