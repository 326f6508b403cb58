//! C: what is damaged, for other machines, unsigned or signed by others is refused before anything is deployed. One boot
//! for all of them, since nothing changes; the case is named when it fails.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use qemu_vm::deadline::Deadline;
use qemu_vm::fault_proxy::{Fault, On, Times};
use qemu_vm::installed::Installed;
use qemu_vm::node::Node;
use qemu_vm::registry::{Signed, SigningKey};
use qemu_vm::release::Release;
use qemu_vm::releases::{Ended, Releases};
use qemu_vm::scenario::{Cases, Scenario};
use qemu_vm::settings;

use crate::upgrade::fetched;

/// A node that is offered what it should not take.
struct Offered<'a> {
    host: Installed<'a>,
    node: Node,
    stranger: SigningKey,
}

/// How a release is published, and what has to come of it.
struct Offer {
    case: &'static str,
    made: fn(Release) -> Release,
    signed: By,
    fault: Option<fn(u64) -> Fault>,
    status: u8,
    kind: &'static str,
    /// All of them stand in the reason.
    words: &'static [&'static str],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Us,
    Stranger,
    Nobody,
}

const OFFERS: [Offer; 6] = [
    Offer {
        case: "C01 truncated layer",
        made: |release| release.bulk(200_000),
        signed: By::Us,
        fault: Some(|bytes| Fault::Truncate { at: bytes / 2 }),
        status: 1,
        kind: "damaged",
        words: &["sha256:"],
    },
    Offer {
        case: "C02 flipped bit",
        made: |release| release.bulk(200_000),
        signed: By::Us,
        fault: Some(|bytes| Fault::Flip { at: bytes / 2 }),
        status: 1,
        kind: "damaged",
        words: &["sha256:"],
    },
    Offer {
        case: "C03 another architecture",
        made: |release| release.architecture("arm64"),
        signed: By::Us,
        fault: None,
        status: 4,
        kind: "refused",
        words: &["arm64", "amd64"],
    },
    Offer {
        case: "C03 another system",
        made: |release| release.label("os.ballast.id", "other"),
        signed: By::Us,
        fault: None,
        status: 4,
        kind: "refused",
        words: &["other", "ballast"],
    },
    Offer {
        case: "C04 unsigned",
        made: |release| release,
        signed: By::Nobody,
        fault: None,
        status: 4,
        kind: "refused",
        words: &["sign"],
    },
    Offer {
        case: "C05 signed by another key",
        made: |release| release,
        signed: By::Stranger,
        fault: None,
        status: 4,
        kind: "refused",
        words: &["sign", "key"],
    },
];

#[test]
fn c01_c02_c03_c04_c05_s02_refused_before_anything_is_deployed() {
    Scenario::run("c01_to_c05", |scenario| {
        let mut host = Installed::on(scenario)?;
        let stranger = SigningKey::make(&host.scenario.lab.tools, host.release_server.folder(), "stranger")?;
        let node = host.restored()?;
        let mut offered = Offered { host, node, stranger };
        let before = offered.state()?;
        let mut cases = Cases::default();
        for (number, offer) in (1..).zip(&OFFERS) {
            let outcome = offered.is_refused(number, offer);
            cases.note(offer.case, outcome.and_then(|()| offered.is_still(&before)));
            offered.host.release_server.fault_proxy.heals();
        }
        let outcome = offered.claims_too_much();
        cases.note("S02 claims 999 TiB", outcome.and_then(|()| offered.is_still(&before)));
        let outcome = offered.fetching_is_confined();
        cases.note("what fetches is confined", outcome);
        cases.end()?;
        Ended::of(&mut offered.node.guest, &["fsck"])?.done()?;

        // Who was a stranger is believed once the settings name the key.
        // If two have to sign, they are not enough by themselves.
        let keys = format!(
            "[update]\nkeys_threshold = 2\nsignature_max_days = 90\nidentity = \"tag\"\nkeys = [\"\"\"\n{}\"\"\"]\n",
            offered.stranger.public
        );
        settings::apply(&mut offered.node.guest, &keys)?;
        let release = offered.host.write(offered.host.release("20261123.1")?)?;
        let name = offered.host.release_server.publish_as(&release, "20261123.1", Signed::By(&offered.stranger))?;
        let why = Ended::of(&mut offered.node.guest, &["upgrade", &name])?.failed(4, "refused")?;
        ensure!(why.contains("2 keys must have signed it"), "the reason does not name the threshold: {why}");
        ensure!(offered.state()? == before, "entries, kernels or deployments changed");
        let name = offered.host.release_server.publish_as(
            &release,
            "20261123.1",
            Signed::By(&offered.host.release_server.key),
        )?;
        Ended::of(&mut offered.node.guest, &["upgrade", &name])?.done().context("a good one, after all that")?;
        let next = Releases::of(&mut offered.node.guest)?.next()?.digest.clone();
        ensure!(next.as_deref() == Some(&release.digest), "{next:?} boots next");
        offered.node.power_off()
    });
}

