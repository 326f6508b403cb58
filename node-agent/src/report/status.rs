//! The status of the node in a line.

pub use ballast_types::status::{
    Api, Cluster, Container, Deployment, Disk, Ended, FailedKubelet, Kubelet, Node, Os, Pod, Runtime, Status, Traffic,
};

/// The state as systemd shows it, in one line.
pub fn summary(status: &Status) -> String {
    let state = match (status.ready, status.reasons.is_empty()) {
        (true, true) => "ready",
        (true, false) => "ready, degraded",
        (false, _) => "not ready",
    };
    match status.reasons.as_slice() {
        [] => state.to_owned(),
        [reason] => format!("{state}: {reason}"),
        [reason, rest @ ..] => format!("{state}: {reason}, and {} more", rest.len()),
    }
}

/// The line on the console for a node that does not become READY: the console may be the only way to learn about it.
pub fn not_ready_line(status: &Status) -> Option<String> {
    (!status.ready).then(|| format!("ballast: {}", summary(status)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_console_shows_why_a_node_is_not_ready() {
        let status = |ready| Status { ready, reasons: vec!["a".to_owned()], ..Status::default() };
        assert_eq!(not_ready_line(&status(false)).as_deref(), Some("ballast: not ready: a"));
        assert_eq!(not_ready_line(&status(true)), None);
    }

    #[test]
    fn the_summary_names_the_first_reason() {
        let table: [(bool, &[&str], &str); 4] = [
            (true, &[], "ready"),
            (true, &["a"], "ready, degraded: a"),
            (false, &["a", "b", "c"], "not ready: a, and 2 more"),
            (false, &[], "not ready"),
        ];
        for (ready, reasons, expected) in table {
            let reasons = reasons.iter().map(|reason| (*reason).to_owned()).collect();
            assert_eq!(summary(&Status { ready, reasons, ..Status::default() }), expected);
        }
    }
}
