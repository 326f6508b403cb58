//! The room on /var: images that go, pods that take more than they may.

use super::*;

#[tokio::test]
async fn images_that_nothing_uses_go_when_the_disk_is_full() {
    let [used, unused, ended] = ["quay.io/used:1", "quay.io/unused:1", "quay.io/ended:1"];
    let Running { node, runtime, .. } = start(|node, runtime| {
        // Every disk is that full, and none is ever empty enough.
        node.write("/var/lib/ballast/settings.toml", "[images]\ngc_high_percent = 1\ngc_low_percent = 0\n");
        let images = [used, unused, ended, cri::PINNED, "localhost/ballast/pause:1"];
        runtime.state().images = images.map(str::to_owned).into();
        node.write(&pod_file("web"), &manifest("web", used));
        node.write(&pod_file("job"), &(manifest("job", ended) + "  restartPolicy: Never\n"));
    });
    let removed = || runtime.calls("RemoveImage");
    node.wait_until("the image to go", || !removed().is_empty()).await;
    node.wait_for("the pods", |status| shown(status) == ["job Running c running 0", "web Running c running 0"]).await;
    let status = node.wait_for("the account", |status| status.disk.images_removed == 1).await;
    assert_eq!(removed(), [format!("RemoveImage id of {unused}")]);
    assert!(status.disk.total_bytes > status.disk.available_bytes && !status.disk.pressure, "{:?}", status.disk);
    let left = [used, ended, cri::PINNED, "localhost/ballast/pause:1"];
    assert_eq!(runtime.state().images, left);
}

#[tokio::test]
async fn an_image_that_was_just_pulled_is_kept_and_so_are_all_while_there_is_room() {
    let Running { node, runtime, .. } = start(|node, runtime| {
        node.write("/var/lib/ballast/settings.toml", "[images]\ngc_high_percent = 1\ngc_low_percent = 0\n");
        runtime.state().images.clear();
        node.write(&pod_file("web"), &(manifest("web", "quay.io/new:1") + "  restartPolicy: Never\n"));
    });
    node.wait_for("the pod", |status| shown(status) == ["web Running c running 0"]).await;
    node.remove(&pod_file("web"));
    node.wait_for("its end", |status| status.pods.is_empty()).await;
    // More than one look later it is still here: it is not yet two minutes old.
    node.write(&pod_file("next"), &manifest("next", "quay.io/next:1"));
    node.wait_for("the next pod", |status| shown(status) == ["next Running c running 0"]).await;
    assert_eq!(runtime.calls("RemoveImage"), [""; 0]);
    assert_eq!(runtime.state().images, ["quay.io/new:1", "quay.io/next:1"]);
}

#[tokio::test]
async fn a_pod_over_the_limit_of_its_volume_is_ended_and_says_so() {
    let with_volume = manifest("web", "localhost/c:1") + "  volumes:\n  - {name: v, emptyDir: {sizeLimit: 1Mi}}\n";
    let mut running = start(|node, _| node.write(&pod_file("web"), &with_volume));
    let Running { node, runtime, .. } = &mut running;
    node.wait_for("the pod", |status| shown(status) == ["web Running c running 0"]).await;
    let volumes = node.path("/var/lib/ballast/volumes");
    let folders = || fs::read_dir(&volumes).map_or(0, Iterator::count);
    let uid = fs::read_dir(&volumes).unwrap().next().unwrap().unwrap().file_name().into_string().unwrap();
    node.write_bytes(&format!("/var/lib/ballast/volumes/{uid}/v/file"), &vec![7; 2 << 20]);
    let evicted = ["web Failed c exited 0"];
    let status = node.wait_for("its end", |status| shown(status) == evicted && !status.reasons.is_empty()).await;
    let reason = "pod web: Evicted: Usage of EmptyDir volume \"v\" exceeds the limit \"1Mi\"";
    assert_eq!((status.reasons.as_slice(), status.disk.evictions), (&[reason.to_owned()][..], 1));
    node.wait_until("what it had to go", || runtime.state().sandboxes.is_empty() && folders() == 0).await;
    assert_eq!(runtime.calls("StopContainer").len(), 1);
    // It stays ended over a restart of the agent.
    node.kill_agent().await;
    node.start_agent();
    let status = node.wait_for("the pod as it was", |status| !status.pods.is_empty()).await;
    assert_eq!((shown(&status), status.reasons), (evicted.map(str::to_owned).to_vec(), vec![reason.to_owned()]));
    // Another manifest is another pod.
    node.write(&pod_file("web"), &with_volume.replace("1Mi", "8Mi"));
    node.wait_for("the other pod", |status| shown(status) == ["web Running c running 0"]).await;
}

#[tokio::test]
async fn logs_of_others_stay() {
    let others = "/var/log/pods/kube-system_etcd-node_0123456789abcdef0123456789abcdef/etcd/0.log";
    let Running { node, .. } = start(|node, _| {
        node.write(others, "a line\n");
        node.write("/var/log/pods/default_gone_01234567-89ab-8def-8123-456789abcdef/c/0.log", "ours\n");
        node.write(&pod_file("web"), &manifest("web", "localhost/c:1"));
    });
    node.wait_for("the pod", |status| shown(status) == ["web Running c running 0"]).await;
    let ours = node.path("/var/log/pods/default_gone_01234567-89ab-8def-8123-456789abcdef");
    node.wait_until("what is left of ours to go", || !ours.exists()).await;
    assert_eq!(node.read(others), "a line\n");
}
