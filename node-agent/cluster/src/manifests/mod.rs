//! What a cluster needs so that its nodes' operating systems can be steered, as `node-agent/manifests/` has it: made from the types, so
//! that they cannot disagree.

mod access;
mod crd;

use serde_json::{Map, Value, json};

use crate::model::{DEFAULT_POOL, POOL_LABEL, SLOT_NAMESPACE};

/// One file.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Its name.
    pub file: &'static str,
    /// What it is, in lines for people.
    pub about: &'static str,
    /// The objects in it.
    pub objects: Vec<Value>,
}

/// All of them. Those in `base/` are for every version, and safe by themselves; the others are for versions that know admission policies.
pub fn manifests() -> Vec<Manifest> {
    let kustomization = |resources: &[&str]| {
        json!({
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": resources,
        })
    };
    vec![
        Manifest {
            file: "base/crd.yaml",
            about: "The operating system of a node as an object.",
            objects: vec![crd::crd()],
        },
        Manifest {
            file: "base/rbac.yaml",
            about: "What nodes may do with it, and with the slots of their pool.",
            objects: access::rbac(),
        },
        Manifest {
            file: "base/pool-example.yaml",
            about: "The slots of the pool \"default\": as many of its nodes as it has Leases may be down at once.\n\
                    One more is one more Lease; another pool is another label, and `pool` in the settings of its nodes.",
            objects: vec![slot(0)],
        },
        Manifest {
            file: "base/kustomization.yaml",
            about: "kubectl apply -k base: before Kubernetes 1.30. Nodes make no NodeOS there: somebody has to.",
            objects: vec![kustomization(&["crd.yaml", "rbac.yaml", "pool-example.yaml"])],
        },
        Manifest {
            file: "admission.yaml",
            about: "Kubernetes 1.30 and later: a node writes its own NodeOS only, and only because of that it may make one.",
            objects: [access::admission(), access::creation()].concat(),
        },
        Manifest {
            file: "kustomization.yaml",
            about: "kubectl apply -k . : Kubernetes 1.30 and later.",
            objects: vec![kustomization(&["base", "admission.yaml"])],
        },
    ]
}

/// What lets nodes make NodeOS objects. Without the policy beside it a node may make any, with any spec: for clusters whose nodes are all
/// trusted, and for tests.
pub fn creation() -> Vec<Value> {
    access::creation()
}

/// A slot of the usual pool. It has no holder in it, so that applying it once more takes it from nobody.
fn slot(number: u32) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": format!("{DEFAULT_POOL}-{number}"),
            "namespace": SLOT_NAMESPACE,
            "labels": { POOL_LABEL: DEFAULT_POOL },
        },
    })
}

impl Manifest {
    /// The whole file.
    ///
    /// # Errors
    /// If an object cannot be written as YAML.
    pub fn text(&self) -> Result<String, serde_saphyr::ser::Error> {
        let mut text =
            String::from("# Made by `cargo run -p ballast-cluster --example manifests`: change the types there.\n");
        self.about.lines().for_each(|line| text.push_str(&format!("# {line}\n")));
        for object in &self.objects {
            text.push_str("---\n");
            text.push_str(&serde_saphyr::to_string(&in_order(object))?);
        }
        Ok(text)
    }
}

/// `value` with its keys by name, whatever order the map has of itself.
fn in_order(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(&String, &Value)> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            Value::Object(entries.into_iter().map(|(key, value)| (key.clone(), in_order(value))).collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(in_order).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}
