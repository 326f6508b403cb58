//! The preloaded pods' images: on VAR from the start, imported where they are not.

use anyhow::{Context, Result, ensure};
use qemu_vm::disk::gpt;
use qemu_vm::disk::root::Root;
use qemu_vm::guest::Guest;
use qemu_vm::lab::Options;
use qemu_vm::node::Node;
use qemu_vm::scenario::Scenario;

const CONTAINERD: &str = "/var/lib/containerd";
const BLOBS: &str = "io.containerd.content.v1.content/blobs/sha256/*";
const UUID: &str = "io.containerd.grpc.v1.introspection/uuid";

/// Manifest, configuration and layer of each of the two images.
const BLOBS_MIN: usize = 6;

/// Of the files below containerd's folder that match `pattern`, how many there are, and how many are of this boot.
fn files(guest: &mut Guest, pattern: &str) -> Result<(usize, usize)> {
    let booted = guest.ask("cat /proc/stat")?;
    let booted = booted.lines().find_map(|line| line.strip_prefix("btime ")).context("/proc/stat has no btime")?;
    let booted: u64 = booted.parse()?;
    let times = guest.ask(&format!("stat --format=%Y {CONTAINERD}/{pattern}"))?;
    let times: Vec<u64> = times.lines().map(str::parse).collect::<Result<_, _>>()?;
    Ok((times.len(), times.iter().filter(|time| **time >= booted).count()))
}

/// How often the agent imported an archive in this boot.
fn imports(guest: &mut Guest) -> Result<usize> {
    let journal = guest.ask("journalctl --boot --no-pager --output=cat --unit=ballast.service")?;
    ensure!(journal.contains("starting, from /usr/lib/ballast/pods/canary.yaml"), "the agent's journal is: {journal}");
    Ok(journal.lines().filter(|line| line.starts_with("importing /usr/lib/ballast/images/")).count())
}

#[test]
fn i07_first_boot_finds_the_images_in_place_and_nothing_of_another_node() {
    Scenario::run("i07_in_place", |scenario| {
        let mut node = scenario.healthy(&Options::default())?;
        ensure!(imports(&mut node.guest)? == 0, "the first boot imported what VAR should have brought along");
        let (all, new) = files(&mut node.guest, BLOBS)?;
        ensure!(all >= BLOBS_MIN && new == 0, "of {all} blobs {new} came in this boot");
        let (all, new) = files(&mut node.guest, UUID)?;
        ensure!((all, new) == (1, 1), "containerd's uuid is not this node's own");
        node.power_off()
    });
}

/// What must not stop a boot: a folder where the machine-id should be, and a file system in which the kernel found damage.
fn damage(var: &Root<'_>) -> Result<()> {
    let folders = ["mkdir lib", "mkdir lib/ballast", "mkdir lib/ballast/machine-id"];
    var.edit(&folders).context("putting a folder in the machine-id's place")?;
    var.edit(&["set_super_value state 3"]).context("marking VAR as damaged")
}

fn is_mended(node: &mut Node) -> Result<()> {
    let reasons = node.status()?.reasons;
    for reported in ["the machine-id was damaged and is set aside", "/var was damaged; e2fsck has mended it"] {
        ensure!(reasons.iter().any(|reason| reason.contains(reported)), "nobody says that {reported}: {reasons:?}");
    }
    let guest = &mut node.guest;
    guest.ask("test -d /var/lib/ballast/machine-id.damaged-1 && test -s /run/ballast/e2fsck-var.log")?;
    let ids = guest.ask("cat /etc/machine-id /var/lib/ballast/machine-id")?;
    let (shown, kept) = ids.split_once('\n').context("there is one machine-id")?;
    ensure!(shown.len() == 32 && shown == kept, "the machine-id is {shown:?}, kept is {kept:?}");
    // Mounts show what differs from the superblock only.
    let options = guest.ask("cat /proc/fs/ext4/*/options")?;
    ensure!(options.matches("errors=remount-ro").count() == 2, "ext4 is mounted with {options}");
    Ok(())
}

#[test]
fn i07_blank_var_gets_the_images() {
    Scenario::run("i07_blank_var", |scenario| {
        let disk = scenario.disk()?;
        let var = gpt::find(&disk.file, "ballast-var")?;
        let (file, offset) = (disk.file.display().to_string(), format!("offset={}", var.offset));
        let size = format!("{}k", var.length >> 10);
        let words = ["-q", "-F", "-t", "ext4", "-L", "ballast-var", "-E", &offset, &file, &size];
        scenario.lab.tools.output("mke2fs", words).context("making a blank VAR")?;
        damage(&Root::var(&scenario.lab.tools, &disk.file)?)?;

        let mut node = scenario.healthy(&Options { disk: Some(disk), ..Options::default() })?;
        is_mended(&mut node)?;
        ensure!(imports(&mut node.guest)? == 1, "one archive has all of it");
        let (all, new) = files(&mut node.guest, BLOBS)?;
        ensure!(all >= BLOBS_MIN && new == all, "of {all} blobs {new} came in this boot");
        node.power_off()
    });
}
