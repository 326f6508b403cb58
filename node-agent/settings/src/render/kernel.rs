//! Sysctls and arguments of the kernel.

use super::{HEADER, Reload, Rendered};
use crate::model::Kernel;

/// sysctl.d(5), behind the image's own; and the arguments in one line, for the writer of boot entries.
pub(super) fn files(kernel: &Kernel) -> Vec<Rendered> {
    let mut all = Vec::new();
    if !kernel.sysctl.is_empty() {
        let lines = kernel.sysctl.iter().map(|(key, value)| format!("{key} = {value}\n"));
        let text = format!("{HEADER}{}", lines.collect::<String>());
        all.push(Rendered::public("/etc/sysctl.d/90-ballast.conf", text, Reload::Restart("systemd-sysctl.service")));
    }
    if !kernel.arguments.is_empty() {
        let arguments: Vec<&str> = kernel.arguments.iter().map(|argument| argument.as_str()).collect();
        all.push(Rendered::public("/etc/ballast/cmdline", format!("{}\n", arguments.join(" ")), Reload::Reboot));
    }
    all
}
