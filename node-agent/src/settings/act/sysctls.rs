//! What sysctls were before the settings said them, so that they can be so again: systemd-sysctl sets those that are listed, and knows
//! nothing of those that are listed no more.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, ErrorKind, Write as _},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use ballast_settings::{
    model::Kernel,
    values::{SysctlKey, SysctlValue},
};

use crate::clients::{host::Host, store, systemd::Systemd};

/// By its path below /proc/sys, what each was. In /run: a boot begins with the kernel's own values.
const RECORD: &str = "/run/ballast/settings-sysctls";

const PROC_SYS: &str = "/proc/sys";

/// What has these sysctls is a module, and nothing loads it for their sake: Kubernetes' guides load it by hand.
const MODULES: [(&str, &str); 3] = [
    ("net/bridge/", "br_netfilter"),
    ("net/netfilter/nf_conntrack", "nf_conntrack"),
    ("net/nf_conntrack_max", "nf_conntrack"),
];

/// A module is loaded within moments.
const MODULE_DEADLINE: Duration = Duration::from_secs(20);

/// Of each pair the kernel zeroes the one when the other is set, and takes no zero: what they were is known from both.
const PAIRS: [[&str; 2]; 2] =
    [["vm/dirty_background_bytes", "vm/dirty_background_ratio"], ["vm/dirty_bytes", "vm/dirty_ratio"]];

/// Before `wanted` is written for systemd-sysctl, where `known` (paths below /proc/sys) were named until now: keeps what those are that it is the first to say, and gives
/// back what those were that nobody says any more. The image's own sysctl.d still wins: systemd-sysctl is started again after it.
///
/// # Errors
/// If the record cannot be kept, or the kernel takes a value no more that it had; all others are given back, and doing it once more
/// goes on from there.
pub(super) fn bring(host: &Host, known: &BTreeSet<String>, wanted: &Kernel) -> Result<()> {
    if wanted.sysctl.is_empty() && !host.path(RECORD).exists() {
        return Ok(());
    }
    let doing = "keeping what sysctls were";
    let text = store::read(&host.path(RECORD)).context(doing)?.unwrap_or_default();
    // One that is damaged is begun anew: nothing more is known.
    let old: BTreeMap<String, String> = serde_json::from_slice(&text).unwrap_or_default();
    let mut record = old.clone();
    let named = paths(wanted);
    for path in named.difference(known).filter(|path| !old.contains_key(*path)) {
        // One that is not there belongs to a module that is not loaded, or to an interface yet to come.
        record.extend(value(host, path).map(|value| (path.clone(), value)));
    }
    keep(host, &old, &record).context(doing)?;
    let kept = record.clone();
    let failures = give_back(host, &mut record, &named);
    keep(host, &kept, &record).context(doing)?;
    if failures.is_empty() { Ok(()) } else { bail!("{}", failures.join("; ")) }
}

/// Has `systemd` load the modules that sysctls of `wanted` belong to, which the agent itself may not, and sets those: systemd-sysctl
/// found nothing to set.
///
/// # Errors
/// If a module cannot be loaded, or the kernel does not take a value; the others are set all the same.
pub(super) async fn load_modules(host: &Host, wanted: &Kernel, systemd: Option<&Systemd>) -> Result<()> {
    let load = |module| async move {
        let systemd = systemd.context("systemd cannot be asked")?;
        systemd.start_and_wait(&format!("modprobe@{module}.service"), MODULE_DEADLINE).await
    };
    set_those_of_modules(host, wanted, load).await
}

