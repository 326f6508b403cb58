//! A scenario test: its evidence folder, the machines it boots, and a failure message that says where to look.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::cluster::{ControlPlane, Wanted};
use crate::credentials::Credential;
use crate::deadline::Deadline;
use crate::disk::Disk;
use crate::evidence::Evidence;
use crate::invariants;
use crate::lab::{Lab, Options};
use crate::node::{Node, PODS_SECS, READY};
use crate::snapshot::{Recipe, Snapshot};
use crate::workspace::Image;

/// What a scenario has at hand.
pub struct Scenario {
    /// Image, tools, accelerator
    pub lab: Lab,
    evidence: Evidence,
    boots: u32,
    scratch: tempfile::TempDir,
}

impl Scenario {
    /// Runs the scenario `name`: a test of its id. Panics, as tests do, with all reasons and the place of the evidence.
    ///
    /// # Panics
    /// When the scenario fails, or the image or QEMU is missing.
    #[track_caller]
    pub fn run(name: &str, body: impl FnOnce(&mut Self) -> Result<()>) {
        if let Err(error) = Self::try_run(name, body) {
            panic!("{name}: {error:#}");
        }
    }

    /// The same for what is no test.
    ///
    /// # Errors
    /// When it fails, with the place of the evidence.
    pub fn try_run(name: &str, body: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let place = crate::workspace::Workspace::find().own(name);
        let began = Instant::now();
        let outcome = Self::open(place.clone()).and_then(|mut scenario| {
            body(&mut scenario)?;
            scenario.evidence.discard();
            scenario.lab.workspace.note_time(name, began.elapsed(), scenario.boots)
        });
        outcome.map_err(|error| {
            anyhow::anyhow!("{error:#}\n  the console, journal and status are under {}", place.display())
        })
    }

    fn open(place: PathBuf) -> Result<Self> {
        let lab = Lab::open()?;
        let scratch = lab.workspace.scratch()?;
        Ok(Self { lab, evidence: Evidence::fresh(place)?, boots: 0, scratch })
    }

    /// Starts a node; each boot of a scenario keeps its own evidence.
    ///
    /// # Errors
    /// As [`Node::start`].
    pub fn start(&mut self, options: &Options) -> Result<Node> {
        let folder = self.next_boot()?;
        Node::start(&self.lab, options, &folder)
    }

    /// The folder for the evidence of one boot more.
    fn next_boot(&mut self) -> Result<PathBuf> {
        self.boots += 1;
        let folder = self.evidence.folder().join(format!("boot-{}", self.boots));
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        Ok(folder)
    }

    /// Starts a node, waits until it is READY with its own pod running, and checks what must hold after every boot.
    ///
    /// # Errors
    /// When one of these fails.
    pub fn healthy(&mut self, options: &Options) -> Result<Node> {
        let mut node = self.start(options)?;
        is_healthy(&mut node, &self.lab.image)?;
        Ok(node)
    }

    /// What [`Scenario::healthy`] gives for the default options, restored: for what is not about the boot itself. It was booted and checked once,
    /// by the first scenario that wanted it, and counts as a boot of each.
    ///
    /// # Errors
    /// As [`Scenario::healthy`], or when it cannot be restored. It is not booted instead.
    pub fn restored(&mut self) -> Result<Node> {
        let recipe = Recipe { name: "plain", options: Options::default(), raw: false };
        let image = self.lab.image.clone();
        self.restore(&recipe, None, |node| is_healthy(node, &image))
    }

    /// Restores a node, onto the disk `onto` if it shall outlive it; when nobody has booted and saved it yet, that is done first.
    pub(crate) fn restore(
        &mut self,
        recipe: &Recipe,
        onto: Option<&Disk>,
        proves: impl Fn(&mut Node) -> Result<()>,
    ) -> Result<Node> {
        let folder = self.next_boot()?;
        let snapshot = Snapshot::of(&self.lab, recipe, &self.evidence.folder().join("saved"), proves)?;
        let node = Node::restore(&self.lab, &snapshot, onto, &folder);
        node.with_context(|| format!("thawing a node ({})", recipe.name))
    }

    /// A private raw copy of the image's disk, for more than one boot or for looking into from the host.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn disk(&self) -> Result<Disk> {
        Disk::copy(&self.lab.image.disk, self.scratch.path().join("disk.raw"))
    }

    /// A folder that vanishes with the scenario.
    pub fn scratch(&self) -> &std::path::Path {
        self.scratch.path()
    }

    /// A control plane of the scenario's own, whose logs are kept with its evidence.
    ///
    /// # Errors
    /// When it is not built, or not ready in time.
    pub fn control_plane(&self, name: &str, wanted: Wanted) -> Result<ControlPlane> {
        ControlPlane::start(&self.lab.workspace, &self.lab.tools, &self.evidence.folder().join(name), wanted)
    }

    /// How many machines were started so far.
    pub fn boots(&self) -> u32 {
        self.boots
    }
}

/// Waits until a node is READY with its own pod running, and checks what must hold after every boot.
fn is_healthy(node: &mut Node, image: &Image) -> Result<()> {
    node.ready(Deadline::after(READY))?;
    invariants::boot_is_over(node)?;
    node.status_when("the canary pod runs", PODS_SECS, |status| status.runs("canary"))?;
    invariants::check(node, image)
}

/// What came of several cases that share a boot: all that failed are reported at once, each by its name.
#[derive(Debug, Default)]
pub struct Cases {
    failed: Vec<String>,
}

impl Cases {
    /// Notes how the case `name` ended.
    pub fn note(&mut self, name: &str, outcome: Result<()>) {
        match outcome {
            Ok(()) => println!("{name}: as it should be"),
            Err(error) => {
                // At once: what follows may end the whole test.
                println!("{name}: FAILED: {error:#}");
                self.failed.push(format!("{name}: {error:#}"));
            }
        }
    }

    /// All were as they should be.
    ///
    /// # Errors
    /// When some were not: one line for each.
    pub fn end(self) -> Result<()> {
        ensure!(self.failed.is_empty(), "{} cases failed:\n  {}", self.failed.len(), self.failed.join("\n  "));
        Ok(())
    }
}

/// A credential that adds the unit `name`, for the guest to start when a test wants it.
///
/// # Errors
/// When the name is not valid.
pub fn unit(name: &str, text: &str) -> Result<Credential> {
    ensure!(name.contains('.'), "{name} is no unit name");
    Credential::extra_unit(name, text)
}
