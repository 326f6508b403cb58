//! What the agent does from end to end, on a node of files and sockets.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

mod api;
mod clusters;
mod damaged;
mod disk;
mod fake;
mod kubelet;
mod metrics;
mod operations;
mod pods;
mod probes;
mod settings;
mod slow_disk;
mod trial;
mod upgrades;

use std::{fs, os::unix::fs::PermissionsExt};

use ballast::clients::cri::SOCKET as CRI_SOCKET;
use fake::{Node, RESOLV_CONF, bus, cri, shown, transfer, wire};

const BUS_SOCKET: &str = "/run/dbus/system_bus_socket";
const RECORD: &str = r#"{"steps":[{"name":"root","start_us":1500000,"end_us":1510000}],
    "start":{"uptime_us":1470000,"busy_us":1},"end":{"uptime_us":1560000,"busy_us":2}}"#;

/// A node on which containerd and systemd run, and an agent.
struct Running {
    node: Node,
    runtime: std::sync::Arc<cri::Runtime>,
    systemd: bus::Systemd,
}

fn start(prepare: impl FnOnce(&Node, &cri::Runtime)) -> Running {
    let mut node = Node::new();
    let runtime = cri::Runtime::new();
    runtime.state().images = vec!["localhost/c:1".to_owned(), "localhost/c:2".to_owned()];
    prepare(&node, &runtime);
    let systemd = bus::Systemd::default();
    systemd.state().active_state = "active".to_owned();
    systemd.state().main_pid = 100;
    runtime.serve(&node.path(CRI_SOCKET));
    systemd.serve(&node.path(BUS_SOCKET));
    node.start_agent();
    Running { node, runtime, systemd }
}

fn manifest(name: &str, image: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\nspec:\n  containers:\n  - name: c\n    image: {image}\n"
    )
}

fn pod_file(name: &str) -> String {
    format!("/var/lib/ballast/pods/{name}.yaml")
}

#[tokio::test]
async fn ready_is_reported_once_with_the_figures_of_the_boot() {
    let mut running = start(|node, _| node.write("/run/ballast/initramfs.json", RECORD));
    let status = running.node.wait_for("READY", |status| status.ready && !status.runtime.name.is_empty()).await;
    assert_eq!((status.runtime.name.as_str(), status.runtime.version.as_str()), ("fake", "1.0"));
    assert_eq!((status.os.version.as_str(), status.node.hostname.as_str()), ("20261121.1", "node-1"));
    assert_eq!(status.os.commit, Some("ab".repeat(32)));
    let line =
        "ballast 20261121.1: READY in 4.310 s (kernel 1.470 s, initramfs 0.090 s, userspace 2.750 s; busy 4.160 s)";
    assert_eq!(running.node.read("/dev/console").trim_end(), line);
    let socket = fs::metadata(running.node.path("/run/ballast/agent.sock")).unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);

    running.node.kill_agent().await;
    running.node.write("/dev/console", "");
    running.node.start_agent();
    let again = running.node.wait_for("READY again", |status| status.ready).await;
    assert_eq!(again.boot, status.boot);
    assert_eq!(running.node.read("/dev/console"), "");
}

#[tokio::test]
async fn a_screen_shows_how_the_node_is() {
    let Running { node, .. } = start(|node, _| node.write("/dev/tty1", ""));
    let shows = |text: &str| node.read("/dev/tty1").contains(text);
    node.wait_until("the screen", || shows("node-1  READY\r\n") && shows("Nothing is wrong.")).await;
    node.write(&pod_file("a"), "kind: Pod\n");
    node.wait_until("the problem", || shows("node-1  READY, degraded\r\n") && shows("! /var/lib/ballast/pods/a.yaml"))
        .await;
    assert!(!shows("Nothing is wrong."));
}

#[tokio::test]
async fn a_runtime_that_is_not_there_yet_is_waited_for() {
    let mut node = Node::new();
    let runtime = cri::Runtime::new();
    runtime.state().is_ready = false;
    node.start_agent();
    let status = node.wait_for("a first status", |status| !status.reasons.is_empty()).await;
    assert!(!status.ready && status.reasons[0].starts_with("container runtime does not run: "), "{status:#?}");
    runtime.serve(&node.path(CRI_SOCKET));
    let says = |reason: &'static str| move |status: &ballast::report::status::Status| status.reasons == [reason];
    let status = node
        .wait_for("its answer", says("container runtime is not ready: Starting; see ballast logs containerd"))
        .await;
    assert!(!status.ready);
    runtime.state().is_ready = true;
    node.wait_for("READY", |status| status.ready).await;
}

