//! What is recorded: each begins with a node that is up, and ends with the machine. What the node has answered for is noted.

use std::any::Any;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use qemu_vm::cluster::{ControlPlane, Wanted};
use qemu_vm::crash::breach::UPGRADE;
use qemu_vm::crash::marks::Promise;
use qemu_vm::crash::record::Recorder;
use qemu_vm::credentials::Credential;
use qemu_vm::deadline::Deadline;
use qemu_vm::disk::Bus;
use qemu_vm::guest::quote;
use qemu_vm::installed::{Boot, Installed, TRIES};
use qemu_vm::node::Node;
use qemu_vm::release::PodImage;
use qemu_vm::releases::Ended;
use qemu_vm::settings::{Said, apply, set};
use serde_json::json;

use super::{SETTINGS, settings_around_an_upgrade};
use crate::cluster::{NAME, is_connected};
use crate::install::grown;

/// What must not end before the states are booted.
pub(super) type Kept = Option<Box<dyn Any>>;

/// What the agent remembers of releases, on VAR.
const MEMORY: &str = "/lib/ballast/update.json";
const PODS: &str = "/var/lib/ballast/pods";
/// The certificate of a membership and its key, on VAR.
const CLIENT: &str = "/lib/ballast/clusters/prod/client.pem";
/// Eight minutes from five minutes ago: renewed within three minutes.
const CERTIFICATES: Duration = Duration::from_secs(8 * 60);
/// Until then a certificate is renewed, on a busy host.
const RENEWED: u64 = 480;

/// The release that the node before it is upgraded to.
const NEXT: &str = "20261122.1";

/// The first boot: identities, settings of the platform, growing, blessing.
pub(super) fn first_boot(host: &mut Installed<'_>, recorder: &mut Recorder) -> Result<Kept> {
    host.options.credentials.push(Credential::new("ballast.settings", "runtime.pids_limit = 1000\n")?);
    host.record(&recorder.recording);
    let mut node = host.boot()?;
    grown(&mut node)?;
    recorder.mark("grown and blessed")?;
    node.power_off()?;
    Ok(None)
}

/// Records an upgrade to the release called `name`, up to the reboot into it.
fn until_counted_boot(host: &mut Installed<'_>, recorder: &mut Recorder, name: &str) -> Result<()> {
    host.record(&recorder.recording);
    let mut node = host.restored()?;
    recorder.mark(UPGRADE)?;
    Ended::of(&mut node.guest, &["upgrade", name])?.done()?;
    recorder.answered_release("upgrade")?;
    node.reboot_to_exit()
}

/// An upgrade to its end: fetched, deployed, committed, counted, blessed, what is old collected.
pub(super) fn upgrade(host: &mut Installed<'_>, recorder: &mut Recorder) -> Result<Kept> {
    let (_, name) = host.publish(host.release(NEXT)?.other_kernel()?.bulk(100_000))?;
    until_counted_boot(host, recorder, &name)?;
    // The boot loader counts through the firmware's driver, whose rename may lose the entry: then it is the old one again.
    recorder.promised("the counted boot begins", Promise::Any)?;
    let mut node = host.boot()?;
    recorder.promised("blessed", Promise::New)?;
    Ended::of(&mut node.guest, &["collect"])?.done()?;
    recorder.mark("collected")?;
    node.power_off()?;
    Ok(None)
}

/// Settings: set, tried, confirmed.
pub(super) fn settings(host: &mut Installed<'_>, recorder: &mut Recorder) -> Result<Kept> {
    host.record(&recorder.recording);
    let mut node = host.restored()?;
    for number in 1..=5 {
        recorder.mark("settings set begins")?;
        set(&mut node.guest, "runtime.pids_limit", &(1000 + number).to_string())?;
        recorder.answered("settings set", SETTINGS, Some(&(1000 + number).to_string()))?;
    }
    recorder.mark("settings set --try begins")?;
    Said::of(&mut node.guest, &["set", "hostname", "tried", "--try", "10m"])?.done()?;
    // What is tried may be taken back by any boot that follows.
    recorder.answered("settings set --try", SETTINGS, Some("1005"))?;
    Said::of(&mut node.guest, &["confirm"])?.done()?;
    recorder.answered("settings confirm", SETTINGS, Some("tried"))?;
    node.power_off()?;
    Ok(None)
}

/// The release is pinned, then back to the one before.
pub(super) fn rollback(host: &mut Installed<'_>, recorder: &mut Recorder) -> Result<Kept> {
    let (new, name) = host.publish(host.release(NEXT)?.other_kernel()?)?;
    let node = host.restored()?;
    host.upgrade_and_reboot(node, &name)?;
    host.boot()?.power_off()?;
    host.record(&recorder.recording);
    let mut node = host.boot()?;
    recorder.mark("pin begins")?;
    Ended::of(&mut node.guest, &["pin", NEXT])?.done()?;
    recorder.answered("pin", MEMORY, Some(&new.digest))?;
    recorder.mark("rollback begins")?;
    Ended::of(&mut node.guest, &["rollback"])?.done()?;
    recorder.answered_release("rollback")?;
    node.reboot_to_exit()?;
    host.boot()?.power_off()?;
    Ok(None)
}

