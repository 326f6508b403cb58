//! What of the kernel an operator may change: arguments and sysctls from lists of what cannot keep a node from booting,
//! from falling back, or from being verified.

use super::{Text, is_made_of, refusal, shown_as_text};

/// Arguments by name, in the order of the alphabet. Others decide how the node boots (`root=`, `init=`, `panic=`) or what it
/// trusts (`lsm=`, `module.sig_enforce`).
const ARGUMENTS: [&str; 29] = [
    "amd_iommu",
    "amd_pstate",
    "audit",
    "console",
    "cpufreq.default_governor",
    "default_hugepagesz",
    "hugepages",
    "hugepagesz",
    "idle",
    "intel_idle.max_cstate",
    "intel_iommu",
    "intel_pstate",
    "iommu",
    "irqaffinity",
    "isolcpus",
    "loglevel",
    "mitigations",
    "net.ifnames",
    "nohz",
    "nohz_full",
    "nosmt",
    "numa_balancing",
    "preempt",
    "processor.max_cstate",
    "psi",
    "rcu_nocbs",
    "skew_tick",
    "swiotlb",
    "transparent_hugepage",
];

/// Sysctls whose names begin so.
const SYSCTLS: [&str; 26] = [
    "fs.aio-max-nr",
    "fs.file-max",
    "fs.inotify.",
    "fs.mqueue.",
    "fs.nr_open",
    "kernel.keys.",
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.numa_balancing",
    "kernel.pid_max",
    "kernel.printk",
    "kernel.sched_",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.threads-max",
    "net.bridge.",
    "net.core.",
    "net.ipv4.",
    "net.ipv6.",
    "net.netfilter.",
    "net.nf_conntrack_max",
    "user.max_",
    "vm.",
];

/// Those that are not for operators, and why; where a name ends with a point or `_`, all that begin so. Also of those above.
const NOT_SYSCTLS: [(&str, &str); 28] = [
    ("fs.may_detach_mounts", "only old kernels of Red Hat have it, and this one always does what it switched on"),
    ("fs.protected_", PROTECTS),
    ("fs.suid_dumpable", PROTECTS),
    ("kernel.core_", DUMPS),
    ("kernel.dmesg_restrict", PROTECTS),
    ("kernel.hostname", "it is what hostname says in the settings"),
    ("kernel.hung_task_", REBOOTS),
    ("kernel.kexec_load_disabled", PROTECTS),
    ("kernel.kptr_restrict", PROTECTS),
    ("kernel.modprobe", "it names a program that root runs"),
    ("kernel.modules_disabled", "what needs a module later would fail: pods' networks, volumes"),
    ("kernel.nmi_watchdog", REBOOTS),
    ("kernel.panic", REBOOTS),
    ("kernel.panic_", REBOOTS),
    ("kernel.perf_event_paranoid", PROTECTS),
    ("kernel.randomize_va_space", PROTECTS),
    ("kernel.softlockup_", REBOOTS),
    ("kernel.sysrq", "whoever reaches the console could stop the node"),
    (
        "kernel.unprivileged_",
        "it protects the kernel; user.max_user_namespaces says how many user namespaces there may be",
    ),
    ("kernel.yama.", PROTECTS),
    ("net.core.bpf_jit_harden", PROTECTS),
    ("net.ipv4.route.flush", COMMAND),
    ("net.ipv6.route.flush", COMMAND),
    ("vm.compact_memory", COMMAND),
    ("vm.drop_caches", COMMAND),
    ("vm.nr_hugepages", HUGE_PAGES),
    ("vm.nr_hugepages_mempolicy", HUGE_PAGES),
    ("vm.panic_on_oom", REBOOTS),
];

const COMMAND: &str = "it is a command";
const DUMPS: &str = "a program that crashes in a container would start one on the node, or write to its disk";
const HUGE_PAGES: &str =
    "it can take all memory, on each boot; hugepages= in kernel.arguments is tried first, by a boot that falls back";
const PROTECTS: &str = "it protects the kernel and the node's programs, and the image sets it";
const REBOOTS: &str = "it decides when the node reboots, which the image sets (kernel.panic = 10) so that boots are counted and fall back";

/// Whether `name` is the sysctl `known`, or one of those that begin so.
fn is_one_of(name: &str, known: &str) -> bool {
    if known.ends_with(['.', '_']) { name.starts_with(known) } else { name == known }
}

/// One argument on the kernel's command line, `NAME` or `NAME=VALUE`. It holds from the next boot on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelArgument(String);

/// A sysctl's name, with points between its parts. It holds at once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SysctlKey(String);

/// A sysctl's value: words and numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SysctlValue(String);

shown_as_text!(KernelArgument, SysctlKey, SysctlValue);

impl KernelArgument {
    /// The names that an operator may give.
    pub const ALLOWED: &[&str] = &ARGUMENTS;
}

impl Text for KernelArgument {
    const EXPECTED: &'static str =
        "an argument that an operator may give, as \"mitigations=auto\" (see Settings in the manual)";

