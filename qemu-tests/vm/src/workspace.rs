//! Where things lie: the repository's `target/`, and in it the image that `make image` builds.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

/// The folders this crate reads from and writes to.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// The repository's `target/`; everything built lies under it.
    pub target: PathBuf,
}

impl Workspace {
    /// The workspace this crate was compiled in, or the one whose target folder `BALLAST_TARGET` names.
    pub fn find() -> Self {
        let target = std::env::var_os("BALLAST_TARGET").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).join("target"),
            PathBuf::from,
        );
        Self { target }
    }

    /// `target/qemu-tests/NAME`: evidence, verdicts and scratch of this crate.
    pub fn own(&self, name: &str) -> PathBuf {
        self.target.join("qemu-tests").join(name)
    }

    /// A folder for disks that vanishes with its handle; under `target/`, since /tmp may be memory.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn scratch(&self) -> Result<TempDir> {
        let place = self.own("scratch");
        std::fs::create_dir_all(&place).with_context(|| format!("making {}", place.display()))?;
        tempfile::Builder::new().prefix("vm-").tempdir_in(&place).context("making a scratch folder")
    }

    /// Adds what the scenario `name` took to `target/qemu-tests/times`: seconds, boots, name. Sorted, it says where the suite's time goes.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn note_time(&self, name: &str, took: Duration, boots: u32) -> Result<()> {
        let path = self.own("times");
        let mut file = OpenOptions::new().append(true).create(true).open(&path)?;
        writeln!(file, "{:6.1} {boots:3} {name}", took.as_secs_f64())
            .with_context(|| format!("adding to {}", path.display()))
    }

    /// The image as `make image` left it.
    ///
    /// # Errors
    /// A sentence that says `make image` when a piece of it is missing.
    pub fn image(&self) -> Result<Image> {
        Image::load(&self.target.join("image"))
    }
}

/// The pieces of a built image under `target/image`.
#[derive(Clone, Debug)]
pub struct Image {
    /// The disk: GPT with ESP, ROOT and VAR.
    pub disk: PathBuf,
    /// The kernel, for booting without firmware.
    pub kernel: PathBuf,
    /// The initramfs that goes with it.
    pub initramfs: PathBuf,
    /// The kernel command line of the first boot entry, one line.
    pub cmdline: String,
    /// The ostree commit of the release, 64 hex digits.
    pub commit: String,
    /// The release as an OCI layout; only tests of upgrades need it to be there.
    pub release: PathBuf,
    /// The tree that the release was made from; the same holds.
    pub root: PathBuf,
}

impl Image {
    /// Reads what lies in `dir`.
    ///
    /// # Errors
    /// As [`Workspace::image`].
    pub fn load(dir: &Path) -> Result<Self> {
        let piece = |name: &str| -> Result<PathBuf> {
            let path = dir.join(name);
            if !path.exists() {
                bail!("there is no image to boot: {} is missing; `make image` builds it", path.display());
            }
            Ok(path)
        };
        let line = |name: &str| -> Result<String> {
            let path = piece(name)?;
            let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            Ok(text.trim().to_owned())
        };
        Ok(Self {
            disk: piece("ballast.raw")?,
            kernel: piece("vmlinuz")?,
            initramfs: piece("initramfs.cpio.zst")?,
            cmdline: line("cmdline")?,
            commit: line("commit")?,
            release: dir.join("ballast.oci"),
            root: dir.join("root"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_image_is_one_sentence_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let error = Image::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains("ballast.raw is missing; `make image` builds it"), "{error}");
    }

    #[test]
    fn a_whole_image_loads() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["ballast.raw", "vmlinuz", "initramfs.cpio.zst"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        std::fs::write(dir.path().join("cmdline"), "a=b quiet\n").unwrap();
        std::fs::write(dir.path().join("commit"), "00ff\n").unwrap();
        let image = Image::load(dir.path()).unwrap();
        assert_eq!((image.cmdline.as_str(), image.commit.as_str()), ("a=b quiet", "00ff"));
    }
}
