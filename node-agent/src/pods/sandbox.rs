//! From a pod to what the runtime is asked for; and the marks by which we know our own again.

use std::{collections::BTreeMap, time::Duration};

use super::model::{Container, Key, Pod, Propagation, Resolver, Resources, Seccomp};
use crate::clients::cri::{
    ContainerSpec, Dns, MountPropagation, MountSpec, Namespaces, PidNamespace, Resources as Limits, SandboxSpec,
};

/// What bears this label is ours to keep or to remove.
pub(super) const MANAGED: (&str, &str) = ("os.ballast.dev/managed", "true");

pub(super) const SOURCE: &str = "os.ballast.dev/source";
pub(super) const MANIFEST: &str = "os.ballast.dev/manifest";
pub(super) const GRACE: &str = "os.ballast.dev/grace-seconds";
pub(super) const CRASHES: &str = "os.ballast.dev/crashes";
pub(super) const BOOT: &str = "os.ballast.dev/boot";

/// Pods lie in a control group of their own, beside systemd's, as the kubelet's do with its cgroupfs driver.
const CGROUP: &str = "/ballast-pods";

/// The kernel kills a pod that named no needs first, one that did next, and the node's own services last
/// (the kubelet's values for its lowest class, and a middle one).
const OOM_SCORE_UNNAMED: i64 = 1000;
const OOM_SCORE_NAMED: i64 = 500;

/// CPU shares of one whole CPU, and the least there can be (kernel: cpu.shares).
const SHARES_PER_CPU: u64 = 1024;
const LEAST_SHARES: u64 = 2;

/// The one capability of containerd's usual ones that a pod has only if it asks for it.
const RAW_SOCKETS: &str = "NET_RAW";

/// Where the logs of all pods go.
pub(super) const LOGS: &str = "/var/log/pods";

/// Where the emptyDir volumes of all pods lie.
pub(super) const VOLUMES: &str = "/var/lib/ballast/volumes";

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

/// `resolver` is only asked for when the sandbox is made.
pub(super) fn spec(pod: &Pod, attempt: u32, resolver: Option<Resolver>) -> SandboxSpec {
    let spec = &pod.spec;
    let mut annotations = spec.annotations.clone();
    annotations.insert(SOURCE.to_owned(), pod.source.clone());
    annotations.insert(MANIFEST.to_owned(), pod.text.clone());
    annotations.insert(GRACE.to_owned(), spec.grace.as_secs().to_string());
    SandboxSpec {
        name: spec.key.name.clone(),
        namespace: spec.key.namespace.clone(),
        uid: pod.uid.clone(),
        attempt,
        // A host name has at most 63 letters; the kubelet cuts it there too.
        hostname: if spec.host_network {
            String::new()
        } else {
            hostname(spec.hostname.as_deref().unwrap_or(&spec.key.name))
        },
        log_directory: log_folder(pod),
        labels: labels(pod),
        annotations,
        cgroup_parent: CGROUP.to_owned(),
        dns: resolver.map(|Resolver { servers, searches, options }| Dns { servers, searches, options }),
        namespaces: namespaces(pod),
        privileged: spec.containers.iter().any(|container| container.privileged),
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

fn hostname(name: &str) -> String {
    name.get(..63).unwrap_or(name).trim_end_matches(['-', '.']).to_owned()
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

/// Which run of a container it is.
pub(super) struct Run<'a> {
    /// How many there were before.
    pub(super) attempt: u32,
    /// How many of them in a row ended soon, in this boot.
    pub(super) crashes: u32,
    /// The boot that it is in.
    pub(super) boot: &'a str,
    /// What the runtime knows its image by.
    pub(super) image: &'a str,
    /// What is known only now, by its name in [`LATE`](super::model::LATE).
    pub(super) late: &'a BTreeMap<&'static str, String>,
}

/// `volumes` are the paths on the host, by the volumes' names; `pids_limit` is the settings'.
pub(super) fn container(
    pod: &Pod,
    container: &Container,
    run: &Run<'_>,
    volumes: &BTreeMap<String, String>,
    pids_limit: Option<u32>,
) -> ContainerSpec {
    let mut labels = labels(pod);
    labels.insert("io.kubernetes.container.name".to_owned(), container.name.clone());
    let mounts = container.mounts.iter().filter_map(|mount| {
        let host_path = volumes.get(&mount.volume)?.clone();
        let propagation = mount.propagation.map(|propagation| match propagation {
            Propagation::HostToContainer => MountPropagation::HostToContainer,
            Propagation::Bidirectional => MountPropagation::Bidirectional,
        });
        Some(MountSpec { container_path: mount.path.clone(), host_path, read_only: mount.read_only, propagation })
    });
    let known = |text: &String| known(text, run.late);
    ContainerSpec {
        name: container.name.clone(),
        attempt: run.attempt,
        image: run.image.to_owned(),
        command: container.command.iter().map(known).collect(),
        args: container.args.iter().map(known).collect(),
        working_dir: container.working_dir.clone(),
        env: container.env.iter().map(|(name, value)| (name.clone(), known(value))).collect(),
        mounts: mounts.collect(),
        labels,
        annotations: BTreeMap::from([
            (CRASHES.to_owned(), run.crashes.to_string()),
            (BOOT.to_owned(), run.boot.to_owned()),
        ]),
        log_path: format!("{}/{}.log", container.name, run.attempt),
        privileged: container.privileged,
        run_as_user: container.run_as_user,
        run_as_group: container.run_as_group,
        supplemental_groups: pod.spec.supplemental_groups.clone(),
        read_only_root: container.read_only_root,
        no_new_privileges: container.no_new_privileges,
        add_capabilities: container.capabilities.add.clone(),
        drop_capabilities: dropped(container),
        is_unconfined: container.seccomp.map_or(container.privileged, |profile| profile == Seccomp::Unconfined),
        stdin: container.stdin,
        stdin_once: container.stdin_once,
        tty: container.tty,
        namespaces: namespaces(pod),
        resources: Limits { pids: pids_limit.unwrap_or_default(), ..limits(&container.resources) },
    }
}

/// Whether something of a container is known only when it is made.
pub(super) fn has_late(container: &Container) -> bool {
    let texts = container.command.iter().chain(&container.args).chain(container.env.iter().map(|(_, value)| value));
    texts.into_iter().any(|text| text.contains('\0'))
}

/// `text` with what is known now.
fn known(text: &str, late: &BTreeMap<&'static str, String>) -> String {
    late.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&super::model::late(name), value))
}