    fn parse(text: &str) -> Result<Self, String> {
        let name = text.split('=').next().unwrap_or_default();
        if !ARGUMENTS.contains(&name) {
            return Err(refusal(name, "one of them"));
        }
        // No blank, no quote: where one argument ends is never in doubt.
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-=,:/+".contains(&byte);
        if !is_made_of(text, 1..=256, fits) {
            return Err(refusal(text, "a single argument"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl SysctlKey {
    /// What the names begin with that an operator may give.
    pub const ALLOWED: &[&str] = &SYSCTLS;

    /// Its file below /proc/sys. Where points are the separators, slashes stand for points; if the first separator is a slash, it
    /// is a path already. (sysctl.d(5))
    #[must_use]
    pub fn path(&self) -> String {
        match self.0.find(['.', '/']) {
            Some(first) if self.0[first..].starts_with('.') => {
                let swap = |letter| match letter {
                    '.' => '/',
                    '/' => '.',
                    other => other,
                };
                self.0.chars().map(swap).collect()
            }
            _ => self.0.clone(),
        }
    }
}

impl Text for SysctlKey {
    const EXPECTED: &'static str =
        "a sysctl that an operator may set, as \"net.core.somaxconn\" (see Settings in the manual)";

    fn parse(text: &str) -> Result<Self, String> {
        // An interface's name in it may have points itself: then all points are slashes, and the other way round (sysctl.d(5)).
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
        let has_empty = text.split(['.', '/']).any(str::is_empty);
        // Both ways to write a name (sysctl.d(5)): what is refused is so in either.
        let name = Self(text.to_owned()).path().replace('/', ".");
        if let Some((_, why)) = NOT_SYSCTLS.iter().find(|(known, _)| is_one_of(text, known) || is_one_of(&name, known))
        {
            return Err(format!("{}: {why}", refusal(text, "one of them")));
        }
        if !SYSCTLS.iter().any(|known| is_one_of(text, known)) {
            let why = "nobody has made sure that it cannot keep a node from booting or falling back";
            return Err(format!("{}: {why}", refusal(text, "one of them")));
        }
        if has_empty || !is_made_of(text, 1..=128, fits) {
            return Err(refusal(text, "a sysctl's name"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Text for SysctlValue {
    const EXPECTED: &'static str = "a number, or words in one line";

    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-,:/+ \t".contains(&byte);
        if !is_made_of(text, 1..=256, fits) {
            return Err(refusal(text, "one"));
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_harmless_arguments_are_taken() {
        for right in ["mitigations=auto,nosmt", "nosmt", "console=ttyS1,115200", "isolcpus=2-3"] {
            assert!(KernelArgument::parse(right).is_ok(), "{right}");
        }
        for wrong in ["", "init=/bin/sh", "panic=0", "nosmt init=/x", "nosmt\"", "rd.x", "=", "ballast.deployment=x"] {
            assert!(KernelArgument::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(KernelArgument::parse("init=/bin/sh").unwrap_err(), "\"init\" is not one of them");
        assert!(ARGUMENTS.is_sorted() && SYSCTLS.is_sorted() && NOT_SYSCTLS.is_sorted());
    }

    #[test]
    fn only_harmless_sysctls_are_taken() {
        for right in [
            "net.core.somaxconn",
            "vm.swappiness",
            "kernel.pid_max",
            "net.ipv4.conf.eth0/100.rp_filter",
            // Takes memory only when a program asks for it.
            "vm.nr_overcommit_hugepages",
            "vm.mmap_min_addr",
            "vm.mmap_rnd_bits",
            "vm.unprivileged_userfaultfd",
        ] {
            assert!(SysctlKey::parse(right).is_ok(), "{right}");
        }
        for wrong in [
            "",
            "kernel.panic",
            "kernel.core_pattern",
            "kernel.pid_max2",
            "vm.drop_caches",
            "vm.nr_hugepages",
            "net.ipv6.route.flush",
            "vm.",
            "vm..x",
            "vm.a\nb",
            "net",
        ] {
            assert!(SysctlKey::parse(wrong).is_err(), "{wrong}");
        }
        let reported = SysctlKey::parse("vm.nr_hugepages").unwrap_err();
        assert!(
            reported.starts_with("\"vm.nr_hugepages\" is not one of them: it ") && reported.contains("hugepages="),
            "{reported}"
        );
        // Each refusal says why.
        for wrong in
            ["kernel.panic_on_oops", "kernel.core_pattern", "fs.protected_hardlinks", "dev.raid.speed_limit_max"]
        {
            assert!(SysctlKey::parse(wrong).unwrap_err().contains("is not one of them: "), "{wrong}");
        }
        for wrong in ["", "1\n2", "$(x)", "a;b"] {
            assert!(SysctlValue::parse(wrong).is_err(), "{wrong}");
        }
        for (key, path) in [
            ("net.core.somaxconn", "net/core/somaxconn"),
            ("net.ipv4.conf.eth0/100.rp_filter", "net/ipv4/conf/eth0.100/rp_filter"),
        ] {
            assert_eq!(SysctlKey::parse(key).unwrap().path(), path);
        }
        assert_eq!(SysctlKey("net/ipv4/conf/eth0.100/rp_filter".to_owned()).path(), "net/ipv4/conf/eth0.100/rp_filter");
        assert_eq!(SysctlValue::parse(" 4096 87380\t6291456 ").unwrap().as_str(), "4096 87380\t6291456");
    }
}
