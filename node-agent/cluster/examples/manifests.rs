//! Writes `node-agent/manifests/`, or the files to FOLDER. An example, so that nothing but a developer's machine does it.

use std::{env, error::Error, fs, path::PathBuf};

use ballast_cluster::manifests::manifests;

fn main() -> Result<(), Box<dyn Error>> {
    let usual = concat!(env!("CARGO_MANIFEST_DIR"), "/../manifests");
    let folder = env::args_os().nth(1).map_or_else(|| PathBuf::from(usual), PathBuf::from);
    fs::create_dir_all(folder.join("base"))?;
    for manifest in manifests() {
        fs::write(folder.join(manifest.file), manifest.text()?)?;
    }
    Ok(())
}
