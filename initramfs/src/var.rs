//! VAR: checked, mounted, and with a machine identity. Nothing that lies in it can stop the boot: what is damaged is set aside or
//! done without, and reported.

use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::check;
use crate::identity::{self, Identity};
use crate::mounts;
use crate::reset;
use crate::root::{self, Root};

/// Is there while /var is in memory: ballast-first-boot.service and the health of a release on trial go by it.
const IN_MEMORY: &str = "/run/ballast/var-in-memory";
const FOLDER: &str = "/run/ballast";

/// What came of it.
#[derive(Debug)]
pub struct Var {
    /// VAR's device node; empty if /var is in memory.
    pub device: String,
    /// Whether VAR had no machine identity yet.
    pub first_boot: bool,
    /// What somebody should know of it, one sentence each.
    pub problems: Vec<String>,
}

/// Mounts VAR, or a /var in memory where that cannot be, and establishes the machine identity.
///
/// # Errors
/// If not even a /var in memory can be mounted, or /etc cannot be written.
pub fn establish(root: &Root) -> anyhow::Result<Var> {
    let mut problems = Vec::new();
    let device = match mount(root, &mut problems) {
        Ok(device) => device,
        Err(error) => {
            mounts::volatile_var()?;
            mark()?;
            problems.push(format!(
                "/var cannot be mounted, so this node runs with an empty one in memory, without its settings, images and \
                 identity, until the next boot; check or replace the disk: {error:#}"
            ));
            String::new()
        }
    };
    let Identity { first_boot, problems: more } = identity::establish()?;
    problems.extend(more);
    Ok(Var { device, first_boot, problems })
}

/// For those who must not take this for a first boot, nor for a healthy one.
fn mark() -> anyhow::Result<()> {
    mounts::folder(Path::new(FOLDER), 0o755)?;
    fs::write(IN_MEMORY, "").with_context(|| format!("writing {IN_MEMORY}"))
}

fn mount(root: &Root, problems: &mut Vec<String>) -> anyhow::Result<String> {
    let device = root::device(root::var_partition(root)?);
    problems.extend(check::mend(&device));
    mounts::var(&device)?;
    // Whatever is wrong with it, the node boots with what there is.
    problems.extend(reset::carry_out(&Path::new(mounts::NEW).join("var")).err().map(|error| format!("{error:#}")));
    Ok(device.display().to_string())
}
