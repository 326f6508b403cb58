//! Releases that work and differ in what matters to the boot: kernel, kernel arguments, size.

use anyhow::{Context, Result};

use super::Release;

impl Release {
    /// Another kernel with the same function: zeros behind it change its digest, and nothing reads them (U07).
    ///
    /// # Errors
    /// When the image has no kernel.
    pub fn other_kernel(self) -> Result<Self> {
        let path = format!("{}/vmlinuz", self.modules()?);
        let mut kernel = self.read(&path)?;
        kernel.extend([0; 16]);
        Ok(self.file(&path, kernel))
    }

    /// These kernel arguments behind the usual ones (U08).
    ///
    /// # Errors
    /// When the release does not have its usual ones.
    pub fn arguments(self, more: &str) -> Result<Self> {
        let usual = self.read("usr/lib/ballast/cmdline")?;
        let line = format!("{} {more}\n", String::from_utf8_lossy(&usual).trim());
        Ok(self.file("usr/lib/ballast/cmdline", line))
    }

    /// So many bytes more that do not compress: what has to be fetched takes its time.
    pub fn bulk(self, bytes: usize) -> Self {
        // xorshift (Marsaglia), from the version, so that two releases share no layer.
        let seed = self.version.bytes().fold(1_u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
        let mut state = seed | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        let content: Vec<u8> = std::iter::repeat_with(&mut next).take(bytes.div_ceil(8)).flatten().collect();
        self.file("usr/share/bulk", content)
    }

    /// `usr/lib/modules/VERSION`.
    pub(super) fn modules(&self) -> Result<String> {
        let folder = self.base.image.root.join("usr/lib/modules");
        let mut versions = std::fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))?;
        let version = versions.next().with_context(|| format!("{} is empty", folder.display()))?;
        let name = version.with_context(|| format!("listing {}", folder.display()))?.file_name();
        Ok(format!("usr/lib/modules/{}", name.to_string_lossy()))
    }
}
