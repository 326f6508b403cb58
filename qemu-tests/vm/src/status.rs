//! `ballast status --json` as the issue writes it down: read strictly, so that a missing key is a failure.

use serde::Deserialize;

/// The whole report.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "the keys are the agent's, documented in docs/reference/status.md")]
pub struct Status {
    pub os: Os,
    pub ready: bool,
    pub reasons: Vec<String>,
    pub boot: Boot,
    pub node: NodeIdentity,
    pub deployments: Vec<Deployment>,
    pub runtime: Runtime,
    pub pods: Vec<Pod>,
    pub clusters: Vec<Cluster>,
    #[serde(default)]
    pub kubelet: Option<Kubelet>,
    pub settings: Settings,
}

/// The kubelet, on a node with one.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "see Status")]
pub struct Kubelet {
    pub version: Option<String>,
    pub digest: Option<String>,
    pub state: String,
    pub restarts: u32,
    pub failed: Vec<FailedKubelet>,
}

/// A version that failed.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "see Status")]
pub struct FailedKubelet {
    pub version: String,
    pub digest: String,
    pub reason: String,
    pub at: u64,
}

/// A cluster that the node belongs to, and how that stands.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "see Status")]
pub struct Cluster {
    pub name: String,
    pub role: String,
    pub state: String,
    pub server: Option<String>,
    pub since: Option<u64>,
    pub reason: Option<String>,
    pub certificate_until: Option<u64>,
}

/// What the operator wants of the node, as far as it is reported: not the values.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "see Status")]
pub struct Settings {
    pub sources: Vec<Source>,
    pub problems: Vec<Problem>,
    #[serde(default)]
    pub notes: Vec<Problem>,
    pub trial: Option<Trial>,
}

/// Where settings come from.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "see Status")]
pub struct Source {
    pub name: String,
    pub rank: String,
    pub at: Option<u64>,
}

/// What in a source does not apply.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "see Status")]
pub struct Problem {
    pub key: Option<String>,
    pub r#where: String,
    pub reason: String,
}

/// Settings that are taken back unless somebody confirms them.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "see Status")]
pub struct Trial {
    pub until_s: u64,
    pub left_s: u64,
}

/// The release that is booted.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "see Status")]
pub struct Os {
    pub id: String,
    pub version: String,
    pub commit: Option<String>,
    pub digest: Option<String>,
}

/// Where the time of the boot went.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "see Status")]
pub struct Boot {
    pub kernel_ms: u64,
    pub initramfs_ms: u64,
    pub userspace_ms: u64,
    pub ready_ms: u64,
    pub busy_ms: u64,
}

/// Who this node is.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "see Status")]
pub struct NodeIdentity {
    pub hostname: String,
    pub machine_id: String,
}

/// A release on the disk.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "see Status")]
pub struct Deployment {
    pub version: String,
    pub commit: String,
    pub digest: Option<String>,
    pub booted: bool,
    pub next: bool,
    pub state: String,
}

/// containerd.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "see Status")]
pub struct Runtime {
    pub name: String,
    pub version: String,
    pub ready: bool,
    pub restarts: u32,
}

/// A pod and its containers.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "see Status")]
pub struct Pod {
    pub name: String,
    pub phase: String,
    pub containers: Vec<Container>,
}

/// A container of a pod.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "see Status")]
pub struct Container {
    pub name: String,
    pub state: String,
    pub restarts: u32,
    pub ended: Option<Ended>,
}

/// How the latest run of a container ended.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "see Status")]
pub struct Ended {
    pub exit_code: i32,
    pub reason: String,
    pub message: String,
}

impl Status {
    /// The pod called `name`, in whatever namespace.
    pub fn pod(&self, name: &str) -> Option<&Pod> {
        self.pods.iter().find(|pod| pod.name == name)
    }

    /// How it stands with the cluster `name`.
    pub fn cluster(&self, name: &str) -> Option<&Cluster> {
        self.clusters.iter().find(|cluster| cluster.name == name)
    }

    /// Whether the cluster `name` answers.
    pub fn is_connected(&self, name: &str) -> bool {
        self.cluster(name).is_some_and(|cluster| cluster.state == "connected")
    }

    /// What is wrong with the setting `key`: where, and why.
    pub fn problem(&self, key: &str) -> Option<&Problem> {
        self.settings.problems.iter().find(|problem| problem.key.as_deref() == Some(key))
    }

    /// Whether the pod called `name` runs with all its containers.
    pub fn runs(&self, name: &str) -> bool {
        self.pod(name).is_some_and(|pod| {
            pod.phase == "Running" && pod.containers.iter().all(|container| container.state == "running")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_the_issue_are_read() {
        let status: Status = serde_json::from_value(serde_json::json!({
            "os": {"id": "ballast", "version": "20261121.1", "commit": "00", "digest": null},
            "ready": true, "reasons": [],
            "boot": {"kernel_ms": 1, "initramfs_ms": 2, "userspace_ms": 3, "ready_ms": 6, "busy_ms": 5, "steps": []},
            "node": {"hostname": "n", "machine_id": "m"},
            "deployments": [{"version": "1", "commit": "00", "digest": null, "booted": true, "next": true, "state": "trial"}],
            "runtime": {"name": "containerd", "version": "2", "ready": true, "restarts": 0},
            "pods": [{"name": "canary", "namespace": "ballast", "phase": "Running",
                      "containers": [{"name": "canary", "state": "running", "restarts": 0}]}],
            "clusters": [{"name": "prod", "role": "node", "state": "unreachable", "server": null, "since": 7, "reason": "refused",
                          "certificate_until": null}],
            "settings": {"sources": [{"name": "credential ballast.settings", "rank": "credential", "at": null}], "trial": null,
                         "problems": [{"key": "a.b", "where": "c:1:2", "reason": "is unknown"}]}
        }))
        .unwrap();
        assert!(status.runs("canary"));
        assert!(!status.runs("other"));
        assert_eq!(status.cluster("prod").unwrap().since, Some(7));
        assert!(!status.is_connected("prod"));
        assert_eq!(status.problem("a.b").unwrap().r#where, "c:1:2");
        assert!(status.problem("a.c").is_none() && status.settings.trial.is_none());
    }
}