/// A release whose kernel finds no /init: three tries, then the old one again, which remembers it.
pub(super) fn fallback(host: &mut Installed<'_>, recorder: &mut Recorder) -> Result<Kept> {
    let (bad, name) = host.publish(host.release(NEXT)?.without_init()?)?;
    until_counted_boot(host, recorder, &name)?;
    recorder.promised("the trial begins", Promise::Any)?;
    for number in 1..=TRIES {
        ensure!(matches!(host.try_boot()?, Boot::Ended(_)), "a release without /init came up");
        recorder.mark(&format!("try {number} failed"))?;
    }
    host.boot()?.power_off()?;
    recorder.promised("the old one runs again", Promise::Old)?;
    recorder.answered("it is remembered", MEMORY, Some(&bad.digest))?;
    Ok(None)
}

/// A cluster is joined, and the certificate renewed.
pub(super) fn cluster(host: &mut Installed<'_>, recorder: &mut Recorder) -> Result<Kept> {
    let plane = host.scenario.control_plane("cluster", Wanted { certificates_last: CERTIFICATES })?;
    host.record(&recorder.recording);
    let mut node = host.restored()?;
    recorder.mark("joining begins")?;
    apply(&mut node.guest, &plane.joining(NAME)?.to_string())?;
    is_connected(&mut node, NAME)?;
    let first = certificate(&mut node)?;
    recorder.answered("joined", CLIENT, Some(&first))?;
    let next = Deadline::secs(RENEWED)
        .poll(Duration::from_secs(2), || {
            Ok::<_, anyhow::Error>(Some(certificate(&mut node)?).filter(|it| *it != first))
        })?
        .context("the certificate was not renewed")?;
    recorder.answered("renewed", CLIENT, Some(&next))?;
    node.power_off()?;
    Ok(Some(Box::<ControlPlane>::new(plane)))
}

/// What no other certificate has in it: its signature ends there.
fn certificate(node: &mut Node) -> Result<String> {
    let line = node.guest.ask(&format!("grep -B2 -m1 -e '-----END CERTIFICATE' /var{CLIENT} | head -n1"))?;
    ensure!(line.len() == 64, "the certificate's last whole line is {line:?}");
    Ok(line)
}

/// Pods: two are pulled and start, one is removed while the other one starts.
pub(super) fn pods(host: &mut Installed<'_>, recorder: &mut Recorder) -> Result<Kept> {
    host.record(&recorder.recording);
    let mut node = host.restored()?;
    apply(&mut node.guest, &host.release_server.setting(&[])?)?;
    for number in 1..=2 {
        let folder = host.release_server.folder().join(format!("pod-{number}"));
        let image = PodImage::write(&host.scenario.lab.image, &number.to_string(), &folder)?;
        let image = host.release_server.publish_pod(&image, &number.to_string())?;
        recorder.mark(&format!("pod {number} begins"))?;
        let (name, text) = (format!("hello-{number}"), quote(&[pod(number, &image)]));
        node.guest.ask(&format!("printf %s {text} >/var/tmp/pod && mv /var/tmp/pod {PODS}/{name}.yaml"))?;
        node.status_when(&format!("{name} runs"), 240, |status| status.runs(&name))?;
        recorder.mark(&format!("pod {number} runs"))?;
    }
    node.guest.ask(&format!("rm {PODS}/hello-1.yaml"))?;
    node.status_when("hello-1 is gone", 120, |status| status.pod("hello-1").is_none())?;
    recorder.mark("pod 1 is removed")?;
    node.cut_power()?;
    Ok(None)
}

fn pod(number: u32, image: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("hello-{number}")},
        "spec": {"hostNetwork": true,
            "volumes": [{"name": "reported", "hostPath": {"path": "/run/hello", "type": "DirectoryOrCreate"}}],
            "containers": [{"name": "hello", "image": image, "imagePullPolicy": "Always",
                "volumeMounts": [{"name": "reported", "mountPath": "/run/canary"}]}]}
    })
    .to_string()
}

/// NVMe, whose writes may be durable by themselves (FUA).
pub(super) fn nvme(host: &mut Installed<'_>, recorder: &mut Recorder) -> Result<Kept> {
    other_disk(host, recorder, Bus::Nvme)
}

/// SATA, with a flush command of its own.
pub(super) fn sata(host: &mut Installed<'_>, recorder: &mut Recorder) -> Result<Kept> {
    other_disk(host, recorder, Bus::Sata)
}

/// Settings, an upgrade, settings; the power is cut at the end.
fn other_disk(host: &mut Installed<'_>, recorder: &mut Recorder, bus: Bus) -> Result<Kept> {
    let (_, name) = host.publish(host.release(NEXT)?.other_kernel()?.bulk(100_000))?;
    host.options.bus = bus;
    host.boot()?.power_off()?;
    if bus == Bus::Nvme {
        recorder.heeds_fua()?;
    }
    host.record(&recorder.recording);
    let mut node = host.boot()?;
    settings_around_an_upgrade(&mut node, recorder, &name)?;
    node.cut_power()?;
    Ok(None)
}