async fn set_those_of_modules<F: Future<Output = Result<()>>>(
    host: &Host,
    wanted: &Kernel,
    load: impl Fn(&'static str) -> F,
) -> Result<()> {
    let mut failures = Vec::new();
    for (start, module) in MODULES {
        let is_missing = |path: &String| path.starts_with(start) && value(host, path).is_none();
        let missing: Vec<(String, &SysctlValue)> =
            wanted.sysctl.iter().map(|(key, value)| (key.path(), value)).filter(|(path, _)| is_missing(path)).collect();
        if missing.is_empty() {
            continue;
        }
        if let Err(error) = load(module).await {
            let error = error.context(format!("loading {module} for kernel.sysctl"));
            failures.push(format!("{error:#}"));
            continue;
        }
        for (path, value) in missing {
            // That unit does not say when the module cannot be loaded; its files do.
            let set = set(host, &path, value.as_str())
                .with_context(|| format!("setting {PROC_SYS}/{path} after loading {module}"));
            failures.extend(set.err().map(|error| format!("{error:#}")));
        }
    }
    if failures.is_empty() { Ok(()) } else { bail!("{}", failures.join("; ")) }
}

/// The files of the sysctls of `kernel`, and of those that change with them.
pub(super) fn paths(kernel: &Kernel) -> BTreeSet<String> {
    let mut paths: BTreeSet<String> = kernel.sysctl.keys().map(SysctlKey::path).collect();
    for pair in PAIRS.iter().filter(|pair| pair.iter().any(|one| paths.contains(*one))).collect::<Vec<_>>() {
        paths.extend(pair.map(str::to_owned));
    }
    paths
}

/// Takes out of `record` what is not `wanted`, once the kernel has it.
fn give_back(host: &Host, record: &mut BTreeMap<String, String>, wanted: &BTreeSet<String>) -> Vec<String> {
    let mut failures = Vec::new();
    // Twice: what of a pair cannot be written is so once the other is written.
    for _ in 0..2 {
        failures.clear();
        record.retain(|path, before| {
            if wanted.contains(path) || value(host, path).as_ref() == Some(before) {
                return wanted.contains(path);
            }
            match set(host, path, before) {
                Ok(()) => false,
                // Its interface is gone, or its module.
                Err(error) if error.kind() == ErrorKind::NotFound => false,
                Err(error) => {
                    failures
                        .push(format!("{PROC_SYS}/{path} is not given back what it was until the next boot: {error}"));
                    true
                }
            }
        });
    }
    failures
}

/// Without making a file: in /proc/sys nobody can, and the kernel would not say that there is none.
fn set(host: &Host, path: &str, value: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).truncate(true).open(host.path(format!("{PROC_SYS}/{path}")))?;
    file.write_all(value.as_bytes())
}

/// As the kernel says it, with the end of its line: an empty one can be written as well.
fn value(host: &Host, path: &str) -> Option<String> {
    fs::read_to_string(host.path(format!("{PROC_SYS}/{path}"))).ok()
}

