//! From a pod to what the runtime is asked for; and the marks by which we know our own again.

mod container;
pub(super) mod hosts;
mod limits;
pub(super) mod resolv_conf;

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

pub(super) use self::{
    container::{Places, Run, container, has_late},
    limits::pod_limits,
};
use super::model::{self, Key, Pod, Port, Resolver, Spec};
use crate::clients::cri::{Dns, Namespaces, PidNamespace, PortMapping, Protocol, SandboxSpec};

/// What bears this label is ours to keep or to remove.
pub(super) const MANAGED: (&str, &str) = ("os.ballast.dev/managed", "true");

pub(super) const SOURCE: &str = "os.ballast.dev/source";
pub(super) const MANIFEST: &str = "os.ballast.dev/manifest";
pub(super) const GRACE: &str = "os.ballast.dev/grace-seconds";
pub(super) const CRASHES: &str = "os.ballast.dev/crashes";
pub(super) const BOOT: &str = "os.ballast.dev/boot";
pub(super) const SINCE: &str = "os.ballast.dev/since";
pub(super) const TERMINATION_MESSAGE: &str = "os.ballast.dev/termination-message";

/// Pods lie in a control group of their own, beside systemd's, as the kubelet's do with its cgroupfs driver.
const CGROUP: &str = "/ballast-pods";

/// Where the logs of all pods go.
pub(super) const LOGS: &str = "/var/log/pods";

/// Where the emptyDir volumes of all pods lie.
pub(super) const VOLUMES: &str = "/var/lib/ballast/volumes";

/// What of pods goes with a boot: what their manifests put into files, and what is mounted for them.
pub(super) const RUN: &str = "/run/ballast/pods";

/// The same of a version of a pod.
pub(super) fn run_folder(uid: &str) -> String {
    format!("{RUN}/{uid}")
}

/// The control group of a version of a pod.
pub(super) fn group(uid: &str) -> String {
    limits::group(uid)
}

/// Where the logs of a version of a pod go (the kubelet's layout, which log collectors know).
pub(super) fn log_folder(pod: &Pod) -> String {
    log_folder_of(&pod.spec.key, &pod.uid)
}

/// The same, by the pod's name and version.
pub(super) fn log_folder_of(key: &Key, uid: &str) -> String {
    format!("{LOGS}/{}_{}_{uid}", key.namespace, key.name)
}

/// Where the emptyDir volumes of a version of a pod lie.
pub(super) fn volumes_folder(uid: &str) -> String {
    format!("{VOLUMES}/{uid}")
}

/// `since` and `resolver` are only asked for when the sandbox is made.
pub(super) fn spec(pod: &Pod, attempt: u32, since: Option<SystemTime>, resolver: Option<Resolver>) -> SandboxSpec {
    let spec = &pod.spec;
    let mut annotations = spec.annotations.clone();
    annotations.insert(SOURCE.to_owned(), pod.source.clone());
    annotations.insert(MANIFEST.to_owned(), pod.text.clone());
    annotations.insert(GRACE.to_owned(), spec.grace.as_secs().to_string());
    if let Some(since) = since.and_then(|since| since.duration_since(SystemTime::UNIX_EPOCH).ok()) {
        annotations.insert(SINCE.to_owned(), since.as_secs().to_string());
    }
    SandboxSpec {
        name: spec.key.name.clone(),
        namespace: spec.key.namespace.clone(),
        uid: pod.uid.clone(),
        attempt,
        hostname: if spec.host_network { String::new() } else { hosts::sandbox_name(spec) },
        log_directory: log_folder(pod),
        labels: labels(pod),
        annotations,
        cgroup_parent: group(&pod.uid),
        dns: resolver.map(|Resolver { servers, searches, options }| Dns { servers, searches, options }),
        namespaces: namespaces(pod),
        privileged: spec.all_containers().any(|container| container.privileged),
        ports: if spec.host_network { Vec::new() } else { ports(spec) },
        sysctls: spec.sysctls.clone(),
        supplemental_groups: container::groups(spec),
    }
}

fn namespaces(pod: &Pod) -> Namespaces {
    let spec = &pod.spec;
    let pid = match (spec.host_pid, spec.share_pid) {
        (true, _) => PidNamespace::Host,
        (false, true) => PidNamespace::Pod,
        (false, false) => PidNamespace::Container,
    };
    Namespaces { host_network: spec.host_network, host_ipc: spec.host_ipc, pid }
}

fn ports(spec: &Spec) -> Vec<PortMapping> {
    let mapping = |port: &Port| {
        Some(PortMapping {
            protocol: match port.protocol {
                model::Protocol::Tcp => Protocol::Tcp,
                model::Protocol::Udp => Protocol::Udp,
                model::Protocol::Sctp => Protocol::Sctp,
            },
            container_port: port.number,
            host_port: port.host?,
            host_ip: port.host_ip.clone(),
        })
    };
    spec.all_containers().flat_map(|container| &container.host_ports).filter_map(mapping).collect()
}

fn labels(pod: &Pod) -> BTreeMap<String, String> {
    let mut labels = pod.spec.labels.clone();
    let own = [
        MANAGED,
        ("io.kubernetes.pod.name", &pod.spec.key.name),
        ("io.kubernetes.pod.namespace", &pod.spec.key.namespace),
        ("io.kubernetes.pod.uid", &pod.uid),
    ];
    labels.extend(own.map(|(key, value)| (key.to_owned(), value.to_owned())));
    labels
}

/// How many runs in a row ended soon, by a container's annotations. What was counted in another boot than `boot` counts no more: the end
/// of a node is no crash of its pods (the kubelet forgets its back-off over a reboot as well).
pub(super) fn crashes(annotations: &BTreeMap<String, String>, boot: &str) -> u32 {
    let count = || annotations.get(CRASHES)?.parse().ok();
    let is_of_this_boot = annotations.get(BOOT).is_some_and(|its| its == boot);
    if is_of_this_boot { count().unwrap_or(0) } else { 0 }
}

/// When the first sandbox of the pod was made, by the annotations of a later one.
pub(super) fn since(annotations: &BTreeMap<String, String>) -> Option<SystemTime> {
    let secs = annotations.get(SINCE)?.parse().ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(secs))
}

/// The grace period in a sandbox's annotations.
pub(super) fn grace(annotations: &BTreeMap<String, String>) -> Duration {
    let secs = annotations.get(GRACE).and_then(|secs| secs.parse().ok());
    Duration::from_secs(secs.unwrap_or(30))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crashes_are_counted_within_a_boot() {
        let annotations =
            |boot: &str| [(CRASHES, "4"), (BOOT, boot)].map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        assert_eq!(crashes(&annotations("this"), "this"), 4);
        assert_eq!(crashes(&annotations("another"), "this"), 0);
        assert_eq!(crashes(&BTreeMap::new(), "this"), 0);
    }
}
