//! `[[cluster]]` and `[metrics]`.

use toml_edit::Table;

use super::{Secrets, put, put_list, put_secret, put_table};
use crate::model::{Authority, Cluster, Credential, Metrics};

pub(super) fn cluster(cluster: &Cluster, secrets: Secrets) -> Table {
    let mut table = Table::new();
    put(&mut table, "name", Some(&cluster.name));
    put_list(&mut table, "servers", &cluster.servers);
    match &cluster.authority {
        None => {}
        Some(Authority::Certificates(certificates)) => put(&mut table, "ca", Some(certificates)),
        Some(Authority::Hash(hash)) => put(&mut table, "ca_hash", Some(hash)),
    }
    match &cluster.credential {
        None => {}
        Some(Credential::Token(token)) => put_secret(&mut table, "token", Some(token.secret()), secrets),
        Some(Credential::Kubeconfig(text)) => put_secret(&mut table, "kubeconfig", Some(text.secret()), secrets),
        Some(Credential::Certificate { certificate, key }) => {
            put(&mut table, "client_certificate", Some(certificate));
            put_secret(&mut table, "client_key", Some(key.secret()), secrets);
        }
    }
    put(&mut table, "role", Some(cluster.role.name()));
    put(&mut table, "pool", cluster.pool.as_ref());
    put(&mut table, "node_name", cluster.node_name.as_ref());
    put_list(&mut table, "node_taints", &cluster.node_taints);
    let mut labels = Table::new();
    cluster.node_labels.iter().for_each(|(key, value)| put(&mut labels, key.as_str(), Some(value)));
    put_table(&mut table, "node_labels", labels);
    table
}

pub(super) fn metrics(metrics: &Metrics, secrets: Secrets) -> Table {
    let mut table = Table::new();
    if let Some(listen) = &metrics.listen {
        put(&mut table, "listen", Some(listen.address));
        put(&mut table, "certificate", Some(&listen.certificate));
        put_secret(&mut table, "key", Some(listen.key.secret()), secrets);
    }
    table
}
