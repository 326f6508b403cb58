//! The `ballast` binary: the command line, and under `ballast agent` the daemon.

use std::process::ExitCode;

fn main() -> ExitCode {
    ballast::cli::run()
}
