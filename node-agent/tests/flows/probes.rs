//! Pods with probes, init containers, sidecars, hooks and deadlines: what the runtime is asked to do, in which order, and what is shown.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, Instant},
};

use ballast::report::status::{Container, Pod, Status};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    process::Command,
};

use super::*;

/// A pod of the containers in `spec`, in YAML's short form.
fn pod(spec: &str) -> String {
    format!("{{apiVersion: v1, kind: Pod, metadata: {{name: web}}, spec: {{{spec}}}}}\n")
}

/// A container `name` with `more`.
fn container(name: &str, more: &str) -> String {
    format!("{{name: {name}, image: 'localhost/c:1'{}{more}}}", if more.is_empty() { "" } else { ", " })
}

fn start_pod(spec: &str, change: impl FnOnce(&mut cri::State)) -> Running {
    start(|node, runtime| {
        change(&mut runtime.state());
        node.write(&pod_file("web"), &pod(spec));
    })
}

fn web(status: &Status) -> Option<&Pod> {
    status.pods.iter().find(|pod| pod.name == "web")
}

fn one<'a>(status: &'a Status, name: &str) -> &'a Container {
    web(status).and_then(|pod| pod.containers.iter().find(|container| container.name == name)).unwrap()
}

/// Whether the container `name` is `state`, and `ready`.
fn is(status: &Status, name: &str, state: &str, ready: bool) -> bool {
    let found = web(status).and_then(|pod| pod.containers.iter().find(|container| container.name == name));
    found.is_some_and(|container| container.state == state && container.ready == ready)
}

#[tokio::test]
async fn an_init_container_that_fails_is_tried_again_with_delay_and_then_the_pod_runs() {
    let spec = format!(
        "initContainers: [{}, {}], containers: [{}]",
        container("first", ""),
        container("second", ""),
        container("c", "")
    );
    let begun = Instant::now();
    let Running { node, runtime, .. } = start_pod(&spec, |state| {
        state.exits.insert("first".to_owned(), [1, 2, 0].into());
        state.exits.insert("second".to_owned(), [0].into());
    });
    let waits = |status: &Status| {
        web(status).is_some_and(|pod| pod.containers[0].restarts == 1 && pod.containers[0].next_start_at.is_some())
    };
    let status = node.wait_for("the delay", waits).await;
    let first = one(&status, "first");
    assert_eq!((first.role.as_str(), first.state.as_str()), ("init", "waiting"));
    assert_eq!(first.ended.as_ref().map(|ended| ended.exit_code), Some(2));
    assert_eq!(web(&status).map(|pod| pod.phase.as_str()), Some("Pending"));
    node.wait_for("the pod", |status| is(status, "c", "running", true)).await;
    // The first start after an end is at once, the second after 10 s.
    assert!(begun.elapsed() >= Duration::from_secs(10));
    let status = node.status().await.unwrap();
    assert_eq!(shown(&status), ["web Running first exited 2 second exited 0 c running 0"]);
    assert!(web(&status).unwrap().ready);
    let starts = runtime.calls("StartContainer").len();
    assert_eq!(starts, 5);
}

#[tokio::test]
async fn a_sidecar_starts_before_and_ends_after_those_that_it_serves() {
    let sidecar = container("log", "restartPolicy: Always, startupProbe: {exec: {command: [up]}, periodSeconds: 1}");
    let spec = format!(
        "initContainers: [{}, {sidecar}, {}], containers: [{}]",
        container("first", ""),
        container("last", ""),
        container("c", "")
    );
    let Running { node, runtime, .. } = start_pod(&spec, |state| {
        state.exits.insert("first".to_owned(), [0].into());
        state.exits.insert("last".to_owned(), [0].into());
        state.commands.insert("up".to_owned(), 1);
    });
    node.wait_for("the sidecar", |status| is(status, "log", "running", false)).await;
    node.wait_until("its probe", || runtime.calls("ExecSync log up").len() >= 2).await;
    // It runs and has not started: what comes after it waits.
    assert_eq!(runtime.state().starts, ["first", "log"]);
    runtime.state().commands.clear();
    node.wait_for("the pod", |status| is(status, "c", "running", true)).await;
    assert_eq!(runtime.state().starts, ["first", "log", "last", "c"]);
    // A sidecar that ends is started again, and the others are not disturbed.
    runtime.end("log", 0);
    node.wait_for("the sidecar again", |status| web(status).is_some() && one(status, "log").restarts == 1).await;
    assert_eq!(runtime.state().starts.last().map(String::as_str), Some("log"));
    node.wait_for("it to be ready", |status| web(status).is_some_and(|pod| pod.ready)).await;
    node.remove(&pod_file("web"));
    node.wait_until("the end", || runtime.state().sandboxes.is_empty()).await;
    assert_eq!(runtime.state().stops, ["c 30", "log 30"]);
}

