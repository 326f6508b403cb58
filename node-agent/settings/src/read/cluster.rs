//! The tables `[[cluster]]` and the table `[metrics]`.
//!
//! What decides whom the node talks to, as whom and as what has no second choice: where it does not fit, there is no such cluster.

use std::cell::Cell;

use super::reader::{Found, Reader};
use crate::{
    model::{Authority, Cluster, ClusterRole, Credential, Listen, Metrics},
    tree::Table,
    values::{BearerToken, CaHash, Certificates, ClusterName, Kubeconfig, LabelValue, NodeLabel, PrivateKey, Text},
};

/// Each has a connection and memory of its own; nobody has more clusters than this around one node.
const MAX_CLUSTERS: usize = 8;

/// Half of one source's server and half of another's authority are nobody's.
const PLACE: [&str; 3] = ["servers", "ca", "ca_hash"];

/// As for [`PLACE`].
const CREDENTIAL: [&str; 4] = ["token", "kubeconfig", "client_certificate", "client_key"];

pub(super) fn clusters(root: &mut Reader<'_>) -> Vec<Cluster> {
    let identity = |table: &Table| table.text("name").and_then(|name| ClusterName::parse(name).ok());
    let (count, has_kubelet) = (Cell::new(0), Cell::new(false));
    root.keyed_tables(
        "cluster",
        |table| identity(table).map(|name| name.to_string()),
        |table| {
            let cluster = cluster(table)?;
            count.set(count.get() + 1);
            if count.get() > MAX_CLUSTERS {
                table.refuse_table("is one cluster too many; it does not apply", &format!("at most {MAX_CLUSTERS}"));
                return None;
            }
            if cluster.role == ClusterRole::Kubelet && has_kubelet.replace(true) {
                let what = "is a second cluster with the role kubelet; it does not apply";
                table.refuse_table(what, "one: the node's pods are one cluster's");
                return None;
            }
            Some(cluster)
        },
    )
}

fn cluster(table: &mut Reader<'_>) -> Option<Cluster> {
    let name = table.need("name");
    let place = table.together(&PLACE, |table| {
        let servers = table.list("servers").or(Vec::new());
        authority(table).map(|authority| (servers, authority))
    });
    let credential = table.together(&CREDENTIAL, credential);
    let role = table.choice("role", &ClusterRole::ALL.map(|role| (role.name(), role)));
    let pool = table.get("pool");
    let node_name = table.get("node_name");
    let node_labels = table.map::<NodeLabel, _>(
        "node_labels",
        |_| LabelValue::EXPECTED.to_owned(),
        |_, value| LabelValue::parse(value.as_text().ok_or_else(|| value.kind_clause())?),
    );
    let node_taints = table.list("node_taints").or(Vec::new());
    let (name, (servers, authority), credential) = (name?, place?, credential?);
    if servers.is_empty() && !matches!(credential, Some(Credential::Kubeconfig(_))) {
        table.refuse_table("names no server that fits; it does not apply", "servers, or a kubeconfig");
        return None;
    }
    Some(Cluster {
        name,
        servers,
        authority,
        credential,
        role: sure(role)?.unwrap_or_default(),
        pool: sure(pool)?,
        node_name: sure(node_name)?,
        node_labels,
        node_taints,
    })
}

/// What was said, if anything was; None if that does not fit.
fn sure<T>(found: Found<T>) -> Option<Option<T>> {
    match found {
        Found::Absent => Some(None),
        Found::Given(value) => Some(Some(value)),
        Found::Refused => None,
    }
}

fn authority(table: &mut Reader<'_>) -> Option<Option<Authority>> {
    let certificates: Found<Certificates> = table.get("ca");
    let hash: Found<CaHash> = table.get("ca_hash");
    match (sure(certificates)?, sure(hash)?) {
        (None, None) => Some(None),
        (Some(certificates), None) => Some(Some(Authority::Certificates(certificates))),
        (None, Some(hash)) => Some(Some(Authority::Hash(hash))),
        (Some(_), Some(_)) => {
            table.refuse_keys(&["ca", "ca_hash"], "has both ca and ca_hash; it does not apply", "one of them");
            None
        }
    }
}

fn credential(table: &mut Reader<'_>) -> Option<Option<Credential>> {
    let token: Found<BearerToken> = table.get("token");
    let kubeconfig: Found<Kubeconfig> = table.get("kubeconfig");
    let certificate: Found<Certificates> = table.get("client_certificate");
    let key: Found<PrivateKey> = table.get("client_key");
    match (sure(token)?, sure(kubeconfig)?, sure(certificate)?, sure(key)?) {
        (None, None, None, None) => Some(None),
        (Some(token), None, None, None) => Some(Some(Credential::Token(token))),
        (None, Some(kubeconfig), None, None) => Some(Some(Credential::Kubeconfig(kubeconfig))),
        (None, None, Some(certificate), Some(key)) => Some(Some(Credential::Certificate { certificate, key })),
        (_, _, _, _) => {
            let expected = "token, kubeconfig, or client_certificate and client_key";
            table.refuse_keys(&CREDENTIAL, "has credentials that do not belong together; it does not apply", expected);
            None
        }
    }
}

pub(super) fn metrics(table: &mut Reader<'_>) -> Metrics {
    let address = table.get("listen").given();
    let pair =
        table.together(&["certificate", "key"], |table| (table.get("certificate").given(), table.get("key").given()));
    match (address, pair) {
        (Some(address), (Some(certificate), Some(key))) => {
            Metrics { listen: Some(Listen { address, certificate, key }) }
        }
        (Some(_), (_, _)) => {
            table.refuse_keys(
                &["listen"],
                "is not listened on: metrics leave the node over TLS only",
                "certificate and key",
            );
            Metrics::default()
        }
        (None, (_, _)) => Metrics::default(),
    }
}
