//! F04, I03, I07: where settings come from, which of them counts, and that they are read once.

use anyhow::{Context, Result, ensure};
use qemu_vm::disk::Bus;
use qemu_vm::disk::esp::Esp;
#[cfg(feature = "soak")]
use qemu_vm::disk::gpt;
use qemu_vm::installed::proves_itself;
use qemu_vm::lab::Options;
use qemu_vm::metadata::{Cloud, Given, Service};
use qemu_vm::node::Node;
use qemu_vm::qemu::firmware::FirmwareKind;
use qemu_vm::scenario::Scenario;
use qemu_vm::settings::{Said, set};
use qemu_vm::volume::{FileSystem, Volume};

use super::{eventually, hostname, sysctl, user_data};
use crate::install::grown;

/// The sources, the one that counts most first, and to each a sysctl that it is the first to say.
const SYSCTLS: [(&str, &str); 5] = [
    ("node", "net.core.somaxconn"),
    ("credential", "net.core.netdev_max_backlog"),
    ("volume", "net.core.netdev_budget"),
    ("esp", "net.core.message_burst"),
    ("metadata", "net.core.dev_weight"),
];

/// What `rank` says in `edition`: a value of its own for its sysctl, and for all those that others say before it.
fn says(rank: &str, edition: u32) -> String {
    let index = SYSCTLS.iter().position(|(name, _)| *name == rank).unwrap_or_default();
    let lines = SYSCTLS[..=index].iter().map(|(_, name)| format!("\"{name}\" = {}\n", value(rank, edition)));
    format!("[kernel.sysctl]\n{}", lines.collect::<String>())
}

fn value(rank: &str, edition: u32) -> u32 {
    let index = (1..).zip(SYSCTLS).find(|(_, (name, _))| *name == rank).map_or(0, |(index, _)| index);
    edition * 1000 + index * 100
}

/// Each sysctl is what the source says that is the first to say it, all of this edition.
fn hold(node: &mut Node, edition: u32) -> Result<()> {
    for (rank, name) in SYSCTLS {
        let want = value(rank, edition).to_string();
        let path = format!("cat /proc/sys/{}", name.replace('.', "/"));
        eventually(&mut node.guest, &format!("{name} is what the {rank} says"), &path, |found| found == want)?;
    }
    Ok(())
}

/// What the volume says in `edition`: the operator's text comes in a cloud-config, as cloud-init's users have it.
fn cloud_config(edition: u32) -> String {
    let inner = says("volume", edition).replace('\n', "\n      ");
    let inner = inner.trim_end();
    format!("#cloud-config\nwrite_files:\n  - path: /etc/ballast/settings.toml\n    content: |\n      {inner}\n")
}

