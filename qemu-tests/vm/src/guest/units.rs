//! The units that come into the guest as credentials.

use std::path::Path;

use anyhow::Result;

use super::channel::PORTS;
use crate::credentials::{Credential, wanted_by_boot};
use crate::qemu::machine::Machine;

/// The agent: it makes a node READY.
pub const AGENT: &str = "ballast.service";

/// Serves commands. It is ordered after the unit that makes the node READY, which it shall not slow down; it starts as
/// well when that one has failed: then there is something to look at.
const SERVER: &str = "\
[Service]
ExecStart=/bin/sh /run/credentials/@system/qemu-tests.server
StandardOutput=journal
StandardError=journal
OOMScoreAdjust=-1000
";

/// The rest of the boot goes on after READY, and commands need not wait for it.
const EARLY: &str = "DefaultDependencies=no\nConflicts=shutdown.target\nBefore=shutdown.target\n";

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

/// Gives a machine the way in for commands: the command server, which starts after `unit`, and the ports, whose sockets lie in `sockets`.
///
/// # Errors
/// Never in practice: all names are fixed and valid.
pub fn equip(machine: &mut Machine, unit: &str, sockets: &Path) -> Result<()> {
    machine.credentials.extend(command_server(unit)?);
    machine.ports = PORTS.to_vec();
    machine.sockets = Some(sockets.to_owned());
    Ok(())
}

/// The root shell and what starts it.
///
/// # Errors
/// Never in practice: all names are fixed and valid.
pub fn console_shell() -> Result<Vec<Credential>> {
    Ok(vec![Credential::extra_unit("qemu-tests-shell.service", SHELL)?, wanted_by_boot(&["qemu-tests-shell.service"])?])
}

/// The command server, started after `unit`, and what starts it.
fn command_server(unit: &str) -> Result<Vec<Credential>> {
    let text = format!("[Unit]\nDescription=qemu-tests: commands from the host\nAfter={unit}\n{EARLY}{SERVER}");
    Ok(vec![
        Credential::new("qemu-tests.server", include_str!("server.sh"))?,
        Credential::extra_unit("qemu-tests.service", &text)?,
        wanted_by_boot(&["qemu-tests.service"])?,
    ])
}
