//! VAR: the node's state, and containerd's database.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use ext4_view::Ext4;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::super::disk::{Region, Scratch};
use super::bolt;
use super::ext4::{Fsck, Replayed};
use crate::tools::Tools;

/// Where the agent keeps what must survive; VAR is mounted on /var.
const STATE: &str = "/lib/ballast";
/// What is below it and not the agent's own.
const OTHERS: [&str; 2] = ["volumes", "logs"];
/// The identity of the machine.
const MACHINE_ID: &str = "/lib/ballast/machine-id";
const DATABASE: &str = "/lib/containerd/io.containerd.metadata.v1.bolt/meta.db";
/// What is longer is no state of the agent's.
const MAX_BYTES: u64 = 1 << 20;

/// All that is known of VAR.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Of the file system itself
    pub fsck: Fsck,
    /// How long the file system says that it is, in bytes
    pub bytes: u64,
    /// The agent's files, by their paths on VAR, and their content
    pub state: BTreeMap<String, Vec<u8>>,
    /// What does not parse
    pub problems: Vec<String>,
}

/// Reads it.
pub(super) fn read(tools: &Tools, scratch: &Scratch) -> Result<Facts> {
    let (replayed, fsck) = Replayed::of(tools, scratch, Region::Var)?;
    let mut facts = Facts { fsck, bytes: length(scratch)?, ..Facts::default() };
    // What cannot be read is damaged, whatever e2fsck says.
    if let Err(error) = replayed.files().and_then(|files| inspect(&files, &mut facts)) {
        facts.fsck.damage = facts.fsck.damage.or(Some(format!("{error:#}")));
    }
    replayed.put_back()?;
    Ok(facts)
}

fn inspect(files: &Ext4, facts: &mut Facts) -> Result<()> {
    collect(files, STATE, &mut facts.state)?;
    facts.problems = facts.state.iter().filter_map(|(path, content)| problem(path, content)).collect();
    if let Ok(database) = files.read(DATABASE)
        && let Err(error) = bolt::check(&database)
    {
        facts.problems.push(format!("containerd's database does not open: {error:#}"));
    }
    Ok(())
}

fn collect(files: &Ext4, folder: &str, found: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    if !files.exists(folder)? {
        return Ok(());
    }
    for entry in files.read_dir(folder).with_context(|| format!("listing {folder}"))? {
        let entry = entry.with_context(|| format!("listing {folder}"))?;
        let name = String::from_utf8_lossy(entry.file_name().as_ref()).into_owned();
        let place = format!("{folder}/{name}");
        if matches!(name.as_str(), "." | "..") || OTHERS.contains(&name.as_str()) {
            continue;
        }
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            collect(files, &place, found)?;
        } else if !metadata.is_symlink() && metadata.len() <= MAX_BYTES {
            found.insert(place.clone(), files.read(place.as_str()).with_context(|| format!("reading {place}"))?);
        }
    }
    Ok(())
}

/// What is wrong with one of the agent's files. What has no name yet (`.part`) may be anything: nobody reads it.
fn problem(path: &str, content: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(content);
    let why = if path == MACHINE_ID {
        let id = text.trim();
        (id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| "it is no machine id".to_owned())
    } else if path.ends_with(".json") {
        serde_json::from_slice::<serde_json::Value>(content).err().map(|error| error.to_string())
    } else if path.ends_with(".toml") {
        toml::from_str::<toml::Table>(&text).err().map(|error| error.message().to_owned())
    } else if path.ends_with(".pem") || path.ends_with(".key") {
        pem(content).err().map(|error| format!("{error:#}"))
    } else {
        None
    };
    why.map(|why| format!("{path} is damaged ({} bytes): {why}", content.len()))
}

/// Certificates and keys: whole, and where a key lies beside a certificate it is that certificate's.
fn pem(content: &[u8]) -> Result<()> {
    let certificates = CertificateDer::pem_slice_iter(content).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.context("a certificate is not whole")?;
    let key = match PrivateKeyDer::from_pem_slice(content) {
        Ok(key) => Some(any_supported_type(&key).context("its key is none")?),
        Err(pem::Error::NoItemsFound) => None,
        Err(error) => return Err(error).context("its key is not whole"),
    };
    match (certificates.is_empty(), key) {
        (true, None) => bail!("there is neither a certificate nor a key in it"),
        (false, Some(key)) => CertifiedKey::new(certificates, key).keys_match().context("its key and its certificate"),
        (true, Some(_)) | (false, None) => Ok(()),
    }
}

/// The number of blocks and their size, from the superblock (kernel: Documentation/filesystems/ext4/super.rst).
fn length(scratch: &Scratch) -> Result<u64> {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::open(scratch.path(Region::Var)).context("opening VAR")?;
    let mut bytes = [0; 1024];
    file.read_exact_at(&mut bytes, 1024).context("reading VAR's superblock")?;
    let number = |at: usize| bytes[at..at + 4].iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    // Block sizes are 2^(10 + n).
    Ok((number(0x150) << 32 | number(4)).saturating_mul(1024 << number(24).min(6)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_parse_is_told_and_what_has_no_name_yet_is_not() {
        for (path, content, is_well) in [
            ("/lib/ballast/update.json", "{}", true),
            ("/lib/ballast/update.json", "{", false),
            ("/lib/ballast/update.json", "", false),
            ("/lib/ballast/update.json.part", "{", true),
            ("/lib/ballast/settings.toml", "a = 1\n", true),
            ("/lib/ballast/settings.toml", "\0\0\0", false),
            ("/lib/ballast/machine-id", "0123456789abcdef0123456789abcdef\n", true),
            ("/lib/ballast/machine-id", "", false),
            ("/lib/ballast/keys/test.pub", "", true),
        ] {
            assert_eq!(problem(path, content.as_bytes()).is_none(), is_well, "{path} {content:?}");
        }
    }
}
