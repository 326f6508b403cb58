//! From what containers and pods need to the kernel's limits, as the kubelet has them
//! (kubernetes: pkg/kubelet/cm/helpers_linux.go, pkg/kubelet/qos/policy.go).

use crate::{
    clients::cri::Resources as Limits,
    pods::model::{Container, Qos, Resources, Spec},
};

/// The kernel kills pods that named no needs first, and those last that take no more than what is theirs. In between it is the less,
/// the more of the memory a container asked for.
const OOM_SCORE_BEST_EFFORT: i64 = 1000;
const OOM_SCORE_GUARANTEED: i64 = -997;
const OOM_SCORES_BURSTABLE: (i64, i64) = (3, 999);

/// CPU shares of one whole CPU, and the least and the most there can be (kernel: cpu.shares).
const SHARES_PER_CPU: u64 = 1024;
const LEAST_SHARES: u64 = 2;
const MOST_SHARES: u64 = 262_144;

/// The period of cpu.max, in microseconds, and the least that may be had of it.
const PERIOD_US: u64 = 100_000;
const LEAST_QUOTA_US: u64 = 1000;

/// Where a pod's containers lie: each pod has a control group in that of all pods.
pub(super) fn group(uid: &str) -> String {
    format!("{}/pod{uid}", super::CGROUP)
}

/// What is written into a pod's control group, by file.
pub(in crate::pods) fn pod_limits(spec: &Spec) -> Vec<(&'static str, String)> {
    let requests = at_once(spec, cpu_request);
    let mut files = vec![("cpu.weight", weight(shares(Some(requests))).to_string())];
    // A pod has a limit if all of its containers have one.
    let limit = |of: fn(&Resources) -> Option<u64>| {
        spec.all_containers().all(|one| of(&one.resources).is_some_and(|limit| limit > 0)).then(|| at_once(spec, of))
    };
    if let Some(milli) = limit(|one| one.cpu_limit_milli) {
        files.push(("cpu.max", format!("{} {PERIOD_US}", quota_us(milli))));
    }
    if let Some(bytes) = limit(|one| one.memory_limit_bytes) {
        files.push(("memory.max", bytes.to_string()));
    }
    files
}

/// What those containers have together that run at the same time, at most: init containers come one after the other, sidecars stay
/// (k8s.io/component-helpers/resource, AggregateContainerRequests).
fn at_once(spec: &Spec, of: fn(&Resources) -> Option<u64>) -> u64 {
    let (mut sidecars, mut most) = (0_u64, 0);
    for one in &spec.init_containers {
        let own = of(&one.resources).unwrap_or_default();
        most = most.max(sidecars.saturating_add(own));
        sidecars = sidecars.saturating_add(if one.is_sidecar { own } else { 0 });
    }
    most.max(spec.containers.iter().filter_map(|one| of(&one.resources)).fold(sidecars, u64::saturating_add))
}

/// Of a container; `memory_bytes` is what the node has, for pods that are neither first nor last.
pub(super) fn limits(container: &Container, qos: Qos, memory_bytes: u64) -> Limits {
    let resources = &container.resources;
    let number = |amount: u64| i64::try_from(amount).unwrap_or(i64::MAX);
    Limits {
        // A limit of 0 is none (so does the kubelet).
        cpu_quota_us: resources.cpu_limit_milli.filter(|milli| *milli > 0).map_or(0, |milli| number(quota_us(milli))),
        cpu_shares: number(shares(cpu_request(resources))),
        memory_bytes: resources.memory_limit_bytes.map_or(0, number),
        oom_score_adj: oom_score(resources, qos, memory_bytes),
        pids: 0,
        // A program of which one process is missing is worse than one that ended.
        ends_together: true,
    }
}

fn oom_score(resources: &Resources, qos: Qos, memory_bytes: u64) -> i64 {
    let (least, most) = OOM_SCORES_BURSTABLE;
    match qos {
        Qos::BestEffort => OOM_SCORE_BEST_EFFORT,
        Qos::Guaranteed => OOM_SCORE_GUARANTEED,
        Qos::Burstable => {
            let asked = resources.memory_request_bytes.or(resources.memory_limit_bytes).unwrap_or_default();
            let share = u128::from(asked) * 1000 / u128::from(memory_bytes.max(1));
            (1000 - i64::try_from(share).unwrap_or(1000)).clamp(least, most)
        }
    }
}

