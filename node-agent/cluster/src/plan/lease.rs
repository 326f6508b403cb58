//! When the Lease and the status are due.

use std::time::{Duration, SystemTime};

use k8s_openapi::{
    api::{
        coordination::v1::Lease,
        core::v1::{NodeCondition, NodeStatus},
    },
    chrono::{DateTime, Utc},
};

/// How often the Lease is renewed: the kubelet's own default (a quarter of [`LEASE_SECONDS`]).
pub const LEASE_EVERY: Duration = Duration::from_secs(10);
/// For how long a Lease holds: the kubelet's own default.
pub const LEASE_SECONDS: i32 = 40;
/// How often status is written although nothing changed: the kubelet's own default.
pub const STATUS_EVERY: Duration = Duration::from_secs(300);

/// Whether somebody renewed `lease` less than [`LEASE_SECONDS`] ago. One that was renewed long after `now` was so by a clock that was wrong.
pub fn is_alive(lease: &Lease, now: SystemTime) -> bool {
    let renewed = lease.spec.as_ref().and_then(|spec| spec.renew_time.as_ref());
    let apart = renewed.map(|renewed| (DateTime::<Utc>::from(now) - renewed.0).num_seconds().abs());
    apart.is_some_and(|secs| secs < i64::from(LEASE_SECONDS))
}

/// Whether `status` is to be written, `since` after `written` was. Times of conditions are no change.
pub fn is_status_due(status: &NodeStatus, written: Option<(&NodeStatus, Duration)>) -> bool {
    written.is_none_or(|(written, since)| since >= STATUS_EVERY || without_times(status) != without_times(written))
}

fn without_times(status: &NodeStatus) -> NodeStatus {
    let timeless = |condition: &NodeCondition| NodeCondition {
        last_heartbeat_time: None,
        last_transition_time: None,
        ..condition.clone()
    };
    let conditions = status.conditions.as_ref().map(|conditions| conditions.iter().map(timeless).collect());
    NodeStatus { conditions, ..status.clone() }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    #[test]
    fn status_is_due_on_a_change_and_after_five_minutes() {
        let status = |status: &str, minute: u32| NodeStatus {
            conditions: Some(vec![NodeCondition {
                type_: "Ready".to_owned(),
                status: status.to_owned(),
                last_heartbeat_time: serde_json::from_value::<Time>(format!("2026-11-21T00:{minute:02}:00Z").into())
                    .ok(),
                ..NodeCondition::default()
            }]),
            ..NodeStatus::default()
        };
        let first = status("True", 0);
        for (now, since, expected) in
            [(status("True", 4), 240, false), (status("True", 5), 300, true), (status("False", 1), 1, true)]
        {
            assert_eq!(is_status_due(&now, Some((&first, Duration::from_secs(since)))), expected, "{since}");
        }
        assert!(is_status_due(&first, None));
    }
}
