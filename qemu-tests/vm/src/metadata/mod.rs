//! A cloud's metadata service: a mock as strict as the real ones are, which a node reaches at the link-local address.
//!
//! ```text
//!  node ──169.254.169.254:80──> QEMU's user network (guestfwd) ──bridge, one a connection──> Service on 127.0.0.1
//! ```

mod cloud;
mod service;

pub use cloud::{Cloud, Given};
pub use service::{Asked, Service};