#[tokio::test]
async fn s06_a_broken_var_does_not_keep_the_node_from_being_ready() {
    let Running { node, .. } = start(|node, _| node.write("/var/lib", "not a folder"));
    let status = node.wait_for("READY", |status| status.ready && !status.reasons.is_empty()).await;
    let reported = |reason: &String| reason.starts_with("/var/lib/ballast/pods: Not a directory");
    assert!(status.reasons.iter().any(reported), "{:?}", status.reasons);
}

#[tokio::test]
async fn a_pod_runs_is_changed_and_removed_with_its_file() {
    let with_volume = |image: &str| manifest("web", image) + "  volumes:\n  - name: data\n    emptyDir: {}\n";
    let Running { node, runtime, .. } = start(|node, _| node.write(&pod_file("web"), &with_volume("localhost/c:1")));
    node.wait_for("the pod", |status| shown(status) == ["web Running c running 0"]).await;

    node.write(&pod_file("web"), &with_volume("localhost/c:2"));
    let image = |runtime: &cri::Runtime| {
        let image = |one: &cri::Container| one.config.image.clone().unwrap().image;
        runtime.state().containers.iter().map(image).collect::<Vec<_>>()
    };
    node.wait_until("the changed pod", || image(&runtime) == ["localhost/c:2"]).await;
    node.wait_for("it to run", |status| shown(status) == ["web Running c running 0"]).await;
    assert_eq!(runtime.calls("StopContainer").len(), 1);

    node.remove(&pod_file("web"));
    node.wait_until("its end", || runtime.state().sandboxes.is_empty()).await;
    node.wait_for("an empty node", |status| status.pods.is_empty()).await;
    let volumes = || fs::read_dir(node.path("/var/lib/ballast/volumes")).unwrap().count();
    node.wait_until("its volumes to go", || volumes() == 0).await;
}

#[tokio::test]
async fn a_bad_manifest_keeps_others_and_itself_running() {
    let Running { node, runtime, .. } = start(|node, _| {
        node.write(&pod_file("a"), &manifest("a", "localhost/c:1"));
        node.write(&pod_file("b"), &manifest("b", "localhost/c:1"));
    });
    let both = ["a Running c running 0", "b Running c running 0"];
    node.wait_for("both pods", |status| shown(status) == both).await;
    node.write(&pod_file("a"), &manifest("a", "localhost/c:1").replace("image:", "imagee:"));
    let status = node.wait_for("the problem", |status| !status.reasons.is_empty()).await;
    let reason =
        "/var/lib/ballast/pods/a.yaml:8: spec.containers[0].imagee: unknown field, expected one of name, image";
    assert!(status.reasons.iter().any(|reported| reported.starts_with(reason)), "{:?}", status.reasons);
    assert!(status.ready);
    assert_eq!(shown(&status), both);
    // Even if it ends now, it is started again as it was.
    runtime.end("c", 1);
    let restarted = ["a Running c running 1", "b Running c running 1"];
    node.wait_for("both again", |status| shown(status) == restarted).await;
    assert_eq!(runtime.calls("RunPodSandbox").len(), 2);
}

#[tokio::test]
async fn pods_run_again_after_a_reboot_and_orphans_go() {
    let mut running = start(|node, _| {
        node.write(&pod_file("a"), &manifest("a", "localhost/c:1"));
        node.write(&pod_file("b"), &manifest("b", "localhost/c:1"));
    });
    let Running { node, runtime, .. } = &mut running;
    node.wait_for("both pods", |status| shown(status) == ["a Running c running 0", "b Running c running 0"]).await;
    node.kill_agent().await;
    runtime.reboot();
    node.remove(&pod_file("b"));
    node.start_agent();
    node.wait_for("the pod again", |status| shown(status) == ["a Running c running 1"]).await;
    node.wait_until("the old sandboxes to go", || runtime.state().sandboxes.len() == 1).await;
    let state = runtime.state();
    assert_eq!(state.sandboxes[0].metadata.as_ref().map(|metadata| metadata.attempt), Some(1));
    let left: Vec<u32> = state.containers.iter().map(cri::Container::attempt).collect();
    assert_eq!(left, [1]);
}

