//! Between which numbers a sysctl may be, where one outside takes the node out of service: and would again on each boot.

use super::{SysctlKey, SysctlValue, Text};

/// What a sysctl may be.
struct Limit {
    /// Its name, or what it begins with.
    name: &'static str,
    least: u64,
    most: u64,
    /// What a smaller or larger value would do.
    why: &'static str,
}

const fn at_least(name: &'static str, least: u64, why: &'static str) -> Limit {
    Limit { name, least, most: u64::MAX, why }
}

const NO_FILES: &str = "with less, services cannot open their files";
const NO_WATCHES: &str = "with less, services that watch files fail";
const NO_KEYS: &str = "with less, containers get no keyring";
const NO_THREADS: &str = "with less, the node cannot start what it runs";

/// The first whose name fits holds. They begin at the kernel's defaults, where those do not grow with the machine, or well below the
/// defaults of a small one. (Documentation/admin-guide/sysctl/)
const LIMITS: [Limit; 17] = [
    at_least("fs.file-max", 65_536, NO_FILES),
    at_least("fs.inotify.max_", 128, NO_WATCHES),
    at_least("fs.nr_open", 1_048_576, NO_FILES),
    at_least("kernel.keys.maxbytes", 20_000, NO_KEYS),
    at_least("kernel.keys.maxkeys", 200, NO_KEYS),
    at_least("kernel.keys.root_maxbytes", 20_000, NO_KEYS),
    at_least("kernel.keys.root_maxkeys", 200, NO_KEYS),
    Limit { name: "kernel.pid_max", least: 32_768, most: 4_194_304, why: NO_THREADS },
    // FUTEX_TID_MASK: the kernel takes no more.
    Limit { name: "kernel.threads-max", least: 4096, most: 0x3fff_ffff, why: NO_THREADS },
    at_least("user.max_fanotify_groups", 128, NO_WATCHES),
    at_least("user.max_inotify_instances", 128, NO_WATCHES),
    at_least("user.max_user_namespaces", 0, "with 0, programs without privileges get none, which some want"),
    at_least("user.max_", 1024, "with less, containers get no namespaces"),
    at_least("vm.max_map_count", 65_530, "with less, large programs fail"),
    Limit {
        name: "vm.min_free_kbytes",
        least: 1024,
        most: 131_072,
        why: "with less the kernel can hang, with more programs are killed",
    },
    at_least("vm.mmap_min_addr", 4096, "with less, a mistake in the kernel is easier to use against it"),
    Limit { name: "vm.overcommit_memory", least: 0, most: 1, why: "strict accounting keeps services from starting" },
];

impl SysctlKey {
    /// Whether `value` fits it.
    ///
    /// # Errors
    /// One clause that says what is wrong; [`Self::expected`] says what would be right.
    pub fn check(&self, value: &SysctlValue) -> Result<(), String> {
        let Some(limit) = self.limit() else { return Ok(()) };
        let number = value.as_str().parse::<u64>().ok();
        let fits = number.is_some_and(|number| (limit.least..=limit.most).contains(&number));
        if fits { Ok(()) } else { Err(format!("{:?} is out of range", value.as_str())) }
    }

    /// What its value may be, as it stands behind "expected".
    pub fn expected(&self) -> String {
        match self.limit() {
            None => SysctlValue::EXPECTED.to_owned(),
            Some(Limit { least, most: u64::MAX, why, .. }) => format!("a number from {least} on ({why})"),
            Some(Limit { least, most, why, .. }) => format!("a number from {least} to {most} ({why})"),
        }
    }

    fn limit(&self) -> Option<&'static Limit> {
        LIMITS.iter().find(|limit| {
            let is_start = limit.name.ends_with(['.', '_']);
            if is_start { self.as_str().starts_with(limit.name) } else { self.as_str() == limit.name }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_a_node_out_of_service_is_refused() {
        for (key, wrong, right) in [
            ("fs.file-max", "65535", "9223372036854775807"),
            ("fs.inotify.max_user_instances", "127", "8192"),
            ("fs.nr_open", "1024", "1048576"),
            ("kernel.keys.maxkeys", "1", "2000"),
            ("kernel.keys.root_maxbytes", "200", "25000000"),
            ("kernel.pid_max", "301", "32768"),
            ("kernel.pid_max", "4194305", "4194304"),
            ("kernel.threads-max", "1", "4096"),
            ("user.max_inotify_instances", "0", "128"),
            ("user.max_pid_namespaces", "0", "1024"),
            ("user.max_user_namespaces", "-1", "0"),
            ("vm.max_map_count", "10", "262144"),
            ("vm.min_free_kbytes", "900000", "67584"),
            ("vm.min_free_kbytes", "0", "1024"),
            ("vm.mmap_min_addr", "0", "65536"),
            ("vm.overcommit_memory", "2", "1"),
            ("kernel.pid_max", "-1", "40000"),
            ("kernel.pid_max", "many", "40000"),
        ] {
            let key = SysctlKey::parse(key).unwrap();
            let value = |text| SysctlValue::parse(text).unwrap();
            assert_eq!(key.check(&value(wrong)), Err(format!("{wrong:?} is out of range")), "{key}");
            assert_eq!(key.check(&value(right)), Ok(()), "{key}");
        }
    }

    #[test]
    fn most_are_the_operator_s_to_choose() {
        for key in ["net.core.somaxconn", "kernel.keys.gc_delay", "vm.swappiness", "fs.aio-max-nr"] {
            let key = SysctlKey::parse(key).unwrap();
            assert_eq!(key.check(&SysctlValue::parse("1").unwrap()), Ok(()));
            assert_eq!(key.expected(), SysctlValue::EXPECTED);
        }
    }

    #[test]
    fn each_limit_is_of_a_sysctl_that_may_be_set() {
        for Limit { name, least, most, .. } in LIMITS {
            let key = if name.ends_with('_') { format!("{name}user_x") } else { name.to_owned() };
            assert!(SysctlKey::parse(&key).is_ok() && least < most, "{name}");
        }
    }
}
