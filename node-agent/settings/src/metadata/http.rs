//! What is sent to a metadata service, and what comes back.

use crate::values::Secret;

/// An HTTP request. Redirects are not followed: a service on the link has nowhere to send us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET` or `PUT`
    pub method: &'static str,
    /// An address.
    pub host: &'static str,
    /// Begins with `/`.
    pub path: &'static str,
    /// A token may be among them.
    pub headers: Vec<(&'static str, Secret)>,
    /// Whether it has to come from a port below 1024, which shows that root asks.
    pub from_privileged_port: bool,
}

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'a> {
    /// HTTP's status code.
    pub status: u16,
    /// At most one byte more than [`crate::MAX_BYTES`].
    pub body: &'a [u8],
}
