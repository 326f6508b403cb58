//! What a disk holds after a cut, and whether a node comes up from it: looked at without a boot.
//!
//! ```text
//!  table ─┐
//!  esp ───┼──> Facts ──> verdict (pure)
//!  root ──┤
//!  var ───┘    each partition's facts are kept by its content: most cuts change one
//! ```

mod bolt;
pub mod esp;
mod ext4;
pub mod loader;
pub mod root;
mod sums;
pub mod table;
pub mod var;
pub mod verdict;
mod verity;

use std::collections::HashMap;
use std::rc::Rc;

use anyhow::{Context, Result};

use self::root::{Contents, Known, Lengths};
use self::sums::Sums;
use super::disk::{Region, Scratch};
use crate::tools::Tools;

/// All that is known of one state of the disk.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The partition tables
    pub tables: table::Tables,
    /// The EFI system partition
    pub esp: Rc<esp::Facts>,
    /// ROOT
    pub root: Rc<root::Facts>,
    /// VAR
    pub var: Rc<var::Facts>,
}

/// Looks at states of one disk.
#[derive(Debug)]
pub struct Inspector<'a> {
    tools: &'a Tools,
    /// What the repository had before the recording, and what it has behind it
    before: Lengths,
    after: Contents,
    sums: Sums,
    esp: HashMap<u64, Rc<esp::Facts>>,
    root: HashMap<u64, Rc<root::Facts>>,
    var: HashMap<u64, Rc<var::Facts>>,
}

impl<'a> Inspector<'a> {
    /// For the disk `scratch`, as it was before anything was recorded.
    ///
    /// # Errors
    /// When a program is missing, or the repository cannot be read.
    pub fn of(tools: &'a Tools, scratch: &Scratch) -> Result<Self> {
        let before = root::lengths(tools, scratch).context("reading the repository before the recording")?;
        let (esp, root, var) = (HashMap::new(), HashMap::new(), HashMap::new());
        Ok(Self { tools, before, after: Contents::new(), sums: Sums::default(), esp, root, var })
    }

    /// Takes note of the repository as it is behind the recording: an object of that name has that content, at any time.
    ///
    /// # Errors
    /// As [`Inspector::of`].
    pub fn learn_the_end(&mut self, scratch: &Scratch) -> Result<()> {
        self.after = root::contents(self.tools, scratch, &self.before, &self.sums)
            .context("reading the repository behind the recording")?;
        self.root.clear();
        Ok(())
    }

    /// Looks at the disk as it is now, and leaves it so.
    ///
    /// # Errors
    /// When a program is missing or fails otherwise than on a damaged file system.
    pub fn inspect(&mut self, scratch: &Scratch) -> Result<Facts> {
        let (tools, sums) = (self.tools, &self.sums);
        let known = Known { before: &self.before, after: &self.after, sums };
        let tables = table::read(scratch)?;
        let esp = kept(&mut self.esp, scratch.fingerprint(Region::Esp), || esp::read(tools, scratch, sums))
            .context("looking at the ESP")?;
        let root = kept(&mut self.root, scratch.fingerprint(Region::Root), || root::read(tools, scratch, &known))
            .context("looking at ROOT")?;
        let var = kept(&mut self.var, scratch.fingerprint(Region::Var), || var::read(tools, scratch))
            .context("looking at VAR")?;
        Ok(Facts { tables, esp, root, var })
    }

    /// How many contents of ESP, ROOT and VAR were looked at.
    pub fn inspected(&self) -> [usize; 3] {
        [self.esp.len(), self.root.len(), self.var.len()]
    }
}

fn kept<T>(facts: &mut HashMap<u64, Rc<T>>, fingerprint: u64, look: impl FnOnce() -> Result<T>) -> Result<Rc<T>> {
    if let Some(known) = facts.get(&fingerprint) {
        return Ok(Rc::clone(known));
    }
    let new = Rc::new(look()?);
    facts.insert(fingerprint, Rc::clone(&new));
    Ok(new)
}
