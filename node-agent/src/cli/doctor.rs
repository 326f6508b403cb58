//! `ballast doctor`: checks the node, and says what mends what is wrong.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::{
    ask::{print, unexpected},
    exit,
    node::Node,
};
use crate::report::{
    doctor::Finding,
    socket::{Reply, Request},
};

/// Checks the node: all that it knows of itself, and whether names, registries and API servers can be reached
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 all is well; 3 something is not; 1 the agent could not be asked; 2 wrong usage."
)]
pub(super) struct Arguments {
    /// Prints JSON, for programs
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, node: &Node) -> Result<ExitCode> {
    let reply = node.open("doctor", &Request::Doctor {})?.next()?;
    let Reply::Findings(findings) = reply else { bail!(unexpected(&reply)) };
    print(&match arguments.json {
        true => serde_json::to_string_pretty(&findings).context("encoding the findings")? + "\n",
        false => render(&findings),
    })?;
    let is_well = findings.iter().all(|one| one.problem.is_none());
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::from(exit::NOT_READY) })
}

fn render(findings: &[Finding]) -> String {
    let mut out = String::new();
    for Finding { check, problem, why, mend } in findings {
        let Some(problem) = problem else {
            out.push_str(&format!("ok  {check}\n"));
            continue;
        };
        out.push_str(&format!("!   {check}: {problem}\n"));
        for (title, text) in [("why", why), ("mend", mend)] {
            if let Some(text) = text {
                out.push_str(&format!("      {title:<4}  {text}\n"));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_its_reason_and_its_remedy() {
        let well = Finding { check: "clock".to_owned(), problem: None, why: None, mend: None };
        let wrong = Finding {
            check: "units".to_owned(),
            problem: Some("unit x.service failed".to_owned()),
            why: Some("it is missing".to_owned()),
            mend: Some("ballast logs x.service".to_owned()),
        };
        let expected = "\
ok  clock
!   units: unit x.service failed
      why   it is missing
      mend  ballast logs x.service
";
        assert_eq!(render(&[well, wrong]), expected);
    }
}