impl Offered<'_> {
    fn is_refused(&mut self, number: u32, offer: &Offer) -> Result<()> {
        let version = format!("20261122.{number}");
        let release = self.host.write((offer.made)(self.host.release(&version)?))?;
        let signed = match offer.signed {
            By::Us => Signed::By(&self.host.release_server.key),
            By::Stranger => Signed::By(&self.stranger),
            By::Nobody => Signed::Not,
        };
        let name = self.host.release_server.publish_as(&release, &version, signed)?;
        let fault_proxy = &self.host.release_server.fault_proxy;
        let mark = fault_proxy.mark();
        if let Some(fault) = offer.fault {
            fault_proxy.breaks(On::Blob(release.layer.clone()), fault(release.layer_bytes), Times::Always);
        }
        let why = Ended::of(&mut self.node.guest, &["upgrade", &name])?.failed(offer.status, offer.kind)?;
        self.host.release_server.fault_proxy.heals();
        if let Some(word) = offer.words.iter().find(|word| !why.contains(**word)) {
            bail!("the reason does not have {word:?}: {why}");
        }
        let came = fetched(&self.host, mark, &release);
        ensure!(came == offer.fault.is_some(), "whether its layer was fetched: {came}");
        Ok(())
    }

    /// S02: nobody can sign what no registry would hold, so signatures are not asked for; the status says so meanwhile.
    fn claims_too_much(&mut self) -> Result<()> {
        let honest = self.host.write(self.host.release("20261122.90")?)?;
        self.host.release_server.publish(&honest)?;
        // The manifest is another one with the same blobs; its configuration has to be in the registry.
        let huge = self.host.write(self.host.release("20261122.90")?.claiming(999 << 40))?;
        let name = self.host.release_server.publish_claim(&huge)?;
        let document = "/var/lib/ballast/settings.toml";
        self.node.guest.ask(&format!("printf '[update]\\nsignatures = \"none\"\\n' >{document}"))?;
        let unsigned = |reason: &String| reason.contains("sign");
        self.node
            .status_when("that signatures are off is a reason", 60, |status| status.reasons.iter().any(unsigned))?;
        let mark = self.host.release_server.fault_proxy.mark();
        let why = Ended::of(&mut self.node.guest, &["upgrade", &name])?.failed(1, "no-space")?;
        ensure!(why.contains("ROOT"), "the reason does not name ROOT: {why}");
        ensure!(!fetched(&self.host, mark, &huge), "the layer was fetched");
        self.node.guest.ask(&format!("rm {document}"))?;
        self.node.status_when("the reason goes", 60, |status| !status.reasons.iter().any(unsigned)).map(drop)
    }

    /// While a layer comes slowly: who speaks with the registry may nothing, who writes has no network and few rights.
    fn fetching_is_confined(&mut self) -> Result<()> {
        let release = self.host.write(self.host.release("20261122.91")?.bulk(400_000))?;
        let name =
            self.host.release_server.publish_as(&release, "20261122.91", Signed::By(&self.host.release_server.key))?;
        let slow = Fault::Throttle { bytes_per_second: 40_000 };
        self.host.release_server.fault_proxy.breaks(On::Blob(release.layer.clone()), slow, Times::Always);
        let guest = &mut self.node.guest;
        guest.ask(&format!("systemd-run --quiet --unit=fetching ballast upgrade --fetch-only {name}"))?;
        let running = Deadline::secs(60).poll(Duration::from_millis(500), || {
            let text = guest.ask(FETCHERS)?;
            let processes: Vec<Process> = text.split("== ").filter_map(Process::read).collect();
            let is_service = |process: &&Process| process.name == "image-proxy" && process.user != 0;
            let found = processes.iter().find(is_service).cloned();
            let worker = processes.iter().find(|process| process.name == "ostree-worker").cloned();
            Ok::<_, anyhow::Error>(found.zip(worker).map(|both| (both, text)))
        })?;
        let ((proxy, worker), text) = running.context("no image proxy without privileges runs")?;
        ensure!(proxy.capabilities == 0 && proxy.bounding == 0, "the image proxy has capabilities: {text}");
        ensure!(proxy.is_filtered && proxy.no_new_privileges, "the image proxy is not confined: {text}");
        ensure!(worker.capabilities == WORKERS, "the worker has other capabilities: {text}");
        ensure!(worker.is_filtered && worker.no_new_privileges, "the worker is not confined: {text}");
        ensure!(worker.network != proxy.network, "the worker has a network: {text}");
        self.host.release_server.fault_proxy.heals();
        let guest = &mut self.node.guest;
        let ends = || guest.ask("systemctl show --property=ActiveState,Result fetching.service | tr '\\n' ' '");
        let ended = Deadline::secs(120).poll(Duration::from_secs(1), {
            let mut ends = ends;
            move || Ok::<_, anyhow::Error>(Some(ends()?).filter(|state| !state.contains("ActiveState=active")))
        })?;
        let ended = ended.context("the fetch does not end")?;
        ensure!(ended.contains("Result=success"), "the fetch ended so: {ended}");
        Ended::of(&mut self.node.guest, &["collect"])?.done().map(drop)
    }

    fn is_still(&mut self, before: &str) -> Result<()> {
        ensure!(self.state()? == before, "entries, kernels or deployments changed");
        Ok(())
    }

    /// What must not change: boot entries, kernels, deployments.
    fn state(&mut self) -> Result<String> {
        self.node.guest.ask("ls /efi/loader/entries /efi/ballast /sysroot/ostree/deploy/ballast/deploy")
    }
}