/// All five sources at once, through UEFI on a disk that grows; then a boot in which they say something else or are not there; then they are asked
/// again, but for a volume that is not the first boot's.
#[test]
fn f04_i03_i07_sources_in_their_order_read_once_and_kept() {
    Scenario::run("f04_i03_i07", |scenario| {
        let tools = scenario.lab.tools.clone();
        let disk = scenario.disk()?;
        Esp::of(&tools, &disk.file)?.put("ballast.toml", Some(&says("esp", 1)))?;
        let scratch = scenario.scratch().to_owned();
        let volume = Volume::nocloud(&tools, &scratch, FileSystem::Iso, &cloud_config(1), "from-the-volume")?;
        let given = Given { user_data: Some(says("metadata", 1)), hostname: Some("from-the-cloud".into()) };
        let service = Service::open(Cloud::Ec2, given, &scratch)?;
        service.fails(2, 503);
        let plain = Options {
            firmware: FirmwareKind::Uefi,
            smp: 1,
            disk: Some(disk.clone()),
            network: service.network(),
            ..Options::default()
        };
        let all = Options {
            identity: Some(Cloud::Ec2.identity()),
            volumes: vec![volume.drive(Bus::Cd)],
            credentials: vec![user_data(&says("credential", 1))?],
            ..plain.clone()
        };

        let mut first = scenario.healthy(&all)?;
        set(&mut first.guest, "kernel.sysctl.\"net.core.somaxconn\"", &value("node", 1).to_string())?;
        hold(&mut first, 1).with_context(|| format!("the service was asked {:?}", service.asked_since(0)))?;
        origins_are_reported(&mut first)?;
        ensure!(hostname(&mut first.guest)? == "from-the-volume", "F04: the name is {}", hostname(&mut first.guest)?);
        grown(&mut first).context("I03")?;
        proves_itself(&mut first)?;
        let kept = first.guest.ask("cd /var/lib/ballast/sources && sha256sum *")?;
        first.reboot_to_exit()?;

        // None of them is there any more, or says something else. A tenant's volume is there, too.
        Esp::of(&tools, &disk.file)?.put("ballast.toml", None)?;
        let same = Volume::nocloud(&tools, &scratch, FileSystem::Iso, &cloud_config(2), "from-the-same-drive")?;
        let other = Volume::nocloud(&tools, &scratch, FileSystem::Vfat, &cloud_config(3), "from-a-tenant")?;
        let asked = service.mark();
        let volumes = vec![same.drive(Bus::Cd), other.drive(Bus::Virtio)];
        let later = Options { identity: Some(Cloud::Ec2.identity()), volumes, ..plain };
        let mut second = scenario.healthy(&later)?;
        hold(&mut second, 1).context("I07")?;
        ensure!(
            hostname(&mut second.guest)? == "from-the-volume",
            "I07: the name became {}",
            hostname(&mut second.guest)?
        );
        ensure!(service.mark() == asked, "I07: the second boot asked {:?}", service.asked_since(asked));
        let now = second.guest.ask("cd /var/lib/ballast/sources && sha256sum *")?;
        ensure!(now == kept, "I07: what was kept was {kept}, and is {now}");
        origins_are_reported(&mut second).context("I07")?;

        service.gives(Given { user_data: Some(says("metadata", 2)), hostname: None });
        let reported = Said::of(&mut second.guest, &["refetch"])?.done()?;
        let is_reported = reported.contains("is another, and is not asked");
        ensure!(is_reported, "of the volume that was not there at the first boot it says {reported}");
        for (rank, name) in [("volume", SYSCTLS[2].1), ("metadata", SYSCTLS[4].1)] {
            let want = value(rank, 2).to_string();
            let path = format!("cat /proc/sys/{}", name.replace('.', "/"));
            eventually(&mut second.guest, &format!("refetched, {name} is the {rank}'s"), &path, |found| found == want)?;
        }
        // What is not there any more is kept as it was: a volume, or a credential, may be taken out after the first boot.
        let credential = sysctl(&mut second.guest, SYSCTLS[1].1)?;
        ensure!(
            credential == value("credential", 1).to_string(),
            "refetching made {credential} of what the credential said"
        );
        // What was said on the node is not for any of them to change.
        let own = sysctl(&mut second.guest, SYSCTLS[0].1)?;
        ensure!(own == value("node", 1).to_string(), "refetching made {own} of what the node says");
        eventually(&mut second.guest, "the name of the same drive", "cat /proc/sys/kernel/hostname", |name| {
            name == "from-the-same-drive"
        })?;
        let mounted = second.guest.ask("findmnt --noheadings --list --output=SOURCE,TARGET")?;
        ensure!(!mounted.contains("/run/ballast/"), "a volume is still mounted: {mounted}");
        second.power_off()?;
        ensure!(scenario.boots() == 2, "{} boots", scenario.boots());
        Ok(())
    });
}

/// The status has each source once, in order; `show --origins` says for each sysctl whose word it is.
fn origins_are_reported(node: &mut Node) -> Result<()> {
    let status = node.status()?;
    let mut ranks: Vec<_> = status.settings.sources.iter().map(|source| source.rank.as_str()).collect();
    ranks.dedup();
    let want: Vec<_> = SYSCTLS.iter().map(|(rank, _)| *rank).collect();
    ensure!(ranks == want, "the sources are {:?}", status.settings.sources);
    ensure!(status.settings.problems.is_empty(), "{:?}", status.settings.problems);
    let text = Said::of(&mut node.guest, &["show", "--origins"])?.done()?;
    let names =
        ["/var/lib/ballast/settings.toml", "credential ballast.settings", "volume", "/efi/ballast.toml", "cloud"];
    for ((_, sysctl), source) in SYSCTLS.iter().zip(names) {
        let line = text.lines().find(|line| line.contains(sysctl));
        ensure!(line.is_some_and(|line| line.contains(source)), "{sysctl} is of {source}, but reported is {line:?}");
    }
    Ok(())
}

