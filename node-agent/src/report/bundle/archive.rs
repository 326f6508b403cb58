//! A `.tar.zst`, piece by piece: each file is a frame of its own, so that no more than one lies in memory.

use anyhow::{Context, Result};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use tar::{Builder, Header};

/// In which folder all lie.
const FOLDER: &str = "ballast-support";

/// What ends an archive (tar(5)).
const END: [u8; 1024] = [0; 1024];

/// The file `name` with `text`, made at `unix_secs`.
///
/// # Errors
/// If the name does not fit into an archive.
pub(super) fn file(name: &str, text: &[u8], unix_secs: u64) -> Result<Vec<u8>> {
    let doing = || format!("packing {name}");
    let mut header = Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o600);
    header.set_mtime(unix_secs);
    let mut builder = Builder::new(Vec::with_capacity(text.len() + 2 * END.len()));
    builder.append_data(&mut header, format!("{FOLDER}/{name}"), text).with_context(doing)?;
    let mut packed = builder.into_inner().with_context(doing)?;
    // There is more to come.
    packed.truncate(packed.len() - END.len());
    Ok(compress_to_vec(packed.as_slice(), CompressionLevel::Fastest))
}

/// What comes last.
pub(super) fn end() -> Vec<u8> {
    compress_to_vec(END.as_slice(), CompressionLevel::Fastest)
}
