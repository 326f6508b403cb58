//! `image-proxy`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ballast_proxy::main()
}
