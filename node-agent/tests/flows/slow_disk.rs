//! A disk that does not answer: the agent's only thread never waits for it, so its sockets answer and systemd's watchdog hears of it.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use ballast::{
    clients::cri::SOCKET as CRI_SOCKET,
    settings::model::{Change, Command as Settings, Edit},
    update::model::{Command as Releases, Target},
};
use tokio::{
    net::UnixDatagram,
    time::{sleep, timeout},
};

use super::{
    BUS_SOCKET,
    fake::{Node, bus, cri, shown},
    manifest, pod_file,
    upgrades::{ENTRIES, prepare, upgrade},
};

/// What systemd would kill the agent after, if it heard nothing.
const WATCHDOG: Duration = Duration::from_secs(3);

/// Longer than that the disk does not answer.
const HELD: Duration = Duration::from_secs(5);

/// Compiles what stands before libc, as rustc links: with cc.
fn shim(folder: &Path) -> std::path::PathBuf {
    let (source, library) =
        (concat!(env!("CARGO_MANIFEST_DIR"), "/tests/flows/fake/slow_disk.c"), folder.join("slow_disk.so"));
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).output();
    let compiled = compiled.unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    library
}

/// When the agent notified systemd that it is alive.
fn watch(socket: UnixDatagram) -> Arc<Mutex<Vec<Instant>>> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hearing = Arc::clone(&heard);
    tokio::spawn(async move {
        let mut reported = [0; 4096];
        while let Ok(count) = socket.recv(&mut reported).await {
            if reported[..count].starts_with(b"WATCHDOG=1") {
                hearing.lock().unwrap().push(Instant::now());
            }
        }
    });
    heard
}

#[tokio::test]
async fn the_agents_thread_never_waits_for_a_disk() {
    let node = Node::new();
    prepare(&node);
    let runtime = cri::Runtime::new();
    runtime.state().images = vec!["localhost/c:1".to_owned()];
    runtime.serve(&node.path(CRI_SOCKET));
    let systemd = bus::Systemd::default();
    systemd.state().active_state = "active".to_owned();
    systemd.serve(&node.path(BUS_SOCKET));
    let (root, notify) = (node.path("/"), node.path("/run/notify"));
    let heard = watch(UnixDatagram::bind(&notify).unwrap());
    let shim = shim(&root);
    let ballast = |arguments: &[&str]| {
        let mut ballast = tokio::process::Command::new(env!("CARGO_BIN_EXE_ballast"));
        ballast.arg("--root").arg(&root).args(arguments).env("LD_PRELOAD", &shim);
        ballast.env("SLOW_DISK", root.to_str().unwrap().trim_end_matches('/'));
        ballast
    };
    let mut agent = ballast(&["agent"]);
    agent.env("NOTIFY_SOCKET", &notify).env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
    let mut agent = agent.env_remove("WATCHDOG_PID").kill_on_drop(true).spawn().unwrap();
    node.wait_for("READY", |status| status.ready).await;

    // All that goes on in a node's life.
    node.write("/recording", "");
    node.write(&pod_file("web"), &(manifest("web", "localhost/c:1") + "  volumes:\n  - name: v\n    emptyDir: {}\n"));
    node.wait_for("the pod", |status| shown(status) == ["web Running c running 0"]).await;
    node.operate(Releases::Pin(Target { release: "20261121.1".to_owned() })).await.unwrap();
    node.operate(upgrade(|_| {})).await.unwrap();
    let edit = Edit::Set { key: "hostname".to_owned(), value: "slow".to_owned() };
    let change = Settings::Change(Change { edit, dry_run: false, try_secs: Some(600) });
    node.change(change).await.1.unwrap();
    node.change(Settings::Confirm).await.1.unwrap();
    node.operate(Releases::Rollback { reboot: false }).await.unwrap();
    node.remove(&pod_file("web"));
    node.wait_for("an empty node", |status| status.pods.is_empty()).await;
    let asked = fs::read_to_string(node.path("/asked")).unwrap_or_default();
    assert_eq!(asked, "", "the agent's only thread asked the disk itself");
    // A program that does it is found.
    assert!(ballast(&["settings", "boot"]).status().await.unwrap().success());
    let asked = node.read("/asked");
    assert!(asked.contains("open /var/lib/ballast/settings.toml\n"), "{asked}");

    // The loop itself has to write something down, and the disk does not answer.
    node.write("/hold", "");
    let failed = format!("version 20261122.1\nlinux /a\ninitrd /b\noptions ballast.deployment={}.0\n", "b".repeat(64));
    node.write(&format!("{ENTRIES}/ballast-9-20261122.1-bbbbbbbbbbbb+0-3.conf"), &failed);
    node.write("/var/lib/ballast/pods/.wakes-the-agent", "");
    let held = Instant::now();
    while held.elapsed() < HELD {
        assert!(agent.try_wait().unwrap().is_none(), "the agent is gone");
        let answer = timeout(Duration::from_secs(1), node.status()).await;
        assert!(answer.is_ok_and(|status| status.is_some()), "no answer after {:?}", held.elapsed());
        sleep(Duration::from_millis(100)).await;
    }
    let memory = "/var/lib/ballast/update.json";
    assert!(!node.read(memory).contains("did not become healthy"), "the disk did not wait");
    let heard = heard.lock().unwrap().clone();
    let gaps = heard.windows(2).map(|two| two[1] - two[0]).chain(heard.last().map(Instant::elapsed));
    assert!(gaps.max().is_some_and(|gap| gap < WATCHDOG), "systemd would have killed the agent");

    node.remove("/hold");
    node.wait_until("the release is written down", || node.read(memory).contains("did not become healthy")).await;
}
