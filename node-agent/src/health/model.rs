//! What is known of the node's health.

/// The node's health at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// The units that failed; None while systemd cannot be asked.
    pub failed_units: Option<Vec<String>>,
}