/// What the kernel says of who fetches.
const FETCHERS: &str = r#"for p in /proc/[0-9]*; do
    read -r name <$p/comm && case $name in image-proxy | ostree-worker)
        echo "== $name $(readlink $p/ns/net)" && grep -E '^(Uid|CapPrm|CapBnd|NoNewPrivs|Seccomp):' $p/status ;;
    esac
done 2>/dev/null; true"#;

/// CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID, LINUX_IMMUTABLE and SETFCAP (include/uapi/linux/capability.h).
const WORKERS: u64 = 0x8000_021f;

/// One of them.
#[derive(Clone)]
struct Process {
    name: String,
    network: String,
    user: u32,
    capabilities: u64,
    bounding: u64,
    no_new_privileges: bool,
    is_filtered: bool,
}

impl Process {
    fn read(text: &str) -> Option<Self> {
        let (name, network) = text.lines().next()?.split_once(' ')?;
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
            line.split_whitespace().next()
        };
        let set = |key: &str| u64::from_str_radix(value(key)?, 16).ok();
        Some(Self {
            name: name.to_owned(),
            network: network.to_owned(),
            user: value("Uid")?.parse().ok()?,
            capabilities: set("CapPrm")?,
            bounding: set("CapBnd")?,
            no_new_privileges: value("NoNewPrivs")? == "1",
            is_filtered: value("Seccomp")? == "2",
        })
    }
}
