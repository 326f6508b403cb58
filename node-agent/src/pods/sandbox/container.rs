//! From a container of a pod to what the runtime is asked for.

use std::{collections::BTreeMap, path::Path};

use super::{BOOT, CRASHES, TERMINATION_MESSAGE, labels, limits::limits, namespaces};
use crate::{
    clients::cri::{ContainerSpec, ImageUser, MountPropagation, MountSpec, Resources as Limits, Seccomp},
    pods::model::{self, Container, Facts, Mount, Pod, Propagation, SECCOMP_PROFILES, Spec, Volume},
};

/// The one capability of containerd's usual ones that a pod has only if it asks for it.
const RAW_SOCKETS: &str = "NET_RAW";

/// Which run of a container it is.
pub(in crate::pods) struct Run<'a> {
    /// How many there were before.
    pub(in crate::pods) attempt: u32,
    /// How many of them in a row ended soon, in this boot.
    pub(in crate::pods) crashes: u32,
    /// The boot that it is in.
    pub(in crate::pods) boot: &'a str,
    /// What the runtime knows its image by.
    pub(in crate::pods) image: &'a str,
    /// The file on the host that it may leave its termination message in.
    pub(in crate::pods) termination_message: &'a str,
    /// What is known only now.
    pub(in crate::pods) facts: &'a Facts,
    /// Who its image's programs run as, if that is needed.
    pub(in crate::pods) user: Option<ImageUser>,
}

/// Where on the host lies what a container sees.
#[derive(Debug, Default)]
pub(in crate::pods) struct Places {
    /// Volumes, by their names.
    pub(in crate::pods) volumes: BTreeMap<String, String>,
    /// Parts of volumes, by the paths that they have inside.
    pub(in crate::pods) parts: BTreeMap<String, String>,
    /// Its own /etc/hosts and /etc/resolv.conf, if they are others than the node's, by the paths that they have inside.
    pub(in crate::pods) files: BTreeMap<&'static str, String>,
}

/// `pids_limit` is the settings'.
pub(in crate::pods) fn container(
    pod: &Pod,
    container: &Container,
    run: &Run<'_>,
    places: &Places,
    pids_limit: Option<u32>,
) -> ContainerSpec {
    let mut labels = labels(pod);
    labels.insert("io.kubernetes.container.name".to_owned(), container.name.clone());
    let termination_message = has_termination_message(container).then(|| MountSpec {
        container_path: container.termination.path.clone(),
        host_path: run.termination_message.to_owned(),
        ..MountSpec::default()
    });
    let falls_back = if container.termination.falls_back_to_logs { "logs" } else { "file" };
    let known = |text: &String| run.facts.fill(text);
    let (user, username) = match &run.user {
        None => (container.run_as_user, String::new()),
        Some(ImageUser::Id(id)) => (Some(container.run_as_user.unwrap_or(*id)), String::new()),
        Some(ImageUser::Name(name)) => (None, name.clone()),
    };
    ContainerSpec {
        name: container.name.clone(),
        attempt: run.attempt,
        image: run.image.to_owned(),
        command: container.command.iter().map(known).collect(),
        args: container.args.iter().map(known).collect(),
        working_dir: container.working_dir.clone(),
        env: container.env.iter().map(|(name, value)| (name.clone(), known(value))).collect(),
        mounts: mounts(pod, container, places).into_iter().chain(termination_message).collect(),
        labels,
        annotations: BTreeMap::from([
            (CRASHES.to_owned(), run.crashes.to_string()),
            (BOOT.to_owned(), run.boot.to_owned()),
            (TERMINATION_MESSAGE.to_owned(), falls_back.to_owned()),
        ]),
        log_path: format!("{}/{}.log", container.name, run.attempt),
        privileged: container.privileged,
        run_as_user: user,
        run_as_username: username,
        run_as_group: container.run_as_group,
        supplemental_groups: groups(&pod.spec),
        read_only_root: container.read_only_root,
        no_new_privileges: container.no_new_privileges,
        add_capabilities: container.capabilities.add.clone(),
        drop_capabilities: dropped(container),
        seccomp: seccomp(container),
        is_proc_unmasked: container.is_proc_unmasked,
        stdin: container.stdin,
        stdin_once: container.stdin_once,
        tty: container.tty,
        namespaces: namespaces(pod),
        resources: Limits {
            pids: pids_limit.unwrap_or_default(),
            ..limits(container, pod.spec.qos(), run.facts.memory_bytes)
        },
    }
}

