//! Packs programs as an artifact: an OCI layout that `skopeo` pushes and signs (`make kubelet-image`).
//!
//! ```text
//! cargo run -p ballast-artifacts --features pack --example pack -- NAME VERSION OUT FILE...
//! ```

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, version, out, files @ ..] = &arguments[..] else {
        bail!("which files? expected NAME VERSION OUT FILE...");
    };
    let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
    println!("{}", ballast_artifacts::pack::pack(name, version, Path::new(out), &files)?);
    Ok(())
}
