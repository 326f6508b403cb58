//! `ballast-oci`: a commit becomes an OCI image, in a folder (opencontainers/image-spec: image-layout.md).
//!
//! ```text
//!  files.tsv, packages.tsv ──> components ─┐
//!  repository ──> tree ────────────────────┴─> export (ostree-ext, gzip) ──> recompress (zstd) ──> OUT, OUT's digest
//! ```
//! One layer per component: a Debian source package, or a part of ours. A node fetches the layers that changed.

mod cache;
mod components;
mod export;
mod layout;
mod recompress;
mod tree;

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use clap::Parser;

use self::components::Components;

/// Writes a release as an OCI image, one layer per component
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// The repository that has the commit
    #[arg(long, value_name = "FOLDER")]
    repo: PathBuf,
    /// The commit, or a branch
    #[arg(long, value_name = "COMMIT")]
    commit: String,
    /// Where each file comes from, as image/why wrote it
    #[arg(long, value_name = "FILE")]
    files: PathBuf,
    /// The packages with their source packages
    #[arg(long, value_name = "FILE")]
    packages: PathBuf,
    /// The manifest of the previous release: its packing is kept
    #[arg(long, value_name = "FILE")]
    prior: Option<PathBuf>,
    /// Where packed layers are kept for the next build
    #[arg(long, value_name = "FOLDER")]
    cache: Option<PathBuf>,
    /// The folder that is made
    #[arg(value_name = "OUT")]
    out: PathBuf,
}

fn main() -> Result<()> {
    let options = Options::parse();
    tree::check_library()?;
    let read = |file: &PathBuf| fs::read_to_string(file).with_context(|| format!("reading {}", file.display()));
    let components = Components::parse(&read(&options.files)?, &read(&options.packages)?)?;
    let prior = options.prior.as_ref().map(read).transpose()?;

    let repo = tree::open(&options.repo)?;
    let tree = tree::load(&repo, &options.commit)?;
    let gzip = options.out.with_extension("gzip");
    for folder in [&gzip, &options.out] {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
        }
    }
    export::export(&repo, &tree, &components, prior.as_deref(), &gzip)?;
    let image = recompress::recompress(&gzip, &options.out, &tree.version, options.cache.as_deref())?;
    fs::remove_dir_all(&gzip).with_context(|| format!("removing {}", gzip.display()))?;
    println!("oci: {} layers, {:.1} MB, {}", image.layers, image.bytes as f64 / 1e6, image.digest);
    Ok(())
}
