//! A shell that the settings forbid: another boot alone allows it again.

use anyhow::{Result, ensure};

use super::{Way, Workstation, listens};

/// Nobody serves it: what is told of it says how far one came.
const IMAGE: &str = "127.0.0.1:1/toolbox:1";

const SHELL: [&str; 5] = ["shell", "--image", IMAGE, "--", "true"];

/// Forbidden, and not to be allowed in this boot.
pub(super) fn forbidden(way: &mut Way) -> Result<()> {
    let told = way.there.fails(&["shell"])?;
    ensure!(told.contains("name a toolbox with --image"), "{told}");
    way.there.says(&["settings", "set", "debug.shell", "never"])?;
    let told = way.there.fails(&SHELL)?;
    ensure!(told.contains("in the settings forbids it"), "{told}");
    way.there.says(&["settings", "unset", "debug.shell"])?;
    let told = way.there.fails(&SHELL)?;
    ensure!(told.contains("was \"never\" in this boot"), "{told}");
    way.node.guest.ask("systemctl kill --signal=KILL ballast.service")?;
    way.node.agent_is_back(60)?;
    listens(&mut way.node)?;
    let told = way.there.fails(&SHELL)?;
    ensure!(told.contains("was \"never\" in this boot"), "an agent that starts anew forgets it: {told}");
    let left = way.node.guest.ask("ls /run/ballast/shell 2>/dev/null | wc -l")?;
    ensure!(left.trim() == "0", "a shell that was not opened left {left}");
    Ok(())
}

/// In the next boot it is the toolbox that is missing.
pub(super) fn allowed_again(there: &Workstation) -> Result<()> {
    let told = there.fails(&SHELL)?;
    ensure!(!told.contains("never"), "{told}");
    Ok(())
}
