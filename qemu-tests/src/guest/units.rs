//! The units that come into the guest as credentials.

use anyhow::Result;

use crate::credentials::{Credential, wanted_by_boot};

/// Serves commands once the agent has told systemd that it is up (or has failed to: then there is something to look at).
const SERVER: &str = "\
[Unit]
Description=qemu-tests: commands from the host
After=ballast.service
[Service]
ExecStart=/bin/sh /run/credentials/@system/qemu-tests.server
StandardOutput=journal
StandardError=journal
OOMScoreAdjust=-1000
";

/// A root shell on the serial console. It starts late so that the boot's own lines come first.
const SHELL: &str = "\
[Unit]
Description=qemu-tests: root shell on the serial console
After=ballast.service
Conflicts=serial-getty@ttyS0.service
[Service]
Environment=HOME=/root TERM=vt220 PS1=ballast#\\x20
WorkingDirectory=/
ExecStartPre=-/bin/sh -c 'printf \"\\n  A root shell on ballast. Ctrl-A X leaves and throws this machine away.\\n\\n\"'
ExecStart=-/bin/sh -i
StandardInput=tty-force
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
TTYReset=yes
Restart=always
RestartSec=0
";

/// The command server and what starts it.
///
/// # Errors
/// Never in practice: all names are fixed and valid.
pub fn command_server() -> Result<Vec<Credential>> {
    Ok(vec![
        Credential::new("qemu-tests.server", include_str!("server.sh"))?,
        Credential::extra_unit("qemu-tests.service", SERVER)?,
        wanted_by_boot(&["qemu-tests.service"])?,
    ])
}

/// The root shell and what starts it.
///
/// # Errors
/// Never in practice: all names are fixed and valid.
pub fn console_shell() -> Result<Vec<Credential>> {
    Ok(vec![Credential::extra_unit("qemu-tests-shell.service", SHELL)?, wanted_by_boot(&["qemu-tests-shell.service"])?])
}