/// Whether something of a container is known only when it is made.
pub(in crate::pods) fn has_late(container: &Container) -> bool {
    let texts = container.command.iter().chain(&container.args).chain(container.env.iter().map(|(_, value)| value));
    let parts = container.mounts.iter().filter_map(|mount| mount.sub_path.as_ref());
    texts.chain(parts).any(|text| model::has_late(text))
}

/// Whether there is a place for the file of its termination message: in a volume the runtime would have to make it, and it could not in one that is
/// read-only (the node's /dev above all). The container would not start.
fn has_termination_message(container: &Container) -> bool {
    let path = Path::new(&container.termination.path);
    !container.mounts.iter().any(|mount| path.starts_with(&mount.path))
}

/// Groups that all of a pod's processes are in.
pub(super) fn groups(spec: &Spec) -> Vec<i64> {
    let fs_group = spec.fs_group.filter(|group| !spec.supplemental_groups.contains(group));
    spec.supplemental_groups.iter().copied().chain(fs_group).collect()
}

fn mounts(pod: &Pod, container: &Container, places: &Places) -> Vec<MountSpec> {
    let mount = |mount: &Mount| {
        let place = match mount.sub_path {
            None => places.volumes.get(&mount.volume),
            Some(_) => places.parts.get(&mount.path),
        };
        let propagation = mount.propagation.map(|propagation| match propagation {
            Propagation::HostToContainer => MountPropagation::HostToContainer,
            Propagation::Bidirectional => MountPropagation::Bidirectional,
        });
        // What the manifest says no container changes.
        let is_said = matches!(pod.spec.volumes.get(&mount.volume), Some(Volume::Files { .. }));
        Some(MountSpec {
            container_path: mount.path.clone(),
            host_path: place?.clone(),
            read_only: mount.read_only || is_said,
            propagation,
        })
    };
    let is_mounted = |path: &str| container.mounts.iter().any(|mount| mount.path == path);
    let files = places.files.iter().filter(|(path, _)| !is_mounted(path)).map(|(path, host_path)| MountSpec {
        container_path: (*path).to_owned(),
        host_path: host_path.clone(),
        // It lies in the node's memory, and all containers of the pod have it.
        read_only: true,
        ..MountSpec::default()
    });
    container.mounts.iter().filter_map(mount).chain(files).collect()
}

fn seccomp(container: &Container) -> Seccomp {
    match &container.seccomp {
        None if container.privileged => Seccomp::Unconfined,
        None | Some(model::Seccomp::RuntimeDefault) => Seccomp::RuntimeDefault,
        Some(model::Seccomp::Unconfined) => Seccomp::Unconfined,
        Some(model::Seccomp::Localhost(file)) => Seccomp::File(format!("{SECCOMP_PROFILES}/{file}")),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pods::{manifest, model::Capabilities};

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
        pod_of_tests("").spec.containers.remove(0)
    }

    fn pod_of_tests(fields: &str) -> Pod {
        let text = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: a}}, spec: {{volumes: [{{name: v, hostPath: {{path: /dev}}}}], containers: \
             [{{name: a, image: a{fields}}}]}}}}"
        );
        manifest::parse("a.yaml", &text).unwrap()
    }

    #[test]
    fn the_file_of_a_termination_message_is_made_in_no_volume() {
        let has = |fields: &str| has_termination_message(&pod_of_tests(fields).spec.containers[0]);
        assert!(has("") && has(", volumeMounts: [{name: v, mountPath: /devices}, {name: v, mountPath: /dev/shm}]"));
        assert!(!has(", volumeMounts: [{name: v, mountPath: /dev/, readOnly: true}]"));
        assert!(!has(", terminationMessagePath: /data/word, volumeMounts: [{name: v, mountPath: /data}]"));
    }

    #[test]
    fn no_container_writes_into_the_pods_hosts_and_resolv_conf() {
        let files = [("/etc/hosts", "/run/hosts".to_owned()), ("/etc/resolv.conf", "/run/resolv.conf".to_owned())];
        let volumes = [("v".to_owned(), "/dev".to_owned())].into();
        let places = Places { volumes, files: files.into(), ..Places::default() };
        let mounted = |fields: &str| {
            let pod = pod_of_tests(fields);
            let found = mounts(&pod, &pod.spec.containers[0], &places);
            found.into_iter().map(|mount| (mount.container_path, mount.read_only)).collect::<Vec<_>>()
        };
        assert_eq!(mounted(""), [("/etc/hosts".to_owned(), true), ("/etc/resolv.conf".to_owned(), true)]);
        // What the manifest mounts there stays.
        let own = mounted(", volumeMounts: [{name: v, mountPath: /etc/resolv.conf}]");
        assert_eq!(own, [("/etc/resolv.conf".to_owned(), false), ("/etc/hosts".to_owned(), true)]);
    }
}
