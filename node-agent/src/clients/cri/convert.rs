//! Between the plain data of the callers and the wire.

use std::time::{Duration, SystemTime};

use super::{
    ContainerSpec, ContainerState, ContainerStatus, Dns, MountPropagation, Namespaces, PidNamespace, PortMapping,
    Protocol, Resources, Sandbox, SandboxSpec, Seccomp, wire,
};

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
const PROFILE_LOCALHOST: i32 = 2;

pub(super) fn sandbox_config(spec: &SandboxSpec) -> wire::PodSandboxConfig {
    let metadata = wire::PodSandboxMetadata {
        name: spec.name.clone(),
        uid: spec.uid.clone(),
        namespace: spec.namespace.clone(),
        attempt: spec.attempt,
    };
    let security_context = wire::LinuxSandboxSecurityContext {
        namespace_options: Some(namespaces(spec.namespaces)),
        supplemental_groups: spec.supplemental_groups.clone(),
        privileged: spec.privileged,
        seccomp: Some(seccomp(if spec.privileged { &Seccomp::Unconfined } else { &Seccomp::RuntimeDefault })),
    };
    wire::PodSandboxConfig {
        metadata: Some(metadata),
        hostname: spec.hostname.clone(),
        log_directory: spec.log_directory.clone(),
        port_mappings: spec.ports.iter().map(port_mapping).collect(),
        dns_config: spec.dns.as_ref().filter(|dns| !dns.servers.is_empty()).map(dns_config),
        labels: spec.labels.clone(),
        annotations: spec.annotations.clone(),
        linux: Some(wire::LinuxPodSandboxConfig {
            cgroup_parent: spec.cgroup_parent.clone(),
            security_context: Some(security_context),
            sysctls: spec.sysctls.clone(),
        }),
    }
}

fn port_mapping(port: &PortMapping) -> wire::PortMapping {
    wire::PortMapping {
        protocol: match port.protocol {
            Protocol::Tcp => 0,
            Protocol::Udp => 1,
            Protocol::Sctp => 2,
        },
        container_port: i32::from(port.container_port),
        host_port: i32::from(port.host_port),
        host_ip: port.host_ip.clone(),
    }
}

fn dns_config(dns: &Dns) -> wire::DnsConfig {
    let Dns { servers, searches, options } = dns.clone();
    wire::DnsConfig { servers, searches, options }
}

pub(super) fn container_config(spec: &ContainerSpec) -> wire::ContainerConfig {
    let mount = |mount: &super::MountSpec| wire::Mount {
        container_path: mount.container_path.clone(),
        host_path: mount.host_path.clone(),
        readonly: mount.read_only,
        propagation: match mount.propagation {
            None => 0,
            Some(MountPropagation::HostToContainer) => 1,
            Some(MountPropagation::Bidirectional) => 2,
        },
    };
    let hidden = |paths: &[&str]| match spec.privileged || spec.is_proc_unmasked {
        true => Vec::new(),
        false => paths.iter().map(|path| (*path).to_owned()).collect(),
    };
    let security_context = wire::LinuxContainerSecurityContext {
        capabilities: Some(wire::Capability {
            add_capabilities: spec.add_capabilities.clone(),
            drop_capabilities: spec.drop_capabilities.clone(),
        }),
        privileged: spec.privileged,
        namespace_options: Some(namespaces(spec.namespaces)),
        run_as_user: spec.run_as_user.map(|value| wire::Int64Value { value }),
        run_as_username: spec.run_as_username.clone(),
        run_as_group: spec.run_as_group.map(|value| wire::Int64Value { value }),
        supplemental_groups: spec.supplemental_groups.clone(),
        no_new_privs: spec.no_new_privileges,
        readonly_rootfs: spec.read_only_root,
        masked_paths: hidden(&MASKED_PATHS),
        readonly_paths: hidden(&READ_ONLY_PATHS),
        seccomp: Some(seccomp(&spec.seccomp)),
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
        stdin: spec.stdin,
        stdin_once: spec.stdin_once,
        tty: spec.tty,
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
        unified: unified(resources).map(|(file, value)| (file.to_owned(), value)).collect(),
    }
}

/// Files of the control group for which the CRI has no field of its own.
fn unified(resources: Resources) -> impl Iterator<Item = (&'static str, String)> {
    let pids = Some(resources.pids).filter(|pids| *pids > 0).map(|pids| ("pids.max", pids.to_string()));
    let together = resources.ends_together.then(|| ("memory.oom.group", "1".to_owned()));
    pids.into_iter().chain(together)
}

pub(super) fn image_spec(image: &str) -> wire::ImageSpec {
    wire::ImageSpec { image: image.to_owned(), user_specified_image: image.to_owned() }
}

