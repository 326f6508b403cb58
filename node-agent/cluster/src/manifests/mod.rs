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

/// All of them.
pub fn manifests() -> Vec<Manifest> {
    vec![
        Manifest { file: "crd.yaml", about: "The operating system of a node as an object.", objects: vec![crd::crd()] },
        Manifest {
            file: "rbac.yaml",
            about: "What nodes may do with it, and with the slots of their pool.",
            objects: access::rbac(),
        },
        Manifest {
            file: "pool-example.yaml",
            about: "The slots of the pool \"default\": as many of its nodes as it has Leases may be down at once.\n\
                    One more is one more Lease; another pool is another label, and `pool` in the settings of its nodes.",
            objects: vec![slot(0)],
        },
        Manifest {
            file: "admission.yaml",
            about: "For Kubernetes 1.30 and later, not in the kustomization: a node writes its own NodeOS only.",
            objects: access::admission(),
        },
        Manifest {
            file: "kustomization.yaml",
            about: "kubectl apply -k .",
            objects: vec![json!({
                "apiVersion": "kustomize.config.k8s.io/v1beta1",
                "kind": "Kustomization",
                "resources": ["crd.yaml", "rbac.yaml", "pool-example.yaml"],
            })],
        },
    ]
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
