//! Pods that are in trouble, and what the node says and does about them.

use super::*;

#[tokio::test]
async fn a_container_that_cannot_start_shows_what_the_runtime_says() {
    const WHY: &str = "failed to create containerd task: exec: /nope: stat /nope: no such file or directory";
    let mut running = start(|node, runtime| {
        runtime.state().start_error = Some(WHY.to_owned());
        node.write(&pod_file("web"), &manifest("web", "localhost/c:1"));
    });
    let Running { node, runtime, .. } = &mut running;
    let reported = |status: &ballast::report::status::Status| status.reasons.iter().any(|reason| reason.contains(WHY));
    let status = node.wait_for("the sentence", reported).await;
    let ended = status.pods[0].containers[0].ended.clone().unwrap();
    assert_eq!((ended.exit_code, ended.reason.as_str(), ended.message.as_str()), (128, "StartError", WHY));
    // An agent that is restarted has only what the runtime remembers. Its own next attempt waits behind a pull.
    node.kill_agent().await;
    runtime.state().images.clear();
    runtime.state().missing = vec!["localhost/c:1".to_owned()];
    node.start_agent();
    let status = node.wait_for("what the runtime remembers", |status| !status.pods.is_empty()).await;
    assert_eq!(status.pods[0].containers[0].ended.as_ref().map(|ended| ended.message.as_str()), Some(WHY));
}

#[tokio::test]
async fn an_image_by_tag_and_digest_is_pulled_once_and_starts_again_without_the_registry() {
    let image = format!("quay.io/team/app:1@sha256:{}", "0a".repeat(32));
    let mut running = start(|node, _| node.write(&pod_file("web"), &manifest("web", &image)));
    let Running { node, runtime, .. } = &mut running;
    node.wait_for("the pod", |status| shown(status) == ["web Running c running 0"]).await;
    node.kill_agent().await;
    runtime.state().missing = vec![image.replace(":1@", "@")];
    runtime.reboot();
    node.start_agent();
    node.wait_for("the pod again", |status| shown(status) == ["web Running c running 1"]).await;
    assert_eq!(runtime.calls("PullImage").len(), 1);
}
