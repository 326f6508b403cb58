//! Fills the first VAR, at build time: the deployment's own containerd runs once on it and takes in the preloaded pods'
//! images, so that no node's first boot has to. What it leaves is the same for every node: nothing unique, nothing secret.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::mount::{UnmountFlags, mount_bind, unmount};
use rustix::process::{Pid, Signal, chdir, chroot, fchdir, kill_process};

use crate::mounts::{self, NEW, ROOT};
use crate::{composefs, deployment, loopback};

/// What containerd makes up for this machine, below /var/lib/containerd: each node shall make up its own.
const UNIQUE: [&str; 1] = ["io.containerd.grpc.v1.introspection/uuid"];

/// containerd ends in well under a second, under emulation in a few.
const END_WITHIN: Duration = Duration::from_secs(60);
const END_AGAIN: Duration = Duration::from_millis(50);

/// The kernel's file systems that programs expect. /run goes with the machine, and with it containerd's sockets.
const SHARED: [&str; 4] = ["dev", "proc", "sys", "run"];

/// Mounts the one deployment of ROOT, which is mounted, and VAR, as /init does; fills VAR; takes both off again.
///
/// # Errors
/// What could not be mounted, run or unmounted. The console has what the programs said.
pub fn fill(var: &Path) -> Result<()> {
    composefs::mount(&deployment::only(Path::new(ROOT))?, None)?;
    mounts::etc()?;
    mounts::var(var)?;
    for name in SHARED {
        let target = Path::new(NEW).join(name);
        mount_bind(Path::new("/").join(name), &target).with_context(|| format!("binding {}", target.display()))?;
    }
    // containerd listens there for exec and attach, or does not start.
    loopback::up().context("starting the loopback interface")?;

    let outside = File::open("/").context("opening /")?;
    chroot(NEW).and_then(|()| chdir("/")).with_context(|| format!("moving into {NEW}"))?;
    let filled = import();
    fchdir(&outside).and_then(|()| chroot(".")).context("moving out again")?;
    filled?;

    for name in SHARED {
        mounts::detach(&Path::new(NEW).join(name))?;
    }
    // In earnest: whoever still holds on to VAR would leave it half written.
    for target in ["var", "etc", ""].map(|name| Path::new(NEW).join(name)) {
        unmount(&target, UnmountFlags::empty()).with_context(|| format!("unmounting {}", target.display()))?;
    }
    Ok(())
}

/// Runs inside the deployment.
fn import() -> Result<()> {
    let mut containerd = program("containerd")?.spawn().context("starting containerd")?;
    let imported = program("ballast")?.arg("import").status().context("starting ballast import");
    end(&mut containerd)?;
    match imported? {
        status if status.success() => {}
        status => bail!("ballast import failed ({status})"),
    }
    let state = Path::new("/var/lib/containerd");
    for path in UNIQUE.map(|name| state.join(name)) {
        match fs::remove_file(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            removed => removed.with_context(|| format!("removing {}", path.display()))?,
        }
    }
    Ok(())
}

fn program(name: &str) -> Result<Command> {
    let console = || File::options().write(true).open("/dev/console").context("opening the console");
    let mut command = Command::new(Path::new("/usr/bin").join(name));
    command.env("PATH", "/usr/sbin:/usr/bin").stdin(Stdio::null()).stdout(console()?).stderr(console()?);
    Ok(command)
}

/// Asks containerd to end, so that it closes its databases, and sees to it that it did.
fn end(containerd: &mut Child) -> Result<()> {
    let pid = i32::try_from(containerd.id()).ok().and_then(Pid::from_raw);
    kill_process(pid.ok_or_else(|| anyhow!("containerd has no process id"))?, Signal::TERM)
        .context("ending containerd")?;
    let start = Instant::now();
    while start.elapsed() < END_WITHIN {
        if let Some(status) = containerd.try_wait().context("waiting for containerd")? {
            return if status.success() { Ok(()) } else { Err(anyhow!("containerd ended with {status}")) };
        }
        sleep(END_AGAIN);
    }
    bail!("containerd does not end")
}
