//! From a container of a pod to what the runtime is asked for.

use std::collections::BTreeMap;

use super::{BOOT, CRASHES, LAST_WORD, labels, limits::limits, namespaces};
use crate::{
    clients::cri::{ContainerSpec, MountPropagation, MountSpec, Resources as Limits},
    pods::model::{self, Container, Pod, Propagation, Seccomp},
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
    /// The file on the host that it may leave its last word in.
    pub(in crate::pods) last_word: &'a str,
    /// What is known only now, by its name in [`LATE`](crate::pods::model::LATE).
    pub(in crate::pods) late: &'a BTreeMap<&'static str, String>,
}

/// `volumes` are the paths on the host, by the volumes' names; `pids_limit` is the settings'.
pub(in crate::pods) fn container(
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
    let last_word = MountSpec {
        container_path: container.termination.path.clone(),
        host_path: run.last_word.to_owned(),
        ..MountSpec::default()
    };
    let falls_back = if container.termination.falls_back_to_logs { "logs" } else { "file" };
    let known = |text: &String| known(text, run.late);
    ContainerSpec {
        name: container.name.clone(),
        attempt: run.attempt,
        image: run.image.to_owned(),
        command: container.command.iter().map(known).collect(),
        args: container.args.iter().map(known).collect(),
        working_dir: container.working_dir.clone(),
        env: container.env.iter().map(|(name, value)| (name.clone(), known(value))).collect(),
        mounts: mounts.chain([last_word]).collect(),
        labels,
        annotations: BTreeMap::from([
            (CRASHES.to_owned(), run.crashes.to_string()),
            (BOOT.to_owned(), run.boot.to_owned()),
            (LAST_WORD.to_owned(), falls_back.to_owned()),
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
pub(in crate::pods) fn has_late(container: &Container) -> bool {
    let texts = container.command.iter().chain(&container.args).chain(container.env.iter().map(|(_, value)| value));
    texts.into_iter().any(|text| text.contains('\0'))
}

/// `text` with what is known now.
fn known(text: &str, late: &BTreeMap<&'static str, String>) -> String {
    late.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&model::late(name), value))
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
        let text = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: a, image: a}]}}";
        manifest::parse("a.yaml", text).unwrap().spec.containers.remove(0)
    }

    #[test]
    fn what_is_known_late_is_put_in_where_it_stands() {
        let late = BTreeMap::from([("spec.nodeName", "node-1".to_owned()), ("status.podIP", "10.88.0.5".to_owned())]);
        let text = format!("{}:80 on {}", model::late("status.podIP"), model::late("spec.nodeName"));
        assert_eq!(known(&text, &late), "10.88.0.5:80 on node-1");
        assert_eq!(known("plain", &late), "plain");
    }
}