#[tokio::test]
async fn a_container_whose_liveness_probe_fails_is_restarted_within_the_probes_grace() {
    let liveness = "livenessProbe: {exec: {command: [alive]}, periodSeconds: 1, failureThreshold: 2, \
                    terminationGracePeriodSeconds: 3}";
    let spec = format!("containers: [{}, {}]", container("c", liveness), container("other", ""));
    let Running { node, runtime, .. } = start_pod(&spec, |_| {});
    node.wait_until("some answers", || runtime.calls("ExecSync c alive").len() >= 2).await;
    assert_eq!(shown(&node.status().await.unwrap()), ["web Running c running 0 other running 0"]);
    runtime.state().commands.insert("alive".to_owned(), 7);
    node.wait_until("its end", || runtime.state().stops == ["c 3"]).await;
    runtime.state().commands.clear();
    let restarted = |status: &Status| is(status, "c", "running", true) && one(status, "c").restarts == 1;
    let status = node.wait_for("the restart", restarted).await;
    assert_eq!(one(&status, "c").last_ended.as_ref().map(|ended| ended.exit_code), Some(143));
    assert_eq!(one(&status, "other").restarts, 0);
    // Probes of the new run are asked.
    let before = runtime.calls("ExecSync c alive").len();
    node.wait_until("more answers", || runtime.calls("ExecSync c alive").len() > before).await;
}

/// A server on the loopback that answers each request with the status in the returned number; and its port.
async fn server() -> (Arc<AtomicU16>, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let status = Arc::new(AtomicU16::new(503));
    let answers = Arc::clone(&status);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 2048];
            let _ = stream.read(&mut request).await;
            let head = format!("HTTP/1.1 {} Word\r\nContent-Length: 0\r\n\r\n", answers.load(Ordering::Relaxed));
            let _ = stream.write_all(head.as_bytes()).await;
        }
    });
    (status, port)
}

/// What `ballast pods` prints.
async fn table(node: &Node) -> Vec<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_ballast"))
        .arg("pods")
        .arg("--root")
        .arg(node.path("/"))
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

#[tokio::test]
async fn readiness_is_shown_in_status_table_and_metrics() {
    let (answer, port) = server().await;
    let readiness = format!(
        "ports: [{{name: http, containerPort: {port}}}], readinessProbe: {{httpGet: {{path: /ready, port: http}}, periodSeconds: 1, \
         failureThreshold: 1}}"
    );
    let Running { node, runtime, .. } = start_pod(&format!("containers: [{}]", container("c", &readiness)), |_| {});
    let status = node.wait_for("why not", |status| web(status).is_some_and(|pod| pod.message.is_some())).await;
    let pod = web(&status).unwrap();
    assert_eq!((pod.phase.as_str(), pod.ready, pod.ip.as_deref()), ("Running", false, Some("127.0.0.1")));
    assert_eq!(pod.message.as_deref(), Some("container c is not ready: HTTP status 503"));
    // That a program is not ready is nothing wrong with the node.
    assert!(status.reasons.iter().all(|reason| !reason.contains("web")), "{:?}", status.reasons);
    let lines = table(&node).await;
    assert!(
        lines[0].starts_with("NAME READY STATUS RESTARTS IP AGE")
            && lines[1].starts_with("web 0/1 Running 0 127.0.0.1 "),
        "{lines:?}"
    );
    answer.store(200, Ordering::Relaxed);
    node.wait_for("the readiness", |status| web(status).is_some_and(|pod| pod.ready && pod.message.is_none())).await;
    assert!(table(&node).await[1].starts_with("web 1/1 Running 0 127.0.0.1 "));
    answer.store(500, Ordering::Relaxed);
    node.wait_for("its loss", |status| web(status).is_some_and(|pod| !pod.ready)).await;
    assert_eq!(runtime.state().stops, [""; 0]);
}

