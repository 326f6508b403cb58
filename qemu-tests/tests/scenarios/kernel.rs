//! Our kernel in the real image: what clusters load loads, what is not ours is refused, and it stands guarded. With Debian's
//! kernel (`make vm KERNEL=debian`) these do not run: it is not locked down without Secure Boot, and chooses its modules itself.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use qemu_vm::node::Node;
use qemu_vm::scenario::Scenario;
use qemu_vm::tools::Tools;

/// What cluster networking and storage load, one name a line with its reason.
const MODULES: &str = include_str!("kernel.modules");
/// The sysctls of the image.
const SYSCTLS: &str = include_str!("../../../image/root/usr/lib/sysctl.d/50-ballast.conf");
/// The last bytes of a signed module, after `struct module_signature` of 12 bytes.
const MARK: &[u8] = b"~Module signature appended~\n";
/// Checking a signature takes an emulated processor a good part of a second, and there are some dozens.
const LOADING: Duration = Duration::from_secs(300);

#[test]
fn modules_of_clusters_load_and_strangers_are_refused() {
    Scenario::run("kernel-modules", |scenario| {
        let mut node = scenario.restored()?;
        let names: Vec<&str> =
            MODULES.lines().filter(|l| !l.starts_with('#')).filter_map(|l| l.split_whitespace().next()).collect();
        ensure!(names.len() > 40, "kernel.modules names only {}", names.len());
        let said = "dmesg --level emerg,alert,crit,err | wc -l";
        let before = node.guest.ask(said)?;
        let load = format!("modprobe -a {}", names.join(" "));
        node.guest.shell_within(&load, LOADING)?.success("modprobe -a")?;
        // What is built in is known to modprobe and absent here.
        let loaded = node.guest.ask(
            "cut -d' ' -f1 /proc/modules; sed 's,.*/,,; s,[.]ko$,,; s,-,_,g' /usr/lib/modules/*/modules.builtin",
        )?;
        let missing: Vec<_> = names.iter().filter(|name| !loaded.lines().any(|line| line == **name)).collect();
        ensure!(missing.is_empty(), "modprobe was content, but these are not loaded: {missing:?}");
        let after = node.guest.ask(said)?;
        ensure!(before == after, "the kernel complained: {}", node.guest.ask("dmesg --level emerg,alert,crit,err")?);

        let packed = node.guest.run(&["sh", "-c", "cat /usr/lib/modules/*/kernel/drivers/net/nlmon.ko.zst"])?;
        let module = unpack(&scenario.lab.tools, &packed.success("reading a module")?.stdout)?;
        let bare = without_signature(&module).context("modules of the image are not signed")?;
        let mut changed = module.clone();
        // A letter of the licence in .modinfo: still a whole module, but not the one that was signed.
        let place = module.windows(8).position(|w| w == b"license=").context("no licence in a module")?;
        changed[place + 8] ^= 1;
        for (what, stranger) in [("unsigned", bare), ("changed", changed.as_slice())] {
            let text = BASE64_STANDARD.encode(stranger);
            let tried = format!(
                "echo {text} | base64 -d >/run/stranger.ko && ln -sf /usr/bin/kmod /run/insmod && /run/insmod /run/stranger.ko"
            );
            let output = node.guest.shell_within(&tried, LOADING)?;
            ensure!(output.status != 0, "a module that is {what} was loaded");
            ensure!(output.warning().contains("rejected"), "{what}: another refusal: {}", output.warning());
        }
        let tainted = node.guest.ask("cat /proc/sys/kernel/tainted")?;
        ensure!(tainted == "0", "the kernel is tainted: {tainted}");
        node.power_off()
    });
}

#[test]
fn the_kernel_is_guarded_and_explains_its_types() {
    Scenario::run("kernel-guarded", |scenario| {
        let mut node = scenario.restored()?;
        let tainted = node.guest.ask("cat /proc/sys/kernel/tainted")?;
        ensure!(tainted == "0", "the kernel is tainted after a boot: {tainted}");
        node.guest.ask("test -s /sys/kernel/btf/vmlinux")?;
        let open = node
            .guest
            .ask("cd /sys/devices/system/cpu/vulnerabilities && { grep -l ^Vulnerable * || test $? -eq 1; }")?;
        // The emulated processor has no switch for this one.
        let open: Vec<_> = open.lines().filter(|name| *name != "spec_store_bypass").collect();
        ensure!(open.is_empty(), "no mitigation of {open:?}");
        let modules = node.guest.ask("cat /sys/kernel/security/lsm")?;
        for name in ["lockdown", "landlock", "yama", "apparmor"] {
            ensure!(modules.split(',').any(|module| module == name), "{name} is not active: {modules}");
        }
        ensure!(!modules.contains("bpf"), "the BPF security module is on the way to READY: {modules}");
        let lockdown = node.guest.ask("cat /sys/kernel/security/lockdown")?;
        ensure!(lockdown.contains("[integrity]"), "not locked down: {lockdown}");
        sysctls_hold(&mut node)?;
        let memory = node.guest.run(&["sh", "-c", "head -c 1 /dev/mem"])?;
        ensure!(memory.status != 0, "/dev/mem can be read");
        node.power_off()
    });
}

/// What the image says of them (image/kernel/check holds that against what hardening guides ask for) holds; so it does for each port.
fn sysctls_hold(node: &mut Node) -> Result<()> {
    let lines = SYSCTLS.lines().filter(|line| !line.starts_with(['#', '-'])).filter_map(|line| line.split_once(" = "));
    let said: Vec<(&str, &str)> = lines.filter(|(name, _)| !name.contains('*')).collect();
    ensure!(said.len() > 30, "50-ballast.conf says only {}", said.len());
    let paths: Vec<String> = said.iter().map(|(name, _)| format!("/proc/sys/{}", name.replace('.', "/"))).collect();
    let found = node.guest.ask(&format!("cat {}", paths.join(" ")))?;
    ensure!(found.lines().count() == said.len(), "not all of them are there: {found}");
    let other = said.iter().zip(found.lines()).find(|((_, value), found)| value != found);
    ensure!(other.is_none(), "{other:?} differ");
    let loose = node.guest.ask("cat /proc/sys/net/ipv4/conf/lo/rp_filter /proc/sys/net/ipv4/conf/all/rp_filter")?;
    ensure!(loose == "2\n0", "rp_filter of a port and of all: {loose}");
    Ok(())
}

/// The module that a `.ko.zst` holds.
fn unpack(tools: &Tools, packed: &[u8]) -> Result<Vec<u8>> {
    let mut file = tempfile::NamedTempFile::new().context("making a file for a module")?;
    file.write_all(packed)?;
    let path = file.path().to_string_lossy().into_owned();
    tools.output("zstd", ["-dcq", path.as_str()]).context("unpacking a module")
}

/// A module without what was appended to it; `None` if nothing was.
fn without_signature(module: &[u8]) -> Option<&[u8]> {
    let signed = module.strip_suffix(MARK)?;
    let (rest, size) = signed.split_last_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*size)).ok()?;
    rest.get(..rest.len().checked_sub(8 + length)?)
}
