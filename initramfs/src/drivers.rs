//! Loads the modules that this machine's devices and our root need.

use std::collections::BTreeSet;
use std::ffi::CStr;
use std::fs::{self, File};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use rustix::io::Errno;
use rustix::system::{finit_module, init_module};

use crate::modules::{BUSES, Catalogue, is_compressed, parse_catalogue, without_signature};

/// Where `pack` puts the modules and what is known of them.
pub const FOLDER: &str = "/modules";
/// MODULE_INIT_COMPRESSED_FILE: the kernel unpacks the file.
const COMPRESSED_FILE: i32 = 4;
const NO_PARAMETERS: &CStr = c"";

/// The modules aboard, and which of them are in the kernel by now.
#[derive(Debug)]
pub struct Drivers {
    catalogue: Catalogue,
    loaded: BTreeSet<String>,
    failed: Vec<String>,
    since: Instant,
}

impl Drivers {
    /// Reads what is aboard.
    ///
    /// # Errors
    /// If the files that `pack` made are missing or damaged.
    pub fn open() -> Result<Self> {
        let read = |name: &str| {
            let path = Path::new(FOLDER).join(name);
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
        };
        let catalogue = parse_catalogue(&read("list")?, &read("modules.dep")?, &read("modules.alias")?)?;
        Ok(Self { catalogue, loaded: BTreeSet::new(), failed: Vec::new(), since: Instant::now() })
    }

    /// Loads what every boot needs.
    ///
    /// # Errors
    /// If one of them cannot be loaded.
    pub fn load_always(&mut self) -> Result<()> {
        let Self { catalogue, loaded, .. } = self;
        catalogue.always().try_for_each(|name| load(catalogue, loaded, name))
    }

    /// Loads what the devices now present need. A driver that cannot be loaded is remembered for `failures`, as the
    /// root may be behind another. Returns whether a driver of the kind `last` still holds back.
    ///
    /// # Errors
    /// If sysfs cannot be read.
    pub fn load_for_devices(&mut self) -> Result<bool> {
        let devices = modaliases()?;
        let Self { catalogue, loaded, failed, since } = self;
        let (wanted, hold) = catalogue.wanted(&devices, since.elapsed());
        for name in wanted {
            if let Err(error) = load(catalogue, loaded, name) {
                failed.push(format!("{error:#}"));
            }
        }
        Ok(hold)
    }

    /// What could not be loaded, and why.
    pub fn failures(&self) -> &[String] {
        &self.failed
    }
}

fn load(catalogue: &Catalogue, loaded: &mut BTreeSet<String>, name: &str) -> Result<()> {
    for path in catalogue.load_order(name) {
        // Also if it fails: once is enough.
        if loaded.insert(path.to_owned()) {
            insert(path).with_context(|| format!("loading module {path}"))?;
        }
    }
    Ok(())
}

fn insert(path: &str) -> Result<()> {
    let path = Path::new(FOLDER).join(path);
    let result = match is_compressed(&path) {
        true => finit_module(File::open(path)?, NO_PARAMETERS, COMPRESSED_FILE),
        false => insert_trusted(&fs::read(path)?),
    };
    match result {
        // NODEV: the hardware it drives is not there (an old processor has no SSSE3), so nothing misses it.
        Ok(()) | Err(Errno::EXIST | Errno::NODEV) => Ok(()),
        Err(error @ Errno::OPNOTSUPP) => Err(error).context("this kernel cannot unpack it (CONFIG_MODULE_DECOMPRESS)"),
        Err(error @ Errno::NOEXEC) => Err(error).context("it is not for this kernel"),
        Err(error) => Err(error.into()),
    }
}

/// Loads a module that came in the same archive as this program. To check its signature would add nothing: who can
/// change the one can change the other. It would cost much, 28 million instructions a module with Debian's ECDSA key,
/// more than all else that /init does. A kernel that insists (lockdown, module.sig_enforce) gets the signature.
fn insert_trusted(module: &[u8]) -> rustix::io::Result<()> {
    match init_module(without_signature(module), NO_PARAMETERS) {
        Err(Errno::PERM | Errno::KEYREJECTED) => init_module(module, NO_PARAMETERS),
        result => result,
    }
}

/// The modaliases of all devices on our buses, in the kernel's order.
fn modaliases() -> Result<Vec<String>> {
    let mut found = BTreeSet::new();
    for bus in BUSES {
        let folder = format!("/sys/bus/{bus}/devices");
        // A bus whose driver is not there has no folder.
        let Ok(devices) = fs::read_dir(&folder) else { continue };
        for device in devices {
            let path = device.with_context(|| format!("listing {folder}"))?.path().join("modalias");
            // Not every device has one (a SCSI host), and devices go away.
            if let Ok(text) = fs::read_to_string(path) {
                found.insert(text.trim_end().to_owned());
            }
        }
    }
    Ok(found.into_iter().collect())
}