#[tokio::test]
async fn a_startup_probe_holds_back_the_others() {
    let probes = "startupProbe: {exec: {command: [up]}, periodSeconds: 1, failureThreshold: 60}, livenessProbe: {exec: {command: \
                  [alive]}, periodSeconds: 1, failureThreshold: 1}, readinessProbe: {exec: {command: [ready]}, periodSeconds: 1}";
    let Running { node, runtime, .. } = start_pod(&format!("containers: [{}]", container("c", probes)), |state| {
        state.commands.extend([("up".to_owned(), 1), ("alive".to_owned(), 1)]);
    });
    node.wait_until("some answers", || runtime.calls("ExecSync c up").len() >= 3).await;
    let status = node.status().await.unwrap();
    assert!(is(&status, "c", "running", false) && !one(&status, "c").started, "{status:#?}");
    assert_eq!((runtime.calls("ExecSync c alive").len(), runtime.calls("ExecSync c ready").len()), (0, 0));
    runtime.state().commands.clear();
    node.wait_for("the readiness", |status| is(status, "c", "running", true) && one(status, "c").started).await;
    let asked = runtime.calls("ExecSync c up").len();
    node.wait_until("liveness", || runtime.calls("ExecSync c alive").len() >= 2).await;
    assert_eq!(runtime.calls("ExecSync c up").len(), asked);
    assert_eq!(runtime.state().stops, [""; 0]);
}

#[tokio::test]
async fn hooks_run_after_the_start_and_before_the_end_within_the_grace() {
    let hooks = "lifecycle: {postStart: {exec: {command: [hello]}}, preStop: {exec: {command: [drain]}}}";
    let slow = "lifecycle: {preStop: {sleep: {seconds: 2}}}";
    let spec = format!(
        "terminationGracePeriodSeconds: 7, containers: [{}, {}]",
        container("c", hooks),
        container("slow", slow)
    );
    let Running { node, runtime, .. } = start_pod(&spec, |_| {});
    node.wait_for("the pod", |status| web(status).is_some_and(|pod| pod.ready)).await;
    assert_eq!(runtime.calls("ExecSync"), ["ExecSync c hello"]);
    node.remove(&pod_file("web"));
    node.wait_until("the end", || runtime.state().sandboxes.is_empty()).await;
    assert_eq!(runtime.state().stops, ["c 7", "slow 5"]);
    let calls = runtime.state().calls.clone();
    let place = |prefix: &str| calls.iter().position(|call| call.starts_with(prefix)).unwrap();
    assert!(place("ExecSync c drain") < place("StopContainer"), "{calls:#?}");
}

#[tokio::test]
async fn a_container_whose_post_start_hook_fails_is_ended_and_started_again() {
    let hooks = "lifecycle: {postStart: {exec: {command: [hello]}}}";
    let Running { node, runtime, .. } = start_pod(&format!("containers: [{}]", container("c", hooks)), |state| {
        state.commands.insert("hello".to_owned(), 1);
    });
    let reported = |status: &Status| {
        status.reasons.iter().any(|reason| reason.contains("its postStart hook: status 1: hello says 1"))
    };
    node.wait_for("the reason", reported).await;
    assert_eq!(runtime.state().stops, ["c 30"]);
    runtime.state().commands.clear();
    node.wait_for("the pod", |status| is(status, "c", "running", true) && status.reasons.is_empty()).await;
}

