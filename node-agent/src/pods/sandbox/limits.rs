//! From a container's needs to the kernel's limits.

use crate::{clients::cri::Resources as Limits, pods::model::Resources};

/// The kernel kills a pod that named no needs first, one that did next, and the node's own services last
/// (the kubelet's values for its lowest class, and a middle one).
const OOM_SCORE_UNNAMED: i64 = 1000;
const OOM_SCORE_NAMED: i64 = 500;

/// CPU shares of one whole CPU, and the least there can be (kernel: cpu.shares).
const SHARES_PER_CPU: u64 = 1024;
const LEAST_SHARES: u64 = 2;

pub(super) fn limits(resources: &Resources) -> Limits {
    let number = |amount: u64| i64::try_from(amount).unwrap_or(i64::MAX);
    // Who names a limit and no request asks for the limit (Kubernetes' rule).
    let cpu_request = resources.cpu_request_milli.or(resources.cpu_limit_milli);
    let shares = cpu_request.map_or(LEAST_SHARES, |milli| (milli * SHARES_PER_CPU / 1000).max(LEAST_SHARES));
    let named = resources.memory_request_bytes.or(resources.memory_limit_bytes).is_some();
    Limits {
        // Thousandths of a CPU are hundreds of microseconds per 100 ms.
        cpu_quota_us: resources.cpu_limit_milli.map_or(0, |milli| number((milli * 100).max(1000))),
        cpu_shares: number(shares),
        memory_bytes: resources.memory_limit_bytes.map_or(0, number),
        oom_score_adj: if named { OOM_SCORE_NAMED } else { OOM_SCORE_UNNAMED },
        pids: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_reported_in_the_kernels_terms() {
        let resources = Resources {
            cpu_limit_milli: Some(500),
            cpu_request_milli: Some(250),
            memory_limit_bytes: Some(64 << 20),
            memory_request_bytes: None,
            ..Resources::default()
        };
        let expected = Limits {
            cpu_quota_us: 50_000,
            cpu_shares: 256,
            memory_bytes: 64 << 20,
            oom_score_adj: OOM_SCORE_NAMED,
            pids: 0,
        };
        assert_eq!(limits(&resources), expected);
        let none =
            Limits { cpu_quota_us: 0, cpu_shares: 2, memory_bytes: 0, oom_score_adj: OOM_SCORE_UNNAMED, pids: 0 };
        assert_eq!(limits(&Resources::default()), none);
    }
}
