//! From the status and the releases to metrics: a pure function. Names and labels are an interface: add, do not rename.

use super::text::{Kind, Text};
use crate::report::{
    releases::Releases,
    status::{Cluster, Container, Kubelet, Pod, Status},
};

/// The states of a membership, as the status has them.
const MEMBERSHIPS: [&str; 6] = ["off", "waiting-for-clock", "joining", "connected", "unreachable", "refused"];

/// The phases of a pod, as the status has them.
const PHASES: [&str; 4] = ["Pending", "Running", "Succeeded", "Failed"];

/// A number that each cluster has: name, kind, help, and where it is.
type Number = (&'static str, Kind, &'static str, fn(&Cluster) -> Option<u64>);

/// What the agent itself takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own {
    pub(super) resident_bytes: u64,
    pub(super) cpu_us: u64,
}

/// The page.
pub(super) fn text(status: &Status, releases: &Releases, own: Option<Own>) -> String {
    let mut text = Text::default();
    node(&mut text, status);
    boot(&mut text, status);
    upgrades(&mut text, releases);
    runtime(&mut text, status);
    pods(&mut text, status);
    disk(&mut text, status);
    clusters(&mut text, &status.clusters);
    kubelet(&mut text, status.kubelet.as_ref());
    if let Some(own) = own {
        let bytes = own.resident_bytes;
        text.family("process_resident_memory_bytes", Kind::Gauge, "Memory that the agent takes.").sample(&[], bytes);
        let secs = secs(own.cpu_us / 1000);
        text.family("process_cpu_seconds_total", Kind::Counter, "CPU time that the agent took.").sample(&[], secs);
    }
    text.finish()
}

fn node(text: &mut Text, status: &Status) {
    let os = &status.os;
    let labels = [
        ("os", &*os.id),
        ("version", &*os.version),
        ("digest", os.digest.as_deref().unwrap_or_default()),
        ("hostname", &*status.node.hostname),
        ("machine_id", &*status.node.machine_id),
    ];
    text.family("ballast_info", Kind::Gauge, "The node and the release that runs; always 1.").sample(&labels, 1);
    text.family("ballast_ready", Kind::Gauge, "Whether the node is ready.").sample(&[], u8::from(status.ready));
    let reasons = status.reasons.len();
    text.family("ballast_reasons", Kind::Gauge, "How many things are wrong; ballast status names them.")
        .sample(&[], reasons);
    let problems = status.settings.problems.len();
    text.family("ballast_settings_problems", Kind::Gauge, "How many things in the settings do not apply.")
        .sample(&[], problems);
}

fn boot(text: &mut Text, status: &Status) {
    let boot = &status.boot;
    let parts = [
        ("kernel", boot.kernel_ms),
        ("initramfs", boot.initramfs_ms),
        ("userspace", boot.userspace_ms),
        ("ready", boot.ready_ms),
    ];
    let mut family = text.family(
        "ballast_boot_seconds",
        Kind::Gauge,
        "What each part of the boot took; ready is from its start to READY.",
    );
    for (part, ms) in parts {
        family.known(&[("part", part)], ms.map(secs));
    }
    text.family("ballast_boot_busy_seconds", Kind::Gauge, "CPU time of all processors up to READY.")
        .known(&[], boot.busy_ms.map(secs));
}

fn upgrades(text: &mut Text, releases: &Releases) {
    let mut family = text.family("ballast_release_info", Kind::Gauge, "The releases on the disk; always 1.");
    for one in &releases.releases {
        let is = |is: bool| if is { "true" } else { "false" };
        let labels = [
            ("version", &*one.version),
            ("digest", one.digest.as_deref().unwrap_or_default()),
            ("state", &*one.state),
            ("booted", is(one.booted)),
            ("next", is(one.next)),
            ("last_good", is(one.last_good)),
            ("pinned", is(one.pinned)),
        ];
        family.sample(&labels, 1);
    }
    let mut family =
        text.family("ballast_release_failed_timestamp_seconds", Kind::Gauge, "Releases that failed here, and when.");
    for failed in &releases.failed {
        family.sample(&[("version", &failed.version), ("digest", failed.digest.as_str())], failed.at);
    }
    let operation = releases.operation.as_ref();
    let mut family = text.family("ballast_operation_info", Kind::Gauge, "What is being done about releases; always 1.");
    if let Some(operation) = operation {
        family.sample(&[("command", &operation.command), ("phase", operation.progress.phase.name())], 1);
    }
    text.family("ballast_operation_fetched_bytes", Kind::Gauge, "Bytes that it fetched.")
        .known(&[], operation.map(|operation| operation.progress.fetched_bytes));
    text.family("ballast_operation_total_bytes", Kind::Gauge, "Bytes that it has to fetch.")
        .known(&[], operation.map(|operation| operation.progress.total_bytes));
}

