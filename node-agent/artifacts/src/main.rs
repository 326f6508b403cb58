//! `artifact-worker`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ballast_artifacts::program::main()
}
