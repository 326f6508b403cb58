//! The node's pods where a kubelet runs them: as files for its folder of static pods. Pure.

use std::collections::BTreeMap;

use super::{
    desired::Desired,
    manifest::{self, Read},
    model::Key,
};

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
            Ok(text) => drop(all.files.insert(format!("{}_{}.yaml", key.namespace, key.name), text)),
            Err(why) => all.problems.push(format!("{}: pod {key} {why}", pod.source)),
        }
    }
    all
}

/// The document of `text` that describes the pod `key` and nothing else, else why a kubelet does not take it.
fn document(text: &str, key: &Key) -> Result<String, &'static str> {
    let mut documents = vec![String::new()];
    for line in text.lines() {
        if line == "---" || line.starts_with("--- ") {
            documents.push(String::new());
        } else if let Some(last) = documents.last_mut() {
            last.push_str(line);
            last.push('\n');
        }
    }
    let is_it = |read: &Read| read.pods.iter().any(|pod| pod.spec.key == *key);
    let found =
        documents.into_iter().map(|document| (manifest::read("", &document), document)).find(|(read, _)| is_it(read));
    // What is not understood alone refers to what stands beside it.
    let Some((read, document)) = found.filter(|(read, _)| read.missing.is_empty()) else {
        return Err(
            "refers to ConfigMaps or Secrets, which a kubelet takes from its cluster alone: a static pod can have none",
        );
    };
    match manifest::kind(&document).as_deref() {
        Some("Pod") if read.pods.len() == 1 => Ok(document),
        Some("Pod") | None => Err("is not alone in its document: write it as one of its own"),
        Some(kind) if kind.ends_with("List") => {
            Err("stands in a list, which a kubelet does not read: write it as a document of its own")
        }
        Some(_) => Err("is made of a template, which a kubelet does not read: write it as a Pod"),
    }
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

    #[test]
    fn what_a_kubelet_cannot_read_is_reported() {
        let beside = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf}\n---\n";
        let refers =
            pod("web").replace("image: x", "image: x, envFrom: [{configMapRef: {name: conf, optional: true}}]");
        let template = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {containers: [{name: c, image: \
                        x}]}}}\n";
        for (text, expected) in [
            (format!("{beside}{refers}"), "pod web refers to ConfigMaps or Secrets"),
            (format!("{beside}{}", refers.replace(", optional: true", "")), "pod web refers to ConfigMaps or Secrets"),
            (template.to_owned(), "pod web is made of a template"),
        ] {
            let found = of(&text);
            assert!(found.files.is_empty() && found.problems[0].contains(expected), "{found:?}");
        }
        // That a ConfigMap stands beside a pod that does not need it is no reason.
        assert_eq!(of(&format!("{beside}{}", pod("web"))).files.len(), 1);
    }
}
