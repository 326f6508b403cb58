//! What becomes of a kubelet's pods when its role is taken away.

use std::collections::HashMap;

use super::*;

pub(super) const ENVIRONMENT: &str = "/run/ballast/kubelet/environment";
const LOGS: &str = "/var/log/pods/default_web_u1/c/0.log";

/// A pod that a kubelet ran: what it leaves in the runtime.
pub(super) fn left(runtime: &cri::Runtime, state: i32) {
    let text = |text: &str| text.to_owned();
    let metadata = wire::SandboxMetadata { name: text("web"), uid: text("u1"), namespace: text("default"), attempt: 0 };
    let mut runtime = runtime.state();
    runtime.sandboxes.push(wire::Sandbox {
        id: text("k1"),
        metadata: Some(metadata),
        state: i32::from(state != cri::RUNNING),
        annotations: HashMap::from([(text("kubernetes.io/config.source"), text("api"))]),
        ..wire::Sandbox::default()
    });
    let config = wire::ContainerConfig {
        metadata: Some(wire::ContainerMetadata { name: text("c"), attempt: 0 }),
        annotations: HashMap::from([(text("io.kubernetes.pod.terminationGracePeriod"), text("7"))]),
        ..wire::ContainerConfig::default()
    };
    runtime.containers.push(cri::Container {
        id: text("k1c"),
        sandbox_id: text("k1"),
        config,
        state,
        exit_code: 0,
        message: String::new(),
        started_at: 1,
        finished_at: 0,
    });
}

fn position(runtime: &cri::Runtime, call: &str) -> usize {
    let state = runtime.state();
    state.calls.iter().position(|known| known.starts_with(call)).unwrap_or_else(|| panic!("{call}: {:?}", state.calls))
}

#[tokio::test]
async fn without_the_role_its_pods_end_with_grace_before_the_nodes_own_begin() {
    let Running { node, runtime, .. } = start(|node, runtime| {
        left(runtime, cri::RUNNING);
        node.write(ENVIRONMENT, "ARTIFACT=sha256:a\n");
        node.write(LOGS, "a line\n");
        node.write(&pod_file("db"), &manifest("db", "localhost/c:1"));
    });
    node.wait_for("the node's own pod", |status| shown(status) == ["db Running c running 0"]).await;
    assert_eq!(runtime.calls("StopContainer"), ["StopContainer k1c within 7 s"]);
    let [stopped, removed, began] =
        ["StopContainer k1c", "RemovePodSandbox k1", "RunPodSandbox"].map(|call| position(&runtime, call));
    assert!(stopped < removed && removed < began, "{:?}", runtime.state().calls);
    assert!(!node.path(ENVIRONMENT).exists() && !node.path(LOGS).exists());
}

#[tokio::test]
async fn what_it_left_is_removed_after_a_power_cut_too() {
    let Running { node, runtime, .. } = start(|node, runtime| {
        left(runtime, cri::EXITED);
        node.write("/var/lib/ballast/kubelet.json", "{}");
        node.write(&pod_file("db"), &manifest("db", "localhost/c:1"));
    });
    node.wait_for("the node's own pod", |status| shown(status) == ["db Running c running 0"]).await;
    node.wait_until("its sandbox is gone", || runtime.calls("RemovePodSandbox") == ["RemovePodSandbox k1"]).await;
    assert!(runtime.calls("StopContainer").is_empty());
}

#[tokio::test]
async fn a_long_list_of_the_runtime_is_read() {
    // Each pod's manifest is in it: more than the 4 MiB that gRPC's libraries take by themselves.
    let long = "x".repeat(5 << 20);
    let Running { node, runtime, .. } = start(|node, runtime| {
        left(runtime, cri::EXITED);
        runtime.state().sandboxes[0].annotations.insert("long".to_owned(), long);
        node.write(ENVIRONMENT, "ARTIFACT=sha256:a\n");
    });
    node.wait_until("its sandbox is gone", || runtime.calls("RemovePodSandbox") == ["RemovePodSandbox k1"]).await;
}
