//! Between the plain data of the callers and the wire.

use std::time::{Duration, SystemTime};

use super::{ContainerSpec, ContainerState, ContainerStatus, Dns, Resources, Sandbox, SandboxSpec, wire};

/// Linux' default period for CPU quotas, in microseconds.
const CPU_PERIOD_US: i64 = 100_000;

/// What an ordinary container must not see of the kernel: the lists that containerd and the kubelet apply by default.
const MASKED_PATHS: [&str; 10] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
];
const READ_ONLY_PATHS: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

// NamespaceMode and ProfileType in api.proto.
const NAMESPACE_POD: i32 = 0;
const NAMESPACE_CONTAINER: i32 = 1;
const NAMESPACE_NODE: i32 = 2;
const PROFILE_RUNTIME_DEFAULT: i32 = 0;
const PROFILE_UNCONFINED: i32 = 1;

pub(super) fn sandbox_config(spec: &SandboxSpec) -> wire::PodSandboxConfig {
    let metadata = wire::PodSandboxMetadata {
        name: spec.name.clone(),
        uid: spec.uid.clone(),
        namespace: spec.namespace.clone(),
        attempt: spec.attempt,
    };
    let security_context = wire::LinuxSandboxSecurityContext {
        namespace_options: Some(namespaces(spec.host_network)),
        privileged: spec.privileged,
        seccomp: Some(seccomp(spec.privileged)),
    };
    wire::PodSandboxConfig {
        metadata: Some(metadata),
        hostname: spec.hostname.clone(),
        log_directory: spec.log_directory.clone(),
        dns_config: spec.dns.as_ref().filter(|dns| !dns.servers.is_empty()).map(dns_config),
        labels: spec.labels.clone(),
        annotations: spec.annotations.clone(),
        linux: Some(wire::LinuxPodSandboxConfig {
            cgroup_parent: spec.cgroup_parent.clone(),
            security_context: Some(security_context),
        }),
    }
}

fn dns_config(dns: &Dns) -> wire::DnsConfig {
    let Dns { servers, searches, options } = dns.clone();
    wire::DnsConfig { servers, searches, options }
}

pub(super) fn container_config(spec: &ContainerSpec, host_network: bool) -> wire::ContainerConfig {
    let mount = |mount: &super::MountSpec| wire::Mount {
        container_path: mount.container_path.clone(),
        host_path: mount.host_path.clone(),
        readonly: mount.read_only,
    };
    let hidden = |paths: &[&str]| match spec.privileged {
        true => Vec::new(),
        false => paths.iter().map(|path| (*path).to_owned()).collect(),
    };
    let security_context = wire::LinuxContainerSecurityContext {
        capabilities: Some(wire::Capability {
            add_capabilities: spec.add_capabilities.clone(),
            drop_capabilities: spec.drop_capabilities.clone(),
        }),
        privileged: spec.privileged,
        namespace_options: Some(namespaces(host_network)),
        run_as_user: spec.run_as_user.map(|value| wire::Int64Value { value }),
        readonly_rootfs: spec.read_only_root,
        masked_paths: hidden(&MASKED_PATHS),
        readonly_paths: hidden(&READ_ONLY_PATHS),
        seccomp: Some(seccomp(spec.privileged)),
    };
    let env = |(key, value): &(String, String)| wire::KeyValue { key: key.clone(), value: value.clone() };
    wire::ContainerConfig {
        metadata: Some(wire::ContainerMetadata { name: spec.name.clone(), attempt: spec.attempt }),
        image: Some(image_spec(&spec.image)),
        command: spec.command.clone(),
        args: spec.args.clone(),
        working_dir: spec.working_dir.clone(),
        envs: spec.env.iter().map(env).collect(),
        mounts: spec.mounts.iter().map(mount).collect(),
        labels: spec.labels.clone(),
        annotations: spec.annotations.clone(),
        log_path: spec.log_path.clone(),
        linux: Some(wire::LinuxContainerConfig {
            resources: Some(resources(spec.resources)),
            security_context: Some(security_context),
        }),
    }
}

fn resources(resources: Resources) -> wire::LinuxContainerResources {
    wire::LinuxContainerResources {
        cpu_period: if resources.cpu_quota_us > 0 { CPU_PERIOD_US } else { 0 },
        cpu_quota: resources.cpu_quota_us,
        cpu_shares: resources.cpu_shares,
        memory_limit_in_bytes: resources.memory_bytes,
        oom_score_adj: resources.oom_score_adj,
        unified: Some(resources.pids).filter(|pids| *pids > 0).map(pids_max).into_iter().collect(),
    }
}

/// For which the CRI has no field of its own.
fn pids_max(pids: u32) -> (String, String) {
    ("pids.max".to_owned(), pids.to_string())
}

pub(super) fn image_spec(image: &str) -> wire::ImageSpec {
    wire::ImageSpec { image: image.to_owned(), user_specified_image: image.to_owned() }
}

fn namespaces(host_network: bool) -> wire::NamespaceOption {
    wire::NamespaceOption {
        network: if host_network { NAMESPACE_NODE } else { NAMESPACE_POD },
        pid: NAMESPACE_CONTAINER,
        ipc: NAMESPACE_POD,
    }
}

fn seccomp(privileged: bool) -> wire::SecurityProfile {
    wire::SecurityProfile { profile_type: if privileged { PROFILE_UNCONFINED } else { PROFILE_RUNTIME_DEFAULT } }
}

pub(super) fn sandbox(sandbox: wire::PodSandbox) -> Sandbox {
    let metadata = sandbox.metadata.unwrap_or_default();
    Sandbox {
        id: sandbox.id,
        name: metadata.name,
        namespace: metadata.namespace,
        uid: metadata.uid,
        attempt: metadata.attempt,
        ready: sandbox.state == 0,
        created_at: time(sandbox.created_at).unwrap_or(SystemTime::UNIX_EPOCH),
        annotations: sandbox.annotations,
    }
}

pub(super) fn container(row: wire::Container, status: wire::ContainerStatus) -> ContainerStatus {
    let metadata = status.metadata.unwrap_or_default();
    ContainerStatus {
        id: row.id,
        sandbox_id: row.pod_sandbox_id,
        name: metadata.name,
        attempt: metadata.attempt,
        state: match status.state {
            0 => ContainerState::Created,
            1 => ContainerState::Running,
            2 => ContainerState::Exited,
            _ => ContainerState::Unknown,
        },
        started_at: time(status.started_at),
        finished_at: time(status.finished_at),
        exit_code: status.exit_code,
        reason: status.reason,
        message: status.message,
        image: row.image_ref,
        annotations: status.annotations,
    }
}

/// Nanoseconds since 1970, where 0 is "never".
fn time(nanos: i64) -> Option<SystemTime> {
    let nanos = u64::try_from(nanos).ok().filter(|nanos| *nanos > 0)?;
    Some(SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_and_negative_times_are_never() {
        for (nanos, expected) in [(0, None), (-1, None), (1_500_000_000, Some(Duration::from_millis(1500)))] {
            assert_eq!(time(nanos), expected.map(|after| SystemTime::UNIX_EPOCH + after), "{nanos}");
        }
    }

    #[test]
    fn only_a_privileged_container_sees_the_kernel_unmasked() {
        for privileged in [false, true] {
            let spec = ContainerSpec { privileged, ..ContainerSpec::default() };
            let security = container_config(&spec, false).linux.and_then(|linux| linux.security_context).unwrap();
            assert_eq!(security.masked_paths.is_empty(), privileged);
            assert_eq!(security.seccomp.unwrap().profile_type == PROFILE_UNCONFINED, privileged);
        }
    }
}
