//! Releases on trial: what the agent does with them from end to end, on a node of files and sockets.

use ballast::{clients::cri::SOCKET as CRI_SOCKET, update::act::bless};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    process::Command,
    sync::Arc,
    time::Instant,
};

use super::fake::{Node, bus, cri};

const COUNTED: &str = "/sys/firmware/efi/efivars/LoaderBootCountPath-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
const ENTRY: &str = "/efi/loader/entries/ballast-2-20261121.1-abababababab+2-1.conf";
const BLESSED: &str = "/efi/loader/entries/ballast-2-20261121.1-abababababab.conf";
const UNTIL: &str = "/run/ballast/trial-until";
const BLESS: &str = "StartUnit systemd-bless-boot.service replace";
const KEEP_BOOTED: &str = "/run/ballast/keep-booted";
const WATCH: &str = include_str!("../../../image/root/usr/lib/systemd/system/trial-watch.service");
const REBOOT: &str = "StartUnit reboot.target replace-irreversibly";

/// A node that systemd-boot counted a boot of, and what runs there.
struct Running {
    node: Node,
    runtime: Arc<cri::Runtime>,
    systemd: bus::Systemd,
}

fn start(prepare: impl FnOnce(&Node, &bus::Systemd)) -> Running {
    let mut node = Node::new();
    count(&node, ENTRY);
    let options = format!("options ballast.deployment={}.0\n", "ab".repeat(32));
    node.write(ENTRY, &format!("title Ballast\nversion 20261121.1\n{options}"));
    let deployment = format!("/sysroot/ostree/deploy/ballast/deploy/{}.0", "ab".repeat(32));
    fs::create_dir_all(node.path(&deployment)).unwrap();
    let origin =
        format!("[ballast]\ndigest=sha256:{}\nversion=20261121.1\nimage=r.example/os:stable\n", "1".repeat(64));
    node.write(&format!("{deployment}.origin"), &origin);
    let (runtime, systemd) = (cri::Runtime::new(), bus::Systemd::default());
    systemd.state().active_state = "active".to_owned();
    systemd.state().main_pid = 100;
    prepare(&node, &systemd);
    runtime.serve(&node.path(CRI_SOCKET));
    systemd.serve(&node.path("/run/dbus/system_bus_socket"));
    node.start_agent();
    Running { node, runtime, systemd }
}

/// What systemd-boot leaves of the entry that it counted.
fn count(node: &Node, entry: &str) {
    let path = entry.strip_prefix("/efi").unwrap().replace('/', "\\");
    let units = path.encode_utf16().chain([0]).flat_map(u16::to_le_bytes);
    node.write_bytes(COUNTED, &[6, 0, 0, 0].into_iter().chain(units).collect::<Vec<_>>());
}

