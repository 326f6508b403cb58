//! What was asked of this process.

use std::{path::PathBuf, time::Duration};

use crate::config::ClientKeys;

/// What the command line says.
pub(crate) struct Options {
    /// Where the configuration lies: `/`, but for tests.
    pub(crate) root: PathBuf,
    /// The number of the descriptor that is the socket to the client.
    pub(crate) socket: i32,
    /// The policy, if it is not the usual file.
    pub(crate) policy: Option<PathBuf>,
    /// Where each failure is reported, with its kind, one JSON object a line.
    pub(crate) failures: Option<PathBuf>,
    /// A file as in containers-auth.json(5).
    pub(crate) credentials: Option<PathBuf>,
    /// A folder with certificates for all registries, in place of the one for each.
    pub(crate) certificates: Option<PathBuf>,
    /// Keys of our own certificates that we may not read.
    pub(crate) client_keys: ClientKeys,
    /// No registry's certificate is checked.
    pub(crate) is_unchecked: bool,
    /// How long a registry may be silent.
    pub(crate) idle: Duration,
    /// How often the last source of an image may fail in a row.
    pub(crate) attempts: u32,
}