/// Who names a limit and no request asks for the limit (Kubernetes' rule).
fn cpu_request(resources: &Resources) -> Option<u64> {
    resources.cpu_request_milli.or(resources.cpu_limit_milli)
}

fn shares(milli: Option<u64>) -> u64 {
    milli.map_or(LEAST_SHARES, |milli| (milli.saturating_mul(SHARES_PER_CPU) / 1000).clamp(LEAST_SHARES, MOST_SHARES))
}

/// Shares as cpu.weight counts them, from 1 to 10,000 (as runc converts them for containers).
fn weight(shares: u64) -> u64 {
    1 + (shares - LEAST_SHARES) * 9999 / (MOST_SHARES - LEAST_SHARES)
}

/// Thousandths of a CPU are hundreds of microseconds of a period.
fn quota_us(milli: u64) -> u64 {
    milli.saturating_mul(PERIOD_US / 1000).max(LEAST_QUOTA_US)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pods::manifest;

    fn spec(resources: &[&str]) -> Spec {
        let container =
            |(index, resources): (usize, &&str)| format!("{{name: c{index}, image: x, resources: {{{resources}}}}}");
        let containers: Vec<String> = resources.iter().enumerate().map(container).collect();
        let text = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: a}}, spec: {{containers: [{}]}}}}",
            containers.join(", ")
        );
        manifest::parse("a.yaml", &text).unwrap().spec
    }

    #[test]
    fn limits_are_reported_in_the_kernels_terms() {
        let of = |resources: &str| {
            let spec = spec(&[resources]);
            let limits = limits(&spec.containers[0], spec.qos(), 1 << 30);
            (limits.cpu_quota_us, limits.cpu_shares, limits.memory_bytes, limits.oom_score_adj)
        };
        for (resources, expected) in [
            ("", (0, 2, 0, 1000)),
            ("requests: {cpu: 250m, memory: 512Mi}", (0, 256, 0, 500)),
            ("requests: {cpu: 250m}", (0, 256, 0, 999)),
            ("requests: {memory: 2Gi}", (0, 2, 0, 3)),
            ("limits: {cpu: 500m, memory: 64Mi}", (50_000, 512, 64 << 20, -997)),
            ("limits: {cpu: 1m}", (1000, 2, 0, 999)),
            ("requests: {cpu: 1000}", (0, 262_144, 0, 999)),
            ("limits: {cpu: 0, memory: 0}", (0, 2, 0, 1000)),
        ] {
            assert_eq!(of(resources), expected, "{resources}");
        }
    }

    #[test]
    fn a_pod_has_the_limits_that_all_its_containers_have() {
        let of = |resources: &[&str]| {
            pod_limits(&spec(resources)).iter().map(|(file, value)| format!("{file}={value}")).collect::<Vec<_>>()
        };
        assert_eq!(of(&[""]), ["cpu.weight=1"]);
        assert_eq!(of(&["requests: {cpu: 1}", ""]), ["cpu.weight=39"]);
        let all = ["cpu.weight=59", "cpu.max=150000 100000", "memory.max=201326592"];
        assert_eq!(of(&["limits: {cpu: 1, memory: 128Mi}", "limits: {cpu: 500m, memory: 64Mi}"]), all);
        assert_eq!(of(&["limits: {memory: 1Mi}", "limits: {cpu: 1}"]), ["cpu.weight=39"]);
        // 0 is no limit, and sums have an end.
        assert_eq!(of(&["limits: {cpu: 0, memory: 0}"]), ["cpu.weight=1"]);
        assert_eq!(of(&["limits: {cpu: 1, memory: 1Mi}", "limits: {cpu: 0, memory: 0}"]), ["cpu.weight=39"]);
        let most = format!("limits: {{memory: {}}}", u64::MAX);
        assert_eq!(of(&[&most, &most]), ["cpu.weight=1".to_owned(), format!("memory.max={}", u64::MAX)]);
    }
}
