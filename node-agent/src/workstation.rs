//! `ballast` for a workstation: the command line alone, without the agent. `make cli` builds it.

use std::process::ExitCode;

fn main() -> ExitCode {
    ballast::cli::run_elsewhere()
}
