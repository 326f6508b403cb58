//! The READY line on the console: when the node was READY, and where the time went.

use super::boot::Boot;

/// The line on the console.
pub fn ready_line(version: &str, boot: &Boot) -> String {
    let secs = |ms: Option<u64>| ms.map_or("?".to_owned(), |ms| format!("{}.{:03} s", ms / 1000, ms % 1000));
    format!(
        "ballast {version}: READY in {} (kernel {}, initramfs {}, userspace {}; busy {})",
        secs(boot.ready_ms),
        secs(boot.kernel_ms),
        secs(boot.initramfs_ms),
        secs(boot.userspace_ms),
        secs(boot.busy_ms),
    )
}
