//! A machine that is not there: what it says of itself, and what it does when its cluster asks.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ballast_cluster::Membership;
use ballast_cluster::model::{
    Boot, Capacity, Config, Facts, Operation, Order, Os, Prepared, Readings, Release, Report,
};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use crate::checksum::sha256;

const GIB: u64 = 1 << 30;
/// Fetching and deploying, which disturb nobody.
const PREPARES: Duration = Duration::from_secs(2);
/// From the reboot until the agent is there again.
const BOOTS: Duration = Duration::from_secs(5);
/// From then until the release has proved itself.
const PROVES: Duration = Duration::from_secs(3);

/// One machine and its membership.
pub(super) struct Host {
    config: Config,
    folder: PathBuf,
    facts: Facts,
    boots: u32,
}

impl Host {
    /// The `number`th machine, called `name`.
    pub(super) fn new(name: &str, number: usize, config: Config, folder: PathBuf) -> Self {
        let address = u32::from(Ipv4Addr::new(10, 64, 0, 0)) + u32::try_from(number).unwrap_or_default();
        let release = Release { image: String::new(), digest: digest("20261121.1"), version: "20261121.1".into() };
        let facts = Facts {
            hostname: name.to_owned(),
            machine_id: sha256(name)[..32].to_owned(),
            boot_id: boot_id(name, 1),
            system_uuid: sha256(name)[..32].to_owned(),
            kernel_version: "6.12.43".into(),
            os_id: "ballast".into(),
            os_name: "Ballast 20261121.1".into(),
            os_version: release.version.clone(),
            runtime_version: "containerd://2.1.4".into(),
            architecture: "amd64".into(),
            addresses: vec![IpAddr::V4(Ipv4Addr::from(address))],
            clock_is_set: true,
            capacity: Capacity { cpus: 2, memory_bytes: 4 * GIB, storage_bytes: 20 * GIB, pids_max: 32_768, pods: 110 },
            pressure: Readings {
                memory_available_bytes: 3 * GIB,
                storage_available_bytes: 15 * GIB,
                storage_inodes_total: 1_000_000,
                storage_inodes_available: 900_000,
                pids_used: 200,
            },
            ready: Ok(()),
            os: Os { booted: release.clone(), last_good: Some(release), ..Os::default() },
            boot: Boot { ready_ms: Some(2000), started_at: Some(SystemTime::now()) },
            ..Facts::default()
        };
        Self { config, folder, facts, boots: 1 }
    }

    /// Lives on, boot after boot, until it is aborted.
    pub(super) async fn live(mut self, report: watch::Sender<Report>) {
        loop {
            let (reported, facts) = watch::channel(Arc::new(self.facts.clone()));
            let (orders, asked) = mpsc::channel(4);
            let (config, folder) = (self.config.clone(), self.folder.clone());
            let membership = Membership::start(config, folder, facts, orders, report.clone());
            self.up(&reported, asked).await;
            // As a power cut: what the membership was at is seen in the cluster, or not at all.
            membership.abort();
            sleep(BOOTS).await;
            self.comes_up();
        }
    }

    /// From a boot to the order to reboot.
    async fn up(&mut self, reported: &watch::Sender<Arc<Facts>>, mut asked: mpsc::Receiver<Order>) {
        if self.facts.os.on_trial {
            sleep(PROVES).await;
            self.facts.os.on_trial = false;
            self.facts.os.last_good = Some(self.facts.os.booted.clone());
            reported.send_replace(Arc::new(self.facts.clone()));
        }
        while let Some(order) = asked.recv().await {
            match order {
                Order::Reboot { .. } => return,
                Order::Prepare { id, image } => self.prepare(reported, id, image).await,
                // The fleet's nodes host no kubelet, so nobody asks.
                Order::Kubelet { .. } => {}
            }
        }
        // The membership ended, which it never should: the node is not Ready from now on, and that is seen.
        std::future::pending::<()>().await;
    }

    async fn prepare(&mut self, reported: &watch::Sender<Arc<Facts>>, order: u64, image: String) {
        let operation = Operation { name: "upgrade".into(), phase: "fetch".into(), ..Operation::default() };
        self.facts.os.operation = Some(Operation { image: Some(image.clone()), ..operation });
        reported.send_replace(Arc::new(self.facts.clone()));
        sleep(PREPARES).await;
        let version = image.rsplit(':').next().unwrap_or_default().to_owned();
        let next = Release { digest: digest(&version), image: image.clone(), version };
        self.facts.os.operation = None;
        self.facts.os.prepared = Some(Prepared { order, image, digest: next.digest.clone() });
        self.facts.os.next = (next.digest != self.facts.os.booted.digest).then_some(next);
        reported.send_replace(Arc::new(self.facts.clone()));
    }

    fn comes_up(&mut self) {
        self.boots += 1;
        self.facts.boot_id = boot_id(&self.facts.hostname, self.boots);
        self.facts.boot.started_at = Some(SystemTime::now());
        // What the agent was reported and what it answered does not outlive it.
        self.facts.os.prepared = None;
        if let Some(next) = self.facts.os.next.take() {
            self.facts.os_version.clone_from(&next.version);
            self.facts.os_name = format!("Ballast {}", next.version);
            self.facts.os.booted = next;
            self.facts.os.on_trial = true;
        }
    }
}

/// That of the release with this version: there is nothing else to it.
pub(super) fn digest(version: &str) -> String {
    format!("sha256:{}", sha256(version))
}

fn boot_id(name: &str, boots: u32) -> String {
    let hex = sha256(format!("{name} {boots}"));
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_boot_has_an_id_of_its_own() {
        assert_ne!(boot_id("a", 1), boot_id("a", 2));
        assert_ne!(boot_id("a", 1), boot_id("b", 1));
        assert_eq!(boot_id("a", 1).len(), 36);
    }
}