/// What the manifest says, and NET_RAW: with it a container forges what others of its network get from the node (ARP, router
/// advertisements, DNS). Who needs it asks for it; ping does not.
fn dropped(container: &Container) -> Vec<String> {
    let mut dropped = container.capabilities.drop.clone();
    let is_said = |names: &[String]| names.iter().any(|name| name == "ALL" || name == RAW_SOCKETS);
    if !container.privileged && !is_said(&dropped) && !is_said(&container.capabilities.add) {
        dropped.push(RAW_SOCKETS.to_owned());
    }
    dropped
}

fn limits(resources: &Resources) -> Limits {
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

/// How many runs in a row ended soon, by a container's annotations. What was counted in another boot than `boot` counts no more: the end
/// of a node is no crash of its pods (the kubelet forgets its back-off over a reboot as well).
pub(super) fn crashes(annotations: &BTreeMap<String, String>, boot: &str) -> u32 {
    let count = || annotations.get(CRASHES)?.parse().ok();
    let is_of_this_boot = annotations.get(BOOT).is_some_and(|its| its == boot);
    if is_of_this_boot { count().unwrap_or(0) } else { 0 }
}

/// The grace period in a sandbox's annotations.
pub(super) fn grace(annotations: &BTreeMap<String, String>) -> Duration {
    let secs = annotations.get(GRACE).and_then(|secs| secs.parse().ok());
    Duration::from_secs(secs.unwrap_or(30))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pods::model::Capabilities;

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

    #[test]
    fn raw_sockets_are_for_who_asks_for_them() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        type Names = &'static [&'static str];
        let table: [(bool, Names, Names, Names); 6] = [
            (false, &[], &[], &["NET_RAW"]),
            (false, &["NET_ADMIN"], &["CHOWN"], &["CHOWN", "NET_RAW"]),
            (false, &["NET_RAW"], &[], &[]),
            (false, &["ALL"], &[], &[]),
            (false, &["NET_BIND_SERVICE"], &["ALL"], &["ALL"]),
            (true, &[], &[], &[]),
        ];
        for (privileged, add, drop, expected) in table {
            let capabilities = Capabilities { add: names(add), drop: names(drop) };
            let container = Container { privileged, capabilities, ..container_of_tests() };
            assert_eq!(dropped(&container), expected, "{add:?} {drop:?}");
        }
    }

    fn container_of_tests() -> Container {
        let text = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: a, image: a}]}}";
        super::super::manifest::parse("a.yaml", text).unwrap().spec.containers.remove(0)
    }

    #[test]
    fn crashes_are_counted_within_a_boot() {
        let annotations =
            |boot: &str| [(CRASHES, "4"), (BOOT, boot)].map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        assert_eq!(crashes(&annotations("this"), "this"), 4);
        assert_eq!(crashes(&annotations("another"), "this"), 0);
        assert_eq!(crashes(&BTreeMap::new(), "this"), 0);
    }

    #[test]
    fn a_long_pod_name_makes_a_valid_host_name() {
        assert_eq!(hostname("web"), "web");
        assert_eq!(hostname(&format!("{}-b", "a".repeat(62))), "a".repeat(62));
    }

    #[test]
    fn what_is_known_late_is_put_in_where_it_stands() {
        let late = BTreeMap::from([("spec.nodeName", "node-1".to_owned()), ("status.podIP", "10.88.0.5".to_owned())]);
        let text = format!(
            "{}:80 on {}",
            super::super::model::late("status.podIP"),
            super::super::model::late("spec.nodeName")
        );
        assert_eq!(known(&text, &late), "10.88.0.5:80 on node-1");
        assert_eq!(known("plain", &late), "plain");
    }
}