fn namespaces(shared: Namespaces) -> wire::NamespaceOption {
    wire::NamespaceOption {
        network: if shared.host_network { NAMESPACE_NODE } else { NAMESPACE_POD },
        pid: match shared.pid {
            PidNamespace::Container => NAMESPACE_CONTAINER,
            PidNamespace::Pod => NAMESPACE_POD,
            PidNamespace::Host => NAMESPACE_NODE,
        },
        ipc: if shared.host_ipc { NAMESPACE_NODE } else { NAMESPACE_POD },
    }
}

fn seccomp(seccomp: &Seccomp) -> wire::SecurityProfile {
    let (profile_type, file) = match seccomp {
        Seccomp::RuntimeDefault => (PROFILE_RUNTIME_DEFAULT, ""),
        Seccomp::Unconfined => (PROFILE_UNCONFINED, ""),
        Seccomp::File(file) => (PROFILE_LOCALHOST, file.as_str()),
    };
    wire::SecurityProfile { profile_type, localhost_ref: file.to_owned() }
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
    use super::{super::MountSpec, *};

    #[test]
    fn zero_and_negative_times_are_never() {
        for (nanos, expected) in [(0, None), (-1, None), (1_500_000_000, Some(Duration::from_millis(1500)))] {
            assert_eq!(time(nanos), expected.map(|after| SystemTime::UNIX_EPOCH + after), "{nanos}");
        }
    }

    #[test]
    fn what_a_container_shares_and_may_do_is_reported_in_the_cris_numbers() {
        let mount = |propagation| MountSpec { propagation, ..MountSpec::default() };
        let shared = [MountPropagation::HostToContainer, MountPropagation::Bidirectional].map(|one| mount(Some(one)));
        let spec = ContainerSpec {
            mounts: [mount(None)].into_iter().chain(shared).collect(),
            run_as_user: Some(1),
            run_as_group: Some(2),
            supplemental_groups: vec![3],
            no_new_privileges: true,
            add_capabilities: vec!["NET_ADMIN".to_owned()],
            drop_capabilities: vec!["ALL".to_owned()],
            namespaces: Namespaces { host_network: true, host_ipc: true, pid: PidNamespace::Host },
            ..ContainerSpec::default()
        };
        let config = container_config(&spec);
        assert_eq!(config.mounts.iter().map(|mount| mount.propagation).collect::<Vec<_>>(), [0, 1, 2]);
        let security = config.linux.and_then(|linux| linux.security_context).unwrap();
        let ids = (security.run_as_user.unwrap().value, security.run_as_group.unwrap().value);
        assert_eq!((ids, security.supplemental_groups, security.no_new_privs), ((1, 2), vec![3], true));
        let capabilities = security.capabilities.unwrap();
        assert_eq!(
            (capabilities.add_capabilities.join(" "), capabilities.drop_capabilities.join(" ")),
            ("NET_ADMIN".to_owned(), "ALL".to_owned())
        );
        for (pid, expected) in [
            (PidNamespace::Container, NAMESPACE_CONTAINER),
            (PidNamespace::Pod, NAMESPACE_POD),
            (PidNamespace::Host, NAMESPACE_NODE),
        ] {
            let found = namespaces(Namespaces { pid, ..Namespaces::default() });
            assert_eq!((found.network, found.ipc, found.pid), (NAMESPACE_POD, NAMESPACE_POD, expected));
        }
        let host = namespaces(spec.namespaces);
        assert_eq!((host.network, host.ipc, host.pid), (NAMESPACE_NODE, NAMESPACE_NODE, NAMESPACE_NODE));
    }

    #[test]
    fn only_a_privileged_container_sees_the_kernel_unmasked() {
        for privileged in [false, true] {
            let seccomp = if privileged { Seccomp::Unconfined } else { Seccomp::RuntimeDefault };
            let spec = ContainerSpec { privileged, seccomp, ..ContainerSpec::default() };
            let security = container_config(&spec).linux.and_then(|linux| linux.security_context).unwrap();
            assert_eq!(security.masked_paths.is_empty(), privileged);
            assert_eq!(security.seccomp.unwrap().profile_type == PROFILE_UNCONFINED, privileged);
        }
        let seccomp = Seccomp::File("/p.json".to_owned());
        let spec = ContainerSpec { is_proc_unmasked: true, seccomp, ..ContainerSpec::default() };
        let security = container_config(&spec).linux.and_then(|linux| linux.security_context).unwrap();
        let profile = security.seccomp.unwrap();
        assert_eq!((profile.profile_type, profile.localhost_ref.as_str()), (PROFILE_LOCALHOST, "/p.json"));
        assert!(security.masked_paths.is_empty() && security.readonly_paths.is_empty());
    }
}
