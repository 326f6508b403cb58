//! This process is alone: it ends with its parent, speaks to no network (the image proxy's service does), and writes only to the store.

use std::path::Path;

use anyhow::{Context, Result};
use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, Scope,
};
use rustix::{
    process::{Signal, set_parent_process_death_signal},
    thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs},
};

/// The rules of Linux 6.12.
const RULES: ABI = ABI::V6;

/// Gives up all but writing to `store`. What is started from here has no more.
pub(crate) fn isolate(store: &Path) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL)).context("asking to end with the parent")?;
    set_no_new_privs(true).context("giving up new privileges")?;
    let ruleset = Ruleset::default()
        // A kernel without it has none of the image's other defences either.
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(RULES))?
        .handle_access(AccessNet::from_all(RULES))?
        // Processes outside are not killed, and not spoken to over sockets that have no path.
        .scope(Scope::from_all(RULES))?;
    let mut ruleset = ruleset.create()?.add_rule(PathBeneath::new(PathFd::new("/")?, AccessFs::from_read(RULES)))?;
    ruleset = ruleset.add_rule(PathBeneath::new(PathFd::new(store)?, AccessFs::from_all(RULES)))?;
    ruleset = ruleset.add_rule(PathBeneath::new(PathFd::new("/dev/null")?, AccessFs::from_file(RULES)))?;
    ruleset.restrict_self().context("restricting this process")?;
    // Root as it is everywhere: files are its own, and the policy with the operator's keys is for root alone.
    let kept = CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH | CapabilitySet::FOWNER;
    let held = rustix::thread::capabilities(None).context("looking at the capabilities")?.permitted & kept;
    let sets = CapabilitySets { effective: held, permitted: held, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).context("giving up capabilities")
}