fn runtime(text: &mut Text, status: &Status) {
    let runtime = &status.runtime;
    let labels = [("name", &*runtime.name), ("version", &*runtime.version)];
    text.family("ballast_runtime_info", Kind::Gauge, "The container runtime; always 1.").sample(&labels, 1);
    text.family("ballast_runtime_ready", Kind::Gauge, "Whether the container runtime is ready.")
        .sample(&[], u8::from(runtime.ready));
    text.family("ballast_runtime_restarts_total", Kind::Counter, "How often it was started again in this boot.")
        .sample(&[], runtime.restarts);
}

fn pods(text: &mut Text, status: &Status) {
    let mut family = text.family("ballast_pods", Kind::Gauge, "How many pods are in each phase.");
    for phase in PHASES {
        family.sample(&[("phase", phase)], status.pods.iter().filter(|pod| pod.phase == phase).count());
    }
    let mut family = text.family("ballast_pod_phase", Kind::Gauge, "The phase that each pod is in; always 1.");
    for pod in &status.pods {
        family.sample(&[("namespace", &pod.namespace), ("pod", &pod.name), ("phase", &pod.phase)], 1);
    }
    let mut family = text.family("ballast_pod_ready", Kind::Gauge, "Whether all containers of each pod are ready.");
    for pod in &status.pods {
        family.sample(&[("namespace", &pod.namespace), ("pod", &pod.name)], u8::from(pod.ready));
    }
    let mut family = text.family(
        "ballast_container_ready",
        Kind::Gauge,
        "Whether each container is ready; not those that come first.",
    );
    for (pod, container) in containers(status).filter(|(_, container)| container.role != "init") {
        let labels = [("namespace", &*pod.namespace), ("pod", &*pod.name), ("container", &*container.name)];
        family.sample(&labels, u8::from(container.ready));
    }
    let mut family = text.family(
        "ballast_container_last_exit_code",
        Kind::Gauge,
        "With which status the latest run of each container that ended, ended.",
    );
    for (pod, container) in containers(status) {
        let Some(ended) = container.ended.as_ref().or(container.last_ended.as_ref()) else { continue };
        let labels = [("namespace", &*pod.namespace), ("pod", &*pod.name), ("container", &*container.name)];
        family.sample(&labels, ended.exit_code);
    }
    let mut family =
        text.family("ballast_container_restarts_total", Kind::Counter, "How often each container was started again.");
    for (pod, container) in containers(status) {
        let labels = [("namespace", &*pod.namespace), ("pod", &*pod.name), ("container", &*container.name)];
        family.sample(&labels, container.restarts);
    }
}

fn containers(status: &Status) -> impl Iterator<Item = (&Pod, &Container)> {
    status.pods.iter().flat_map(|pod| pod.containers.iter().map(move |container| (pod, container)))
}

fn disk(text: &mut Text, status: &Status) {
    let disk = &status.disk;
    text.family("ballast_var_bytes", Kind::Gauge, "How large /var is.").sample(&[], disk.total_bytes);
    text.family("ballast_var_available_bytes", Kind::Gauge, "What pods may still use of /var.")
        .sample(&[], disk.available_bytes);
    text.family("ballast_disk_pressure", Kind::Gauge, "Whether /var is short of room.")
        .sample(&[], u8::from(disk.pressure));
    text.family("ballast_images_removed_total", Kind::Counter, "Images that were removed because nothing used them.")
        .sample(&[], disk.images_removed);
    text.family("ballast_evictions_total", Kind::Counter, "Pods that were ended because of what they took of /var.")
        .sample(&[], disk.evictions);
}

fn kubelet(text: &mut Text, kubelet: Option<&Kubelet>) {
    let mut family = text.family("ballast_kubelet_info", Kind::Gauge, "The kubelet that runs pods here; always 1.");
    if let Some(kubelet) = kubelet {
        let version = kubelet.version.as_deref().unwrap_or_default();
        let digest = kubelet.digest.as_deref().unwrap_or_default();
        family.sample(&[("version", version), ("digest", digest), ("state", &*kubelet.state)], 1);
    }
    text.family("ballast_kubelet_restarts_total", Kind::Counter, "How often the kubelet was restarted.")
        .known(&[], kubelet.map(|kubelet| kubelet.restarts));
    let mut family =
        text.family("ballast_kubelet_failed_timestamp_seconds", Kind::Gauge, "Kubelets that failed here, and when.");
    for failed in kubelet.iter().flat_map(|kubelet| &kubelet.failed) {
        family.sample(&[("version", &*failed.version), ("digest", &*failed.digest)], failed.at);
    }
}

