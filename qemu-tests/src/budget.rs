//! `budget`: the gate of `make test`.

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;

use qemu_bench::budget::{self, Budget, Finding};
use qemu_vm::lab::Lab;

/// What a figure that fails ends the tool with: distinguished from the tool's own failure (125) and wrong usage (2).
const EXIT_FAILED: u8 = 1;

/// Measure what the image costs beside qemu-tests/bench/budget.toml: instructions to READY, packages, bytes, memory
///
/// Each figure may be 3 % above what the budget records, and never above its limit. One that fell by more than 3 % is
/// reported, to be recorded. A kilobyte of settings may add 3 % to READY. Three boots, a minute and a half on two quiet cores.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 all figures are within the budget; 1 some are not, each with a sentence on stderr; \
                        125 they could not be measured; 2 wrong usage."
)]
pub(super) struct BudgetArgs {
    /// Prints JSON, for programs
    #[arg(long)]
    json: bool,
    /// Writes what was measured into budget.toml as recorded; limits still hold
    #[arg(long)]
    record: bool,
}

impl BudgetArgs {
    pub(super) fn run(&self) -> Result<u8> {
        let mut budget = Budget::load()?;
        let measured = budget::measure(&Lab::open()?)?;
        if self.record {
            budget.record(&measured)?;
            budget = Budget::load()?;
        }
        let findings = budget::evaluate(&budget, &measured);
        if self.json {
            let text = serde_json::to_string_pretty(&json!({ "figures": findings })).context("writing the figures")?;
            println!("{text}");
        } else {
            findings.iter().for_each(|finding| println!("{}", finding.row()));
        }
        let costs = budget::added_costs(&measured);
        for sentence in findings.iter().flat_map(Finding::sentences).chain(costs.clone()) {
            eprintln!("budget: {sentence}");
        }
        Ok(if !costs.is_empty() || findings.iter().any(Finding::fails) { EXIT_FAILED } else { 0 })
    }
}
