//! Where nodes under test get releases from: a real registry (Debian's docker-registry, from the tools tree), its
//! certificates, and the keys that releases are signed with. It vanishes with its handle, and dies with us.

mod certificates;
mod keys;
mod push;
mod server;

pub use certificates::{Authority, Pair, Validity, server_config};
pub use keys::SigningKey;
pub use push::{Push, Signed, push_manifest};
pub use server::{Registry, User};
