//! The node's pods where a kubelet runs them: as files for its folder of static pods. Pure.

use std::collections::BTreeMap;

use super::{desired::Desired, manifest, model::Key};

/// What a kubelet is given.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct StaticPods {
    /// The manifests by file name, one pod each: of a file with several documents it reads the first alone.
    pub files: BTreeMap<String, String>,
    /// Why others are not among them.
    pub problems: Vec<String>,
}

/// The manifests of all desired pods.
pub fn static_pods(desired: &Desired) -> StaticPods {
    let mut all = StaticPods::default();
    for (key, pod) in &desired.pods {
        match document(&pod.text, key) {
            Some(text) => drop(all.files.insert(format!("{}_{}.yaml", key.namespace, key.name), text)),
            None => all.problems.push(format!(
                "{}: pod {key} stands in a list, which a kubelet does not read: write it as a document of its own",
                pod.source
            )),
        }
    }
    all
}

/// The document of `text` that describes the pod `key` and nothing else.
fn document(text: &str, key: &Key) -> Option<String> {
    let mut documents = vec![String::new()];
    for line in text.lines() {
        if line == "---" || line.starts_with("--- ") {
            documents.push(String::new());
        } else if let Some(last) = documents.last_mut() {
            last.push_str(line);
            last.push('\n');
        }
    }
    let is_it = |document: &String| {
        let pods = manifest::read("", document).pods;
        matches!(&pods[..], [pod] if pod.spec.key == *key) && !is_list(document)
    };
    documents.into_iter().find(is_it)
}

/// Whether the document is a list of objects, also of one.
fn is_list(document: &str) -> bool {
    document.lines().any(|line| line.starts_with("items:"))
        || document.trim_start().starts_with('{') && document.contains("\"items\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pods::desired::desired;

    fn pod(name: &str) -> String {
        format!("apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\nspec:\n  containers: [{{name: c, image: x}}]\n")
    }

    fn of(text: &str) -> StaticPods {
        static_pods(&desired(vec![manifest::read("/m/a.yaml", text)], &[]))
    }

    #[test]
    fn each_pod_is_a_file() {
        let one = of(&pod("web"));
        assert_eq!(one.files, BTreeMap::from([("default_web.yaml".to_owned(), pod("web"))]));
        let two = of(&format!("# both\n---\n{}---\n{}", pod("web"), pod("db")));
        assert_eq!(two.files.keys().collect::<Vec<_>>(), ["default_db.yaml", "default_web.yaml"]);
        assert_eq!((two.files["default_db.yaml"].as_str(), two.problems.len()), (pod("db").as_str(), 0));
    }

    #[test]
    fn a_list_is_reported() {
        let list = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [{name: c, image: x}]}}\n";
        let found = of(list);
        assert!(found.files.is_empty() && found.problems[0].contains("pod web stands in a list"), "{found:?}");
    }
}
