//! Asks systemd which units failed.

use super::model::Observed;
use crate::clients::systemd::Systemd;

/// Looks at the node's health.
pub async fn observe(systemd: Option<&Systemd>) -> Observed {
    let failed_units = match systemd {
        None => None,
        Some(systemd) => match systemd.failed_units().await {
            Ok(names) => Some(names),
            Err(error) => {
                log::warn!("{error:#}");
                None
            }
        },
    };
    Observed { failed_units }
}
