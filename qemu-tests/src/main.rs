//! The tool `qemu-tests`; all of it is in the library, where it is tested.

use std::process::ExitCode;

fn main() -> ExitCode {
    qemu_tests::cli::main()
}
