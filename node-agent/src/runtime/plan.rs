//! What to do about the runtime: a pure function of what was observed.

use super::model::{Health, MISSES_TO_KILL, Observed, Service, ServiceState, Step};

/// The step that `observed` calls for, if any.
pub fn plan(observed: &Observed) -> Option<Step> {
    let Service { state, main_pid, .. } = observed.service?;
    match (state, &observed.health) {
        (ServiceState::Stopped, _) => Some(Step::Start),
        (ServiceState::Changing, _) | (ServiceState::Active, Health::Ready | Health::NotReady { .. }) => None,
        (ServiceState::Active, Health::Silent | Health::Down { .. }) => {
            let due = observed.misses >= MISSES_TO_KILL && main_pid != 0 && observed.killed_pid != Some(main_pid);
            due.then_some(Step::Kill { pid: main_pid })
        }
    }
}

/// Why the runtime is not ready, for people; None if it is.
pub fn reason(observed: &Observed) -> Option<String> {
    match &observed.health {
        Health::Ready => None,
        Health::NotReady { message } => {
            Some(format!("container runtime is not ready: {message}; see ballast logs containerd"))
        }
        Health::Down { message } => {
            Some(format!("container runtime does not run: {message}; see ballast logs containerd"))
        }
        Health::Silent => Some("container runtime does not answer; see ballast logs containerd".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_runtime_is_started_and_a_hung_one_killed_once() {
        use ServiceState::{Active, Changing, Stopped};
        let down = || Health::Down { message: "refused".to_owned() };
        let not_ready = || Health::NotReady { message: String::new() };
        let kill = Some(Step::Kill { pid: 7 });
        let table = [
            (Stopped, 0, down(), 0, None, Some(Step::Start)),
            (Stopped, 0, Health::Silent, 9, None, Some(Step::Start)),
            (Changing, 7, down(), 9, None, None),
            (Active, 7, Health::Ready, 9, None, None),
            (Active, 7, not_ready(), 9, None, None),
            (Active, 7, Health::Silent, 0, None, None),
            (Active, 7, Health::Silent, 1, None, None),
            (Active, 7, Health::Silent, 2, None, kill),
            (Active, 7, Health::Silent, 3, Some(6), kill),
            (Active, 7, Health::Silent, 3, Some(7), None),
            (Active, 7, down(), 1, None, None),
            (Active, 7, down(), 2, None, kill),
            (Active, 0, Health::Silent, 2, None, None),
        ];
        for (state, main_pid, health, misses, killed_pid, expected) in table {
            let service = Some(Service { state, main_pid, restarts: 0 });
            let observed = Observed { health, service, version: None, misses, killed_pid, restarts: 0 };
            assert_eq!(plan(&observed), expected, "{observed:?}");
        }
    }

    #[test]
    fn without_word_from_systemd_nothing_is_done() {
        let observed =
            Observed { health: Health::Silent, service: None, version: None, misses: 9, killed_pid: None, restarts: 0 };
        assert_eq!(plan(&observed), None);
    }
}