#[tokio::test]
async fn a_container_that_crashes_is_started_at_once_and_then_waited_for() {
    let Running { node, runtime, .. } = start(|node, runtime| {
        runtime.state().exit_at_once = Some(3);
        node.write(&pod_file("web"), &manifest("web", "localhost/c:1"));
    });
    let status = node.wait_for("the back-off", |status| shown(status) == ["web Running c waiting 1"]).await;
    assert_eq!(status.reasons, ["pod web: container c ends again and again, with status 3"]);
    assert_eq!(runtime.calls("StartContainer").len(), 2);
}

#[tokio::test]
async fn a_reboot_ends_the_wait_of_a_container_that_crashed() {
    let mut running = start(|node, runtime| {
        runtime.state().exit_at_once = Some(3);
        node.write(&pod_file("web"), &manifest("web", "localhost/c:1"));
    });
    let Running { node, runtime, .. } = &mut running;
    node.wait_for("the back-off", |status| shown(status) == ["web Running c waiting 1"]).await;
    node.kill_agent().await;
    runtime.state().exit_at_once = None;
    runtime.reboot();
    node.write("/proc/sys/kernel/random/boot_id", "another\n");
    node.start_agent();
    // The back-off would be longer than what a test waits for.
    node.wait_for("the pod", |status| shown(status) == ["web Running c running 2"]).await;
}

#[tokio::test]
async fn an_image_that_cannot_be_pulled_is_named_and_holds_up_no_other_container() {
    let Running { node, runtime, .. } = start(|node, runtime| {
        runtime.state().missing = vec!["quay.io/no:1".to_owned()];
        let text = manifest("web", "quay.io/no:1") + "  - name: d\n    image: quay.io/yes:1\n";
        node.write(&pod_file("web"), &text);
    });
    let expected = ["web Pending c waiting 0 d running 0"];
    let status = node.wait_for("the second container", |status| shown(status) == expected).await;
    assert_eq!(status.reasons, ["pod web: container c: pulling quay.io/no:1: PullImage: quay.io/no:1: not found"]);
    assert_eq!(runtime.calls("PullImage"), ["PullImage quay.io/no:1", "PullImage quay.io/yes:1"]);
}

#[tokio::test]
async fn an_archive_of_the_image_is_imported_once_for_all_that_need_it() {
    let applied = ["localhost/ballast/pause:1", "localhost/preloaded:1"];
    // More than the runtime takes at a time.
    let archive = transfer::archive(&applied, 100_000);
    let Running { node, runtime, .. } = start(|node, _| {
        node.write_bytes("/usr/lib/ballast/images/preloaded.tar", &archive);
        // A damaged archive costs nothing but itself.
        node.write_bytes("/usr/lib/ballast/images/damaged.tar", &archive[..600]);
        node.write(&pod_file("a"), &manifest("a", "localhost/preloaded:1"));
        node.write(&pod_file("b"), &manifest("b", "localhost/preloaded:1"));
    });
    let both = ["a Running c running 0", "b Running c running 0"];
    node.wait_for("both pods", |status| shown(status) == both).await;
    assert_eq!(runtime.calls("Transfer"), [format!("Transfer of {} bytes", archive.len())]);
}

#[tokio::test]
async fn an_archive_that_the_runtime_refuses_is_named() {
    let Running { node, runtime, .. } = start(|node, runtime| {
        runtime.state().refuses_archives = true;
        let archive = transfer::archive(&["localhost/preloaded:1"], 100_000);
        node.write_bytes("/usr/lib/ballast/images/preloaded.tar", &archive);
        node.write(&pod_file("a"), &manifest("a", "localhost/preloaded:1"));
    });
    let status = node.wait_for("the refusal", |status| status.ready && !status.reasons.is_empty()).await;
    let path = node.path("/usr/lib/ballast/images/preloaded.tar");
    let reason = format!("pod a: container c: importing {}: Transfer: no space left on device", path.display());
    assert_eq!(status.reasons, [reason]);
    assert!(runtime.calls("Transfer").is_empty());
}

#[tokio::test]
async fn images_that_the_disk_was_built_with_are_not_imported() {
    let Running { node, runtime, .. } = start(|node, _| {
        node.write_bytes("/usr/lib/ballast/images/preloaded.tar", &transfer::archive(&["localhost/c:1"], 1));
        node.write(&pod_file("a"), &manifest("a", "localhost/c:1"));
    });
    node.wait_for("the pod", |status| shown(status) == ["a Running c running 0"]).await;
    assert!(runtime.calls("Transfer").is_empty());
}