fn check(node: &Node, name: &str, text: &str) {
    let path = format!("/var/lib/ballast/health.d/{name}");
    node.write(&format!("{path}.new"), &format!("#!/bin/sh\n{text}\n"));
    fs::set_permissions(node.path(&format!("{path}.new")), fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(node.path(&format!("{path}.new")), node.path(&path)).unwrap();
}

fn was_called(systemd: &bus::Systemd, call: &str) -> usize {
    systemd.state().calls.iter().filter(|one| *one == call).count()
}

/// Long after the end of a trial that began at 4 s.
fn let_time_pass(node: &Node) {
    node.write("/proc/uptime", "4000.00 0.20\n");
}

/// Until `done`, time runs ten times as fast as it does, from 4 s on; on each look at it the agent is woken up.
async fn wait_in_a_hurry(node: &Node, what: &str, done: impl Fn() -> bool) {
    node.wait_until("the trial's end to be set", || node.path(UNTIL).exists()).await;
    let start = Instant::now();
    node.wait_until(what, || {
        node.write("/proc/uptime.new", &format!("{:.2} 0.20\n", 4.0 + 10.0 * start.elapsed().as_secs_f64()));
        fs::rename(node.path("/proc/uptime.new"), node.path("/proc/uptime")).unwrap();
        node.write("/var/lib/ballast/pods/.wake", "");
        done()
    })
    .await;
}

#[tokio::test]
async fn a_healthy_release_is_blessed_once() {
    let Running { node, systemd, .. } = start(|node, _| check(node, "db", "exit 0"));
    wait_in_a_hurry(&node, "the blessing", || was_called(&systemd, BLESS) == 1).await;
    assert_eq!(node.read(UNTIL), "304\n");
    // As systemd-bless-boot.service does it: a new file, never the counted one under another name.
    node.write("/proc/self/mountinfo", "");
    let counted = fs::File::open(node.path(ENTRY)).unwrap();
    bless::bless(&node.host).await.unwrap();
    assert_ne!(fs::metadata(node.path(BLESSED)).unwrap().ino(), counted.metadata().unwrap().ino());
    assert!(!node.path(ENTRY).exists());
    assert_eq!(bless::bless(&node.host).await.unwrap(), format!("{} is blessed already", &BLESSED["/efi/".len()..]));
    node.wait_for("the blessed entry", |status| {
        status.ready && status.deployments.iter().all(|deployment| deployment.state != "trial")
    })
    .await;
    let_time_pass(&node);
    node.write("/var/lib/ballast/health.d/x", "wakes the agent");
    node.wait_for("the next pass", |status| status.reasons.iter().any(|reason| reason.starts_with("health check x")))
        .await;
    assert_eq!((was_called(&systemd, BLESS), was_called(&systemd, REBOOT)), (1, 0));
}

#[tokio::test]
async fn r12_an_entry_that_was_blessed_meanwhile_is_left_alone() {
    let Running { node, systemd, .. } = start(|node, systemd| {
        fs::rename(node.path(ENTRY), node.path(BLESSED)).unwrap();
        systemd.state().failed = vec!["a.service".to_owned()];
        let_time_pass(node);
    });
    node.wait_for("the failed unit", |status| status.reasons == ["unit a.service failed"]).await;
    assert_eq!(systemd.state().calls, [""; 0]);
    assert!(!node.path(UNTIL).exists());
}

#[tokio::test]
async fn r07_a_failed_unit_is_waited_for_and_then_left_by_a_reboot() {
    let Running { node, systemd, .. } = start(|_, systemd| systemd.state().failed = vec!["a.service".to_owned()]);
    node.wait_until("the trial's end to be set", || node.path(UNTIL).exists()).await;
    node.wait_for("the failed unit", |status| status.reasons == ["unit a.service failed"]).await;
    assert_eq!(systemd.state().calls, [""; 0]);
    let_time_pass(&node);
    node.write("/var/lib/ballast/health.d/wake", "");
    node.wait_until("the reboot", || was_called(&systemd, REBOOT) == 1).await;
    // What fails on the way down is not why.
    systemd.state().failed.push("b.service".to_owned());
    node.write("/var/lib/ballast/health.d/wake", "again");
    node.wait_for("another pass", |status| status.reasons.iter().any(|reason| reason.contains("b.service"))).await;
    assert_eq!((was_called(&systemd, BLESS), was_called(&systemd, REBOOT)), (0, 1));
    let remembered = node.read("/var/lib/ballast/update.json");
    assert!(remembered.contains("unit a.service failed") && !remembered.contains("b.service"), "{remembered}");
}

#[tokio::test]
async fn a_check_that_fails_is_run_until_it_passes() {
    let Running { node, systemd, .. } = start(|node, _| {
        let flag = node.path("/run/flag");
        check(node, "db", &format!("test -e {} || {{ echo no answer; exit 1; }}", flag.display()));
    });
    let reason = "health check db failed (exit status: 1): no answer";
    node.wait_for("the failure", |status| status.reasons == [reason]).await;
    assert_eq!(was_called(&systemd, BLESS), 0);
    node.write("/run/flag", "");
    wait_in_a_hurry(&node, "the blessing", || was_called(&systemd, BLESS) == 1).await;
}

#[tokio::test]
async fn a_blessing_that_fails_is_reported() {
    let Running { node, systemd, .. } = start(|_, systemd| systemd.state().results.push_back("dependency".to_owned()));
    let reason = "blessing the boot entry failed: starting systemd-bless-boot.service: a unit that it requires failed";
    wait_in_a_hurry(&node, "the blessing", || was_called(&systemd, BLESS) == 1).await;
    node.wait_for("the failure", |status| status.reasons == [reason]).await;
    node.wait_until("another attempt", || was_called(&systemd, BLESS) == 2).await;
}

#[tokio::test]
async fn an_agent_that_is_restarted_gives_no_more_time() {
    let mut running = start(|_, systemd| systemd.state().failed = vec!["a.service".to_owned()]);
    let Running { node, systemd, .. } = &mut running;
    node.wait_until("the trial's end to be set", || node.path(UNTIL).exists()).await;
    node.kill_agent().await;
    let_time_pass(node);
    node.start_agent();
    node.wait_until("the reboot", || was_called(systemd, REBOOT) == 1).await;
    assert_eq!(node.read(UNTIL), "304\n");
}

#[tokio::test]
async fn the_settings_say_how_long_a_trial_may_take_and_what_is_wrong_with_them() {
    let Running { node, runtime, .. } = start(|node, systemd| {
        systemd.state().failed = vec!["a.service".to_owned()];
        node.write("/var/lib/ballast/settings.toml", "[health]\ndeadline = \"30s\"\nnetwrok = true\n");
    });
    let wrong = "/var/lib/ballast/settings.toml:3:1: health.netwrok: there is no such key; did you mean network?";
    let status = node.wait_for("the problem", |status| status.reasons.iter().any(|reason| reason == wrong)).await;
    assert!(status.ready, "{status:#?}");
    node.wait_until("the trial's end to be set", || node.path(UNTIL).exists()).await;
    assert_eq!(node.read(UNTIL), "34\n");
    assert!(runtime.calls("RunPodSandbox").is_empty());
}

/// Whether trial-watch.service would fail on `node`, and PID 1 then reboot it.
fn watch_fails(node: &Node) -> bool {
    let (_, rest) = WATCH.split_once("ExecStart=/bin/sh -c '").unwrap();
    let (script, _) = rest.split_once('\'').unwrap();
    let mut script = script.replace("\\\n", "").replace("$$", "$");
    for path in ["/proc/", "/run/", "/usr/lib/"] {
        script = script.replace(path, &format!("{}/", node.path(path).display()));
    }
    let bless = "/usr/lib/systemd/systemd-bless-boot";
    node.write(bless, "#!/bin/sh\necho indeterminate\n");
    fs::set_permissions(node.path(bless), fs::Permissions::from_mode(0o755)).unwrap();
    !Command::new("/bin/sh").arg("-c").arg(script).status().unwrap().success()
}

#[tokio::test]
async fn a_bad_release_stays_up_if_no_other_could_boot() {
    let Running { node, systemd, .. } = start(|node, systemd| {
        systemd.state().failed = vec!["a.service".to_owned()];
        let used_up = ENTRY.replace("+2-1", "+0-3");
        fs::rename(node.path(ENTRY), node.path(&used_up)).unwrap();
        count(node, &used_up);
    });
    node.wait_until("the trial's end to be set", || node.path(UNTIL).exists()).await;
    assert!(!watch_fails(&node), "the watch does not let the agent decide");
    let_time_pass(&node);
    assert!(watch_fails(&node), "the watch does not end a trial that nobody decides");
    node.write("/var/lib/ballast/health.d/wake", "");
    let reported =
        "it was not healthy in time: unit a.service failed; no other release could boot, so this one stays up";
    node.wait_for("the sentence", |status| status.reasons.iter().any(|reason| reason == reported)).await;
    node.wait_until("the mark for the watch", || node.path(KEEP_BOOTED).exists()).await;
    assert!(!watch_fails(&node), "the watch reboots what the agent keeps");
    assert_eq!(was_called(&systemd, REBOOT), 0);
}
