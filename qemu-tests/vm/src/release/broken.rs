//! Releases that do not work, each in its way: the R cases.

use anyhow::Result;

use super::Release;
use crate::cpio;

const UNITS: &str = "usr/lib/systemd/system";

impl Release {
    /// R04: an initramfs whose /init cannot be run; the kernel panics before there is any userspace.
    ///
    /// # Errors
    /// When the image has no kernel.
    pub fn without_init(self) -> Result<Self> {
        let path = format!("{}/initramfs.img", self.modules()?);
        Ok(self.file(&path, cpio::with_init(b"this is no program\n")))
    }

    /// R05: process 1 ends; the kernel panics early in userspace.
    #[must_use]
    pub fn systemd_exits(self) -> Self {
        self.program("usr/lib/systemd/systemd", "#!/bin/sh\necho 'this systemd gives up' >/dev/console\nexit 1\n")
    }

    /// R07: a unit that the boot wants fails; all else works.
    #[must_use]
    pub fn failing_unit(self) -> Self {
        let text = "[Unit]\nDescription=A unit that fails\n[Service]\nType=oneshot\nExecStart=/bin/false\n";
        let wanted = format!("{UNITS}/multi-user.target.wants/broken.service");
        self.file(&format!("{UNITS}/broken.service"), text).link(&wanted, "../broken.service")
    }

    /// R08: containerd stops answering as soon as it is up, each time.
    #[must_use]
    pub fn hanging_containerd(self) -> Self {
        let text = "[Service]\nExecStartPost=/bin/sh -c 'kill -STOP $MAINPID'\n";
        self.file(&format!("{UNITS}/containerd.service.d/50-hangs.conf"), text)
    }

    /// R09: nothing asks for an address.
    #[must_use]
    pub fn without_network(self) -> Self {
        self.without("usr/lib/systemd/network/80-dhcp.network")
    }

    /// R10: there is no agent.
    #[must_use]
    pub fn without_agent(self) -> Self {
        self.without("usr/bin/ballast")
    }

    /// R10: the agent ends as soon as it starts.
    #[must_use]
    pub fn crashing_agent(self) -> Self {
        self.program("usr/bin/ballast", "#!/bin/sh\nexit 1\n")
    }
}