#[tokio::test]
async fn pods_wait_for_name_servers_and_are_given_them() {
    let Running { node, runtime, .. } = start(|node, _| {
        node.remove(RESOLV_CONF);
        node.write(&pod_file("own"), &manifest("own", "localhost/c:1"));
        node.write(&pod_file("host"), &(manifest("host", "localhost/c:1") + "  hostNetwork: true\n"));
    });
    let first = ["host Running c running 0", "own Pending c waiting 0"];
    let status = node.wait_for("the pod on the host's network", |status| shown(status) == first).await;
    assert_eq!(status.reasons, ["pod own: waits for the network to name its name servers"]);
    node.write(RESOLV_CONF, "nameserver 192.0.2.1\nnameserver 192.0.2.2\noptions edns0\nsearch a b\n");
    let both = ["host Running c running 0", "own Running c running 0"];
    node.wait_for("the other pod", |status| shown(status) == both).await;
    let given = wire::Dns {
        servers: vec!["192.0.2.1".to_owned(), "192.0.2.2".to_owned()],
        searches: vec!["a".to_owned(), "b".to_owned()],
        options: vec!["edns0".to_owned()],
    };
    assert_eq!(runtime.state().dns, [None, Some(given)]);
}

#[tokio::test]
async fn pods_start_in_the_end_without_name_servers() {
    let Running { node, runtime, .. } = start(|node, _| {
        node.write(RESOLV_CONF, "# No DNS servers known.\nsearch .\n");
        node.write(&pod_file("own"), &manifest("own", "localhost/c:1"));
    });
    node.wait_for("the pod", |status| shown(status) == ["own Running c running 0"]).await;
    assert_eq!(runtime.state().dns, [None]);
}

#[tokio::test]
async fn v01_pods_are_kept_while_the_runtime_is_away() {
    let mut node = Node::new();
    let runtime = cri::Runtime::new();
    runtime.state().images = vec!["localhost/c:1".to_owned()];
    let server = runtime.serve(&node.path(CRI_SOCKET));
    node.write(&pod_file("web"), &manifest("web", "localhost/c:1"));
    node.start_agent();
    node.wait_for("the pod", |status| shown(status) == ["web Running c running 0"]).await;
    server.abort();
    assert!(server.await.unwrap_err().is_cancelled());
    let status = node.wait_for("the loss", |status| !status.ready).await;
    assert_eq!(shown(&status), ["web Running c running 0"]);
    runtime.serve(&node.path(CRI_SOCKET));
    let status = node.wait_for("READY again", |status| status.ready && status.runtime.name == "fake").await;
    assert_eq!(shown(&status), ["web Running c running 0"]);
    assert_eq!(runtime.calls("RunPodSandbox").len(), 1);
}

#[tokio::test]
async fn v02_a_hung_runtime_is_killed_once() {
    let Running { node, runtime, systemd } = start(|_, _| {});
    node.wait_for("READY", |status| status.ready).await;
    runtime.state().is_silent = true;
    let killed = "KillUnit containerd.service main 9";
    node.wait_until("the kill", || systemd.state().calls.iter().any(|call| call == killed)).await;
    let status = node.status().await.unwrap();
    assert_eq!(
        (status.ready, status.reasons.as_slice()),
        (false, &["container runtime does not answer; see ballast logs containerd".to_owned()][..])
    );
    // It hangs on for two more probes, and is not killed again.
    tokio::time::sleep(std::time::Duration::from_secs(13)).await;
    assert_eq!(systemd.state().calls, [killed]);
    runtime.state().is_silent = false;
    systemd.state().restarts = 1;
    systemd.state().main_pid = 101;
    let status = node.wait_for("READY again", |status| status.ready).await;
    assert_eq!(status.runtime.restarts, 1);
}

#[tokio::test]
async fn a_runtime_that_systemd_gave_up_is_started() {
    let mut node = Node::new();
    let systemd = bus::Systemd::default();
    systemd.state().active_state = "failed".to_owned();
    systemd.serve(&node.path(BUS_SOCKET));
    node.start_agent();
    let start = ["ResetFailedUnit containerd.service", "StartUnit containerd.service replace"];
    node.wait_until("the start", || systemd.state().calls == start).await;
}

#[tokio::test]
async fn v09_a_failed_unit_is_named_and_the_node_stays_ready() {
    let Running { node, systemd, .. } = start(|_, _| {});
    node.wait_for("READY", |status| status.ready).await;
    systemd.state().failed = vec!["demo.service".to_owned()];
    let status = node.wait_for("the reason", |status| !status.reasons.is_empty()).await;
    assert_eq!((status.ready, status.reasons), (true, vec!["unit demo.service failed".to_owned()]));
}
