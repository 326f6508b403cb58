//! The desired pods: a pure function of the manifest files and of what runs.

use std::{collections::BTreeMap, path::Path};

use super::{
    manifest::{self, Read},
    model::{Key, Pod, Sandbox},
};

/// What shall run here, and what was not understood.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// The pods.
    pub pods: BTreeMap<Key, Pod>,
    /// One sentence for each manifest that is not followed.
    pub problems: Vec<String>,
}

/// Decides over `files`, in the order of their precedence. A folder that could not be read stands for all the files in it.
///
/// A file that cannot be read, or in which something is not understood, says nothing about pods that it does not describe: what came of it
/// and runs, runs on as it was, from the copy of its manifest that the runtime keeps in `sandboxes`.
pub fn desired(files: Vec<Read>, sandboxes: &[Sandbox]) -> Desired {
    let mut desired = Desired::default();
    let mut broken = Vec::new();
    for Read { source, pods, problems, notes: _, missing: _ } in files {
        for mut pod in pods {
            let shared = desired.pods.values().find(|other| other.spec.names_a_port_of(&pod.spec));
            pod.notes.extend(shared.map(|other| format!("pod {} names a port of the host as well", other.spec.key)));
            let taken = desired.pods.values().find(|other| other.spec.is_in_the_way_of(&pod.spec));
            match (desired.pods.get(&pod.spec.key), taken) {
                (None, Some(other)) => desired.problems.push(format!(
                    "{source}: pod {} wants a port of the host that pod {} of {} has already; this one is ignored",
                    pod.spec.key, other.spec.key, other.source
                )),
                (None, None) => {
                    desired.pods.insert(pod.spec.key.clone(), pod);
                }
                (Some(first), _) => desired.problems.push(format!(
                    "{source}: pod {} is described by {} already; this one is ignored",
                    pod.spec.key, first.source
                )),
            }
        }
        if !problems.is_empty() {
            desired.problems.extend(problems.iter().map(|problem| format!("{source}:{problem}")));
            broken.push(source);
        }
    }
    let is_broken = |sandbox: &&Sandbox| broken.iter().any(|source| Path::new(&sandbox.source).starts_with(source));
    // The newest sandbox holds the latest manifest that was understood.
    let mut kept: Vec<&Sandbox> = sandboxes.iter().filter(is_broken).collect();
    kept.sort_by_key(|sandbox| (!sandbox.ready, std::cmp::Reverse(sandbox.attempt)));
    for sandbox in kept {
        let pods = manifest::read(&sandbox.source, &sandbox.text).pods;
        if let Some(pod) = pods.into_iter().find(|pod| pod.spec.key == sandbox.key) {
            desired.pods.entry(pod.spec.key.clone()).or_insert(pod);
        }
    }
    desired
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn text(name: &str, image: &str) -> String {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{containers: [{{name: c, image: {image}}}]}}}}"
        )
    }

    fn file(source: &str, text: &str) -> Read {
        manifest::read(source, text)
    }

    fn sandbox(source: &str, text: &str) -> Sandbox {
        let pod = manifest::parse(source, text).unwrap();
        Sandbox {
            id: "s".to_owned(),
            key: pod.spec.key,
            uid: pod.uid,
            attempt: 0,
            ready: true,
            source: source.to_owned(),
            text: text.to_owned(),
            grace: Duration::ZERO,
            since: std::time::SystemTime::UNIX_EPOCH,
            address: String::new(),
            containers: Vec::new(),
        }
    }

    fn names(desired: &Desired) -> Vec<String> {
        desired.pods.values().map(|pod| format!("{} {}", pod.spec.key, pod.spec.containers[0].image)).collect()
    }

    #[test]
    fn of_two_files_for_one_pod_the_first_wins() {
        let files = vec![file("/a.yaml", &text("web", "x:1")), file("/b.yaml", &text("web", "x:2"))];
        let desired = desired(files, &[]);
        assert_eq!(names(&desired), ["web docker.io/library/x:1"]);
        assert_eq!(desired.problems, ["/b.yaml: pod web is described by /a.yaml already; this one is ignored"]);
    }

    #[test]
    fn a_port_of_the_host_leads_to_one_pod() {
        let with_port = |name: &str, port: u16| {
            text(name, "x:1")
                .replace("image: x:1", &format!("image: x:1, ports: [{{containerPort: 80, hostPort: {port}}}]"))
        };
        let files = vec![
            file("/a.yaml", &with_port("a", 80)),
            file("/b.yaml", &with_port("b", 80)),
            file("/c.yaml", &with_port("c", 81)),
        ];
        let desired = desired(files, &[]);
        assert_eq!(names(&desired), ["a docker.io/library/x:1", "c docker.io/library/x:1"]);
        assert_eq!(
            desired.problems,
            ["/b.yaml: pod b wants a port of the host that pod a of /a.yaml has already; this one is ignored"]
        );
    }

    #[test]
    fn on_the_nodes_network_a_port_that_is_named_twice_is_a_note() {
        let on_the_host = |name: &str| {
            text(name, "x:1")
                .replace("image: x:1", "image: x:1, ports: [{containerPort: 80, hostPort: 80}]")
                .replace("spec: {", "spec: {hostNetwork: true, ")
        };
        let found = desired(vec![file("/a.yaml", &on_the_host("a")), file("/b.yaml", &on_the_host("b"))], &[]);
        assert_eq!((names(&found).len(), found.problems.len()), (2, 0));
        let notes: Vec<&[String]> = found.pods.values().map(|pod| pod.notes.as_slice()).collect();
        assert_eq!(notes, [&[][..], &["pod a names a port of the host as well".to_owned()][..]]);
    }

    #[test]
    fn a_broken_file_keeps_its_pod_as_it_was() {
        let running = [sandbox("/m/a.yaml", &text("web", "x:1")), sandbox("/m/gone.yaml", &text("gone", "x:1"))];
        let files = vec![file("/m/a.yaml", "kind: [")];
        let kept = desired(files, &running);
        assert_eq!(names(&kept), ["web docker.io/library/x:1"]);
        assert_eq!(kept.problems.len(), 1);
        // A folder that cannot be read keeps all that came from it.
        let kept = desired(vec![Read::unreadable("/m", "Input/output error".to_owned())], &running);
        assert_eq!(kept.pods.len(), 2);
        assert_eq!(kept.problems, ["/m: Input/output error"]);
    }

    #[test]
    fn of_a_file_with_two_pods_the_broken_one_runs_on_as_it_was() {
        let both = |second: &str| format!("{}\n---\n{second}\n", text("one", "x:2"));
        let running = [sandbox("/m/a.yaml", &text("one", "x:1")), {
            let (old, pod) = (both(&text("two", "x:1")), manifest::parse("/m/a.yaml", &text("two", "x:1")).unwrap());
            Sandbox { text: old, key: pod.spec.key, uid: pod.uid, ..sandbox("/m/a.yaml", &text("two", "x:1")) }
        }];
        let kept = desired(vec![file("/m/a.yaml", &both("{kind: Pod, apiVersion: v1}"))], &running);
        assert_eq!(names(&kept), ["one docker.io/library/x:2", "two docker.io/library/x:1"]);
        assert_eq!(
            kept.problems,
            ["/m/a.yaml:3: the field `metadata` is missing", "/m/a.yaml:3: the field `spec` is missing"]
        );
    }
}