/// Root's alone: there may be keys among them (net.ipv4.tcp_fastopen_key).
fn keep(host: &Host, old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Result<()> {
    match new {
        same if same == old => Ok(()),
        none if none.is_empty() => store::remove(&host.path(RECORD)),
        some => store::write(&host.path(RECORD), &serde_json::to_vec(some).context("encoding it")?),
    }
}

#[cfg(test)]
mod tests {
    use std::{future::ready, os::unix::fs::PermissionsExt};

    use ballast_settings::{Rank, Source};

    use super::*;

    /// What /proc/sys has for these.
    const KERNEL: [(&str, &str); 4] = [
        ("net/core/somaxconn", "4096\n"),
        ("net/ipv4/tcp_rmem", "4096\t131072\t6291456\n"),
        ("vm/dirty_bytes", "0\n"),
        ("vm/dirty_ratio", "20\n"),
    ];

    fn node() -> (tempfile::TempDir, Host) {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        KERNEL.iter().for_each(|(path, value)| load(&host, path, value));
        (tree, host)
    }

    fn load(host: &Host, path: &str, value: &str) {
        let file = host.path(format!("{PROC_SYS}/{path}"));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, value).unwrap();
    }

    fn kernel(sysctls: &str) -> Kernel {
        let text = format!("[kernel.sysctl]\n{sysctls}");
        let (settings, problems) = ballast_settings::settings(&[Source::new("f", Rank::Node, text.as_bytes())]);
        assert_eq!(problems, []);
        settings.kernel
    }

    /// What systemd-sysctl does.
    fn restart(host: &Host, kernel: &Kernel) {
        kernel.sysctl.iter().for_each(|(key, value)| load(host, &key.path(), &format!("{value}\n")));
    }

    fn are(host: &Host, expected: &[(&str, &str)]) {
        let found: Vec<_> = expected.iter().map(|(path, _)| (*path, value(host, path).unwrap_or_default())).collect();
        let found: Vec<(&str, &str)> = found.iter().map(|(path, value)| (*path, value.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn f08_what_is_said_no_more_is_as_it_was() {
        let (_tree, host) = node();
        let mut now = Kernel::default();
        for text in [
            "net.core.somaxconn = 1\nnet.ipv4.tcp_rmem = \"1 2 3\"",
            "net.core.somaxconn = 2\nnet.ipv4.tcp_rmem = \"1 2 3\"",
            "net.core.somaxconn = 2",
        ] {
            let wanted = kernel(text);
            bring(&host, &paths(&now), &wanted).unwrap();
            restart(&host, &wanted);
            now = wanted;
        }
        are(&host, &[("net/core/somaxconn", "2\n"), KERNEL[1]]);
        assert_eq!(host.path(RECORD).metadata().unwrap().permissions().mode() & 0o777, 0o600);
        bring(&host, &paths(&now), &Kernel::default()).unwrap();
        are(&host, &KERNEL);
        assert!(!host.path(RECORD).exists());
    }

    #[test]
    fn what_was_before_is_known_from_the_first_time_alone() {
        let (_tree, host) = node();
        let wanted = kernel("net.core.somaxconn = 1");
        // The first time something else went wrong: that these hold is not known.
        for _ in 0..2 {
            bring(&host, &BTreeSet::new(), &wanted).unwrap();
            restart(&host, &wanted);
        }
        bring(&host, &BTreeSet::new(), &Kernel::default()).unwrap();
        are(&host, &KERNEL);
    }

    #[test]
    fn of_a_pair_the_other_comes_back_as_well() {
        let (_tree, host) = node();
        let wanted = kernel("vm.dirty_bytes = 8388608");
        bring(&host, &BTreeSet::new(), &wanted).unwrap();
        restart(&host, &wanted);
        load(&host, "vm/dirty_ratio", "0\n");
        bring(&host, &paths(&wanted), &Kernel::default()).unwrap();
        are(&host, &KERNEL);
    }

    #[tokio::test]
    async fn the_module_of_a_sysctl_is_loaded_and_the_value_set() {
        let (_tree, host) = node();
        let wanted = kernel("net.bridge.bridge-nf-call-iptables = 0\nnet.core.somaxconn = 1");
        let reported = load_modules(&host, &wanted, None).await.unwrap_err().to_string();
        assert_eq!(reported, "loading br_netfilter for kernel.sysctl: systemd cannot be asked");
        // modprobe@.service ends well, whatever modprobe(8) says.
        let reported = set_those_of_modules(&host, &wanted, |_| ready(Ok(()))).await.unwrap_err().to_string();
        let expected = "setting /proc/sys/net/bridge/bridge-nf-call-iptables after loading br_netfilter: ";
        assert!(reported.starts_with(expected), "{reported}");
        let file = host.path("/proc/sys/net/bridge/bridge-nf-call-iptables");
        let modprobe = |module| {
            assert_eq!(module, "br_netfilter");
            load(&host, "net/bridge/bridge-nf-call-iptables", "1\n");
            ready(Ok(()))
        };
        set_those_of_modules(&host, &wanted, modprobe).await.unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "0");
        // Once it is there, systemd-sysctl sets it.
        fs::write(&file, "1\n").unwrap();
        load_modules(&host, &wanted, None).await.unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "1\n");
    }

    #[test]
    fn what_is_not_there_has_no_value_to_come_back() {
        let (_tree, host) = node();
        let (file, late) = ("net/netfilter/nf_conntrack_max", kernel("net.netfilter.nf_conntrack_max = 131072"));
        bring(&host, &BTreeSet::new(), &late).unwrap();
        assert!(!host.path(RECORD).exists());
        // Loaded later, it has what systemd-sysctl gave it then: that is nothing to remember.
        load(&host, file, "131072\n");
        bring(&host, &paths(&late), &late).unwrap();
        assert!(!host.path(RECORD).exists());
        // What was there and is gone is not made.
        let early = kernel("net.core.somaxconn = 1");
        bring(&host, &paths(&late), &early).unwrap();
        fs::remove_file(host.path("/proc/sys/net/core/somaxconn")).unwrap();
        bring(&host, &paths(&early), &Kernel::default()).unwrap();
        assert!(!host.path("/proc/sys/net/core/somaxconn").exists() && !host.path(RECORD).exists());
    }
}