/// Two machines more, as platforms make them.
#[cfg(feature = "soak")]
mod soak {
    use super::*;

    use qemu_vm::qemu::machine::Network;

    macro_rules! fixture {
        ($name:literal) => {
            include_str!(concat!("../../../../node-agent/settings/tests/fixtures/user-data/", $name))
        };
    }

    /// The node has this address and no other of version 4, and this name; nothing is anybody's mistake.
    fn is_as_described(node: &mut Node, address: &str, name: &str) -> Result<()> {
        eventually(&mut node.guest, "the name", "cat /proc/sys/kernel/hostname", |found| found == name)?;
        let script = "ip -4 -brief address show scope global | grep -v pods";
        eventually(&mut node.guest, "the address", script, |text| text.contains(address) && text.lines().count() == 1)?;
        eventually(&mut node.guest, "the way out", "ip -4 route", |text| text.contains("default via 10.0.2.2"))?;
        let status = node.status()?;
        ensure!(status.settings.problems.is_empty(), "{:?}", status.settings.problems);
        ensure!(status.reasons.is_empty(), "what a platform writes degrades the node: {:?}", status.reasons);
        Ok(())
    }

    /// A virtual machine with a static address, as Proxmox describes it.
    #[test]
    fn f04_proxmox_gives_a_static_address_and_no_problem() {
        Scenario::run("f04_proxmox", |scenario| {
            let files = [
                ("user-data", fixture!("proxmox/user-data")),
                ("vendor-data", fixture!("proxmox/vendor-data")),
                ("network-config", fixture!("proxmox/network-config")),
                ("meta-data", fixture!("proxmox/meta-data")),
            ];
            let (tools, scratch) = (scenario.lab.tools.clone(), scenario.scratch().to_owned());
            let volume = Volume::make(&tools, &scratch, FileSystem::Iso, "cidata", &files)?;
            let volumes = vec![volume.drive(Bus::Cd)];
            let options = Options { smp: 1, network: Network::User, volumes, ..Options::default() };
            let mut node = scenario.healthy(&options)?;
            is_as_described(&mut node, "10.0.2.77/24", "pve-node7")?;
            let notes = node.status()?.settings.notes;
            ensure!(notes.len() == 1 && notes[0].reason.contains("ssh_authorized_keys"), "it reports {notes:?}");
            eventually(&mut node.guest, "the vendor-data's zone", "date +%Z", |zone| ["CET", "CEST"].contains(&zone))?;
            node.power_off()
        });
    }

    /// A machine of metal, as ironic installs it: the config drive is a partition at the end of its own disk.
    #[test]
    fn f04_a_config_drive_on_the_node_s_own_disk_is_read() {
        Scenario::run("f04_config_drive", |scenario| {
            let files = [
                ("openstack/latest/user_data", fixture!("config-2/openstack/latest/user_data")),
                ("openstack/latest/meta_data.json", fixture!("config-2/openstack/latest/meta_data.json")),
                ("openstack/latest/network_data.json", fixture!("config-2/openstack/latest/network_data.json")),
            ];
            let (tools, scratch) = (scenario.lab.tools.clone(), scenario.scratch().to_owned());
            let volume = Volume::make(&tools, &scratch, FileSystem::Iso, "config-2", &files)?;
            let disk = scenario.disk()?;
            let content = std::fs::read(volume.file()).context("reading the config drive")?;
            gpt::append(&disk.file, "config-2", &content)?;
            let options = Options { smp: 1, network: Network::User, disk: Some(disk), ..Options::default() };
            let mut node = scenario.healthy(&options)?;
            is_as_described(&mut node, "10.0.2.79/24", "ironic-node")?;
            grown(&mut node).context("U01, up to the config drive")?;
            node.power_off()
        });
    }
}
