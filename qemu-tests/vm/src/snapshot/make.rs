//! Boots a node and freezes it, where there is none yet.

use std::path::Path;

use anyhow::{Context, Result};

use super::folder::{self, Folder};
use super::hold::Hold;
use super::{Recipe, Snapshot, key};
use crate::disk::Disk;
use crate::lab::{Lab, Options};
use crate::node::Node;

impl Snapshot {
    /// The one that is there, or a new one: booted with its evidence going to `evidence`, handed to `proves`, and saved as that left it.
    /// Whoever wants the same one meanwhile waits.
    ///
    /// # Errors
    /// When it does not boot, prove itself or freeze.
    pub fn of(lab: &Lab, recipe: &Recipe, evidence: &Path, proves: impl Fn(&mut Node) -> Result<()>) -> Result<Self> {
        let place = lab.workspace.own("snapshots");
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
    node.save(&part)?;
    part.becomes(folder)
}
