//! How the client speaks to us: messages on a socket, content through pipes.

pub(super) mod message;
pub(super) mod pipe;
pub(super) mod socket;