fn clusters(text: &mut Text, clusters: &[Cluster]) {
    let mut family =
        text.family("ballast_cluster_state", Kind::Gauge, "1 for the state that a membership is in, else 0.");
    for one in clusters {
        for state in MEMBERSHIPS {
            let labels = [("cluster", &*one.name), ("role", &*one.role), ("state", state)];
            family.sample(&labels, u8::from(one.state == state));
        }
    }
    let mut family = text.family(
        "ballast_cluster_rollout_info",
        Kind::Gauge,
        "What the upgrade that the node's NodeOS asks for is at; always 1.",
    );
    for one in clusters {
        let phase = one.rollout.as_deref().and_then(|rollout| rollout.split(':').next());
        if let Some(phase) = phase {
            family.sample(&[("cluster", &one.name), ("phase", phase)], 1);
        }
    }
    let until = |one: &Cluster| one.certificate_until;
    let numbers: [Number; 5] = [
        (
            "ballast_cluster_certificate_until_timestamp_seconds",
            Kind::Gauge,
            "Until when the node's certificate holds there.",
            until,
        ),
        ("ballast_cluster_requests_total", Kind::Counter, "Requests that were sent.", |one| Some(one.traffic.requests)),
        (
            "ballast_cluster_request_errors_total",
            Kind::Counter,
            "Requests that were answered by an error, or not at all.",
            |one| Some(one.traffic.errors),
        ),
        ("ballast_cluster_sent_bytes_total", Kind::Counter, "Bytes that were sent.", |one| {
            Some(one.traffic.bytes_sent)
        }),
        ("ballast_cluster_received_bytes_total", Kind::Counter, "Bytes that were received.", |one| {
            Some(one.traffic.bytes_received)
        }),
    ];
    for (name, kind, help, number) in numbers {
        let mut family = text.family(name, kind, help);
        for one in clusters {
            family.known(&[("cluster", &one.name)], number(one));
        }
    }
}

/// Milliseconds as Prometheus wants them: `4310` is `4.310`.
fn secs(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{
        boot::Boot,
        status::{Container, Pod, Traffic},
    };

    #[test]
    fn the_page_reports_what_the_status_reports() {
        let pod = Pod {
            name: "web".to_owned(),
            namespace: "default".to_owned(),
            phase: "Running".to_owned(),
            containers: vec![Container {
                name: "c".to_owned(),
                state: "running".to_owned(),
                restarts: 2,
                ..Container::default()
            }],
            ..Pod::default()
        };
        let cluster = Cluster {
            name: "prod".to_owned(),
            role: "node".to_owned(),
            state: "connected".to_owned(),
            rollout: Some("Draining: 3 pods are left".to_owned()),
            traffic: Traffic { requests: 7, ..Traffic::default() },
            ..Cluster::default()
        };
        let status = Status {
            ready: true,
            boot: Boot { ready_ms: Some(4310), ..Boot::default() },
            pods: vec![pod],
            clusters: vec![cluster],
            ..Status::default()
        };
        let page = text(&status, &Releases::default(), Some(Own { resident_bytes: 9 << 20, cpu_us: 1_234_567 }));
        for line in [
            "ballast_ready 1",
            "ballast_boot_seconds{part=\"ready\"} 4.310",
            "ballast_pods{phase=\"Running\"} 1",
            "ballast_pods{phase=\"Failed\"} 0",
            "ballast_container_restarts_total{namespace=\"default\",pod=\"web\",container=\"c\"} 2",
            "ballast_cluster_state{cluster=\"prod\",role=\"node\",state=\"connected\"} 1",
            "ballast_cluster_state{cluster=\"prod\",role=\"node\",state=\"unreachable\"} 0",
            "ballast_cluster_rollout_info{cluster=\"prod\",phase=\"Draining\"} 1",
            "ballast_cluster_requests_total{cluster=\"prod\"} 7",
            "process_resident_memory_bytes 9437184",
            "process_cpu_seconds_total 1.234",
        ] {
            assert!(page.lines().any(|reported| reported == line), "{line}\n{page}");
        }
        assert!(!page.contains("ballast_boot_seconds{part=\"kernel\"}") && !page.contains("ballast_operation_info{"));
    }

    #[test]
    fn each_name_is_explained_once() {
        let page = text(&Status::default(), &Releases::default(), None);
        let names: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let mut once = names.clone();
        once.sort_unstable();
        once.dedup();
        assert!(once.len() == names.len() && names.len() > 15, "{names:?}");
        for line in names {
            let (name, kind) = line.split_once(' ').unwrap();
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
        }
    }
}
