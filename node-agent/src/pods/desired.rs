//! What shall run here: a pure function of the manifest files and of what runs.

use std::{collections::BTreeMap, path::Path};

use super::{
    manifest::{self, ManifestError},
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

/// Decides over `files`, in the order of their precedence, each with its name and what it holds. A folder that could not
/// be read stands for all the files in it.
///
/// A file that cannot be read or is not understood says nothing about its pod: if that runs, it runs on as it was, from
/// the copy of its manifest that the runtime keeps in `sandboxes`.
pub fn desired(files: Vec<(String, Result<Pod, ManifestError>)>, sandboxes: &[Sandbox]) -> Desired {
    let mut desired = Desired::default();
    let mut broken = Vec::new();
    for (source, read) in files {
        match read {
            Ok(pod) => match desired.pods.get(&pod.spec.key) {
                None => {
                    desired.pods.insert(pod.spec.key.clone(), pod);
                }
                Some(first) => desired.problems.push(format!(
                    "{source}: pod {} is described by {} already; this file is ignored",
                    pod.spec.key, first.source
                )),
            },
            Err(error) => {
                desired.problems.push(format!("{source}:{error}"));
                broken.push(source);
            }
        }
    }
    let is_broken = |sandbox: &&Sandbox| broken.iter().any(|source| Path::new(&sandbox.source).starts_with(source));
    // The newest sandbox holds the latest manifest that was understood.
    let mut kept: Vec<&Sandbox> = sandboxes.iter().filter(is_broken).collect();
    kept.sort_by_key(|sandbox| (!sandbox.ready, std::cmp::Reverse(sandbox.attempt)));
    for sandbox in kept {
        if let Ok(pod) = manifest::parse(&sandbox.source, &sandbox.text) {
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

    fn file(source: &str, text: &str) -> (String, Result<Pod, ManifestError>) {
        (source.to_owned(), manifest::parse(source, text))
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
        assert_eq!(desired.problems, ["/b.yaml: pod web is described by /a.yaml already; this file is ignored"]);
    }

    #[test]
    fn a_broken_file_keeps_its_pod_as_it_was() {
        let running = [sandbox("/m/a.yaml", &text("web", "x:1")), sandbox("/m/gone.yaml", &text("gone", "x:1"))];
        let files = vec![file("/m/a.yaml", "kind: [")];
        let kept = desired(files, &running);
        assert_eq!(names(&kept), ["web docker.io/library/x:1"]);
        assert_eq!(kept.problems.len(), 1);
        // A folder that cannot be read keeps all that came from it.
        let whole = ManifestError { line: None, key: String::new(), message: "Input/output error".to_owned() };
        let kept = desired(vec![("/m".to_owned(), Err(whole))], &running);
        assert_eq!(kept.pods.len(), 2);
        assert_eq!(kept.problems, ["/m: Input/output error"]);
    }
}
