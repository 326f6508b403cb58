//! Nodes that were booted once and go on many times: most scenarios begin with the same first boot, which is most of their time.
//!
//! ```text
//!  the first scenario that wants one:  boot, wait, check ──stop──> memory + disk + UEFI variables + console + boot id
//!                                                                     │ target/qemu-tests/frozen/NAME-KEY/
//!  that one and each other one:        copy the disk, QEMU reads the memory, set the clock ──> Node
//! ```
//! What is thawed was booted for real, by this image, this QEMU and this machine, since the host was booted: all that is in the key. It is
//! the same life each time: boot id, machine id and seeds of random numbers are those of the one boot.

mod folder;
mod hold;
mod key;

use std::path::Path;

use anyhow::{Context, Result};

pub(crate) use self::folder::Folder;
use self::hold::Hold;
use crate::disk::Disk;
use crate::lab::{Lab, Options};
use crate::node::Node;

/// What is frozen: how it boots, and what it is called.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The name, in which there is no `-`
    pub name: &'static str,
    /// Without a disk: it gets its own
    pub options: Options,
    /// Whether that disk is raw, for more than one boot, or an overlay
    pub raw: bool,
}

/// A frozen node; while this is held, nobody takes it away.
pub struct Frozen {
    /// How it was booted, and how it is thawed
    pub(crate) options: Options,
    /// Its disk, which nobody may write to
    pub(crate) disk: Disk,
    folder: Folder,
    _hold: Hold,
}

impl Frozen {
    /// The one that is there, or a new one: booted with its evidence going to `evidence`, handed to `proves`, and frozen as that left it.
    /// Whoever wants the same one meanwhile waits.
    ///
    /// # Errors
    /// When it does not boot, prove itself or freeze.
    pub fn of(lab: &Lab, recipe: &Recipe, evidence: &Path, proves: impl Fn(&mut Node) -> Result<()>) -> Result<Self> {
        let place = lab.workspace.own("frozen");
        std::fs::create_dir_all(&place).with_context(|| format!("making {}", place.display()))?;
        let folder = Folder::at(&place, recipe.name, &key::of(lab, recipe)?);
        let lock = place.join(format!("{}.lock", recipe.name));
        loop {
            let hold = Hold::shared(&lock)?;
            if folder.exists() {
                let disk = disk(recipe, &folder);
                return Ok(Self { options: recipe.options.clone(), disk, folder, _hold: hold });
            }
            drop(hold);
            let _alone = Hold::alone(&lock)?;
            if !folder.exists() {
                let made = make(lab, recipe, &place, &folder, evidence, &proves);
                made.with_context(|| format!("freezing a node ({})", recipe.name))?;
            }
        }
    }

    /// The file with its state.
    pub(crate) fn memory(&self) -> std::path::PathBuf {
        self.folder.memory()
    }

    /// What the console said.
    pub(crate) fn console(&self) -> Result<Vec<u8>> {
        self.folder.console()
    }

    /// What the guest calls its boot.
    pub(crate) fn boot_id(&self) -> Result<String> {
        self.folder.boot_id()
    }

    /// Copies its UEFI variables, if it has any, to where a machine with that scratch folder has them.
    pub(crate) fn variables_to(&self, scratch: &Path) -> Result<()> {
        self.folder.variables_to(scratch)
    }
}

fn disk(recipe: &Recipe, folder: &Folder) -> Disk {
    if recipe.raw { Disk::raw(folder.raw()) } else { Disk::qcow2(folder.overlay()) }
}

fn make(
    lab: &Lab,
    recipe: &Recipe,
    place: &Path,
    folder: &Folder,
    evidence: &Path,
    proves: impl Fn(&mut Node) -> Result<()>,
) -> Result<()> {
    folder::clear(place, recipe.name)?;
    let part = folder.part()?;
    let disk = if recipe.raw {
        Disk::copy(&lab.image.disk, part.raw())?
    } else {
        Disk::overlay(&lab.tools, &lab.image.disk, part.path())?
    };
    std::fs::create_dir_all(evidence).with_context(|| format!("making {}", evidence.display()))?;
    let mut node = Node::start(lab, &Options { disk: Some(disk), ..recipe.options.clone() }, evidence)?;
    proves(&mut node)?;
    node.freeze(&part)?;
    part.becomes(folder)
}
