//! Clusters: from the settings to memberships that are begun, reported and ended. What a membership does is the crate `ballast-cluster`'s to test.

use std::fs;

use ballast::{
    report::status::{Cluster, Status},
    settings::model::{Change, Command, Edit, FILE},
};

use super::{Running, start};

/// Nobody listens there.
const SERVER: &str = "https://127.0.0.1:1";

fn cluster(name: &str, keys: &str) -> String {
    format!("[[cluster]]\nname = \"{name}\"\nservers = [\"{SERVER}\"]\n{keys}\n")
}

/// As `a off, b unreachable`.
fn reported(status: &Status) -> String {
    let reported = |cluster: &Cluster| format!("{} {}", cluster.name, cluster.state);
    status.clusters.iter().map(reported).collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn memberships_begin_and_end_as_the_settings_say() {
    let token = cluster("a", "token = \"s3cret\"");
    let Running { node, .. } = start(|node, _| {
        node.write(FILE, &format!("{token}{}{}", cluster("b", ""), cluster("c", "")));
        // It was joined before, by a token that is gone.
        node.write("/var/lib/ballast/clusters/c/client.pem", "no certificate");
    });
    // In this tree the kernel does not say when the boot began.
    let status = node
        .wait_for("the clusters", |status| reported(status) == "a waiting-for-clock, b off, c waiting-for-clock")
        .await;
    assert!(status.ready, "a cluster is none of what READY waits for: {status:#?}");
    let has = |reason: &str| status.reasons.iter().any(|reported| reported == reason);
    assert!(
        has("cluster a is not joined yet: the clock is not set; see time.servers in the settings"),
        "{:?}",
        status.reasons
    );
    assert!(
        has("cluster b: the settings name no token, kubeconfig or client certificate to join it with"),
        "{:?}",
        status.reasons
    );

    let stat = node.read("/proc/stat");
    node.write("/proc/stat", &format!("{stat}btime 1790000000\n"));
    node.write("/run/systemd/timesync/synchronized", "");
    let status = node.wait_for("an attempt", |status| reported(status) == "a unreachable, b off, c refused").await;
    assert!(status.clusters[0].since.is_some() && status.clusters[0].reason.is_some(), "{:?}", status.clusters);
    assert!(!format!("{status:?}").contains("s3cret"));

    let edit = Edit::Unset { key: "cluster".to_owned() };
    let (_, done) = node.change(Command::Change(Change { edit, dry_run: false, try_secs: None })).await;
    assert!(done.unwrap().changed);
    node.wait_for("no cluster", |status| status.clusters.is_empty()).await;
}

#[tokio::test]
async fn a_node_without_clusters_keeps_nothing_of_any() {
    let Running { node, .. } = start(|_, _| {});
    let status = node.wait_for("READY", |status| status.ready && !status.runtime.name.is_empty()).await;
    assert_eq!(status.clusters, []);
    assert!(fs::metadata(node.path("/var/lib/ballast/clusters")).is_err());
}