#[tokio::test]
async fn a_pod_is_ended_at_its_deadline_and_stays_so() {
    let spec = format!("activeDeadlineSeconds: 2, containers: [{}]", container("c", ""));
    let mut running = start_pod(&spec, |_| {});
    let Running { node, runtime, .. } = &mut running;
    node.wait_for("the pod", |status| is(status, "c", "running", true)).await;
    let over = |status: &Status| {
        web(status).is_some_and(|pod| pod.reason.as_deref() == Some("DeadlineExceeded") && pod.phase == "Failed")
    };
    node.wait_for("the deadline", over).await;
    node.wait_until("its end", || runtime.state().sandboxes.iter().all(|one| one.state == 1)).await;
    // Another agent knows it as well; the first must not answer for it.
    node.kill_agent().await;
    node.remove(ballast::report::socket::SOCKET);
    node.start_agent();
    node.wait_for("what is known of it", over).await;
    assert_eq!(runtime.state().starts, ["c"]);
    assert_eq!(runtime.calls("RunPodSandbox").len(), 1);
    assert!(table(node).await[1].starts_with("web 0/1 DeadlineExceeded"));
}

#[tokio::test]
async fn a_termination_message_is_shown() {
    let spec = format!(
        "restartPolicy: Never, containers: [{}, {}]",
        container("c", "terminationMessagePath: /tmp/word"),
        container("log", "terminationMessagePolicy: FallbackToLogsOnError")
    );
    let Running { node, runtime, .. } = start_pod(&spec, |_| {});
    node.wait_for("the pod", |status| web(status).is_some_and(|pod| pod.ready)).await;
    let mounts: Vec<(String, String)> = {
        let state = runtime.state();
        let mount = |one: &cri::Container| {
            one.config
                .mounts
                .iter()
                .map(|mount| (mount.container_path.clone(), mount.host_path.clone()))
                .collect::<Vec<_>>()
        };
        state.containers.iter().flat_map(mount).filter(|(_, path)| path.ends_with(".message")).collect()
    };
    assert_eq!((mounts[0].0.as_str(), mounts[1].0.as_str()), ("/tmp/word", "/dev/termination-log"));
    fs::write(&mounts[0].1, "no more\nroom").unwrap();
    fs::write(mounts[1].1.replace(".message", ".log"), "2026-11-30T10:00:00.0Z stderr F out of paper\n").unwrap();
    runtime.end("c", 1);
    runtime.end("log", 2);
    let status = node.wait_for("the end", |status| web(status).is_some_and(|pod| pod.phase == "Failed")).await;
    let word = |name: &str| one(&status, name).ended.clone().unwrap().message;
    assert_eq!((word("c").as_str(), word("log").as_str()), ("no more room", "out of paper"));
    assert!(
        status.reasons.iter().any(|reason| reason == "pod web: container c ended with status 1: no more room"),
        "{:?}",
        status.reasons
    );
}

#[tokio::test]
async fn a_job_that_fails_as_often_as_it_may_is_over() {
    let job = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: web}\nspec:\n  backoffLimit: 1\n  template:\n    spec: {restartPolicy: \
               OnFailure, containers: [{name: c, image: 'localhost/c:1'}]}\n";
    let Running { node, runtime, .. } = start(|node, runtime| {
        runtime.state().exits.insert("c".to_owned(), [3, 4, 0].into());
        node.write(&pod_file("web"), job);
    });
    let over = |status: &Status| web(status).is_some_and(|pod| pod.reason.as_deref() == Some("BackoffLimitExceeded"));
    let status = node.wait_for("the limit", over).await;
    assert_eq!(shown(&status), ["web Failed c exited 1"]);
    assert_eq!(web(&status).unwrap().message.as_deref(), Some("BackoffLimitExceeded: container c ended with status 4"));
    node.wait_until("its end", || runtime.state().sandboxes.iter().all(|one| one.state == 1)).await;
    assert_eq!(runtime.state().starts, ["c", "c"]);
}
