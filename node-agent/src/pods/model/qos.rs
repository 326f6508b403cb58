//! Which pods go first when memory is short (kubernetes.io/docs/concepts/workloads/pods/pod-qos).

use super::{Resources, Spec};

/// The class of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qos {
    /// It names nothing: it goes first.
    BestEffort,
    /// It names something.
    Burstable,
    /// All of its containers have limits of CPU and memory, and ask for all of them: it goes last.
    Guaranteed,
}

impl Spec {
    /// The class of the pod.
    pub fn qos(&self) -> Qos {
        let all = || self.all_containers().map(|container| &container.resources);
        // 0 is nothing (so does the kubelet).
        let names_nothing = |one: &Resources| {
            [one.cpu_limit_milli, one.cpu_request_milli, one.memory_limit_bytes, one.memory_request_bytes]
                .into_iter()
                .all(|amount| amount.unwrap_or_default() == 0)
        };
        let is_whole = |limit: Option<u64>, request: Option<u64>| {
            limit.is_some_and(|limit| limit > 0 && request.is_none_or(|request| request == limit))
        };
        let is_guaranteed = |one: &Resources| {
            is_whole(one.cpu_limit_milli, one.cpu_request_milli)
                && is_whole(one.memory_limit_bytes, one.memory_request_bytes)
        };
        match (all().all(names_nothing), all().all(is_guaranteed)) {
            (true, _) => Qos::BestEffort,
            (false, true) => Qos::Guaranteed,
            (false, false) => Qos::Burstable,
        }
    }
}
