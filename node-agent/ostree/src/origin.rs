//! `COMMIT.SERIAL.origin`, the keyfile that libostree keeps beside each deployment: which release it is.

use ostree_ext::{
    container::{OstreeImageReference, SignatureSource},
    glib::KeyFile,
};

use crate::image::Digest;

/// libostree's own group; ostree-ext and bootc name the image here.
const THEIRS: &str = "origin";
const REFERENCE: &str = "container-image-reference";

/// Ours, which the agent reads as a plain file.
const OURS: &str = "ballast";

/// Which release a deployment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) digest: Digest,
    pub(crate) version: String,
    /// As it was asked for.
    pub(crate) image: String,
}

impl Origin {
    pub(crate) fn write(&self, reference: &OstreeImageReference) -> KeyFile {
        let file = KeyFile::new();
        file.set_string(THEIRS, REFERENCE, &reference.to_string());
        file.set_string(OURS, "digest", &self.digest.to_string());
        file.set_string(OURS, "version", &self.version);
        file.set_string(OURS, "image", &self.image);
        file
    }

    pub(crate) fn read(file: &KeyFile) -> Option<Self> {
        let value = |key| file.string(OURS, key).ok().map(String::from);
        Some(Self { digest: value("digest")?.parse().ok()?, version: value("version")?, image: value("image")? })
    }
}

/// As ostree-ext writes an image whose signatures were checked by another.
pub(crate) fn unverified(reference: &ostree_ext::container::ImageReference) -> OstreeImageReference {
    OstreeImageReference { sigverify: SignatureSource::ContainerPolicyAllowInsecure, imgref: reference.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let digest: Digest = format!("sha256:{}", "ab".repeat(32)).parse().unwrap();
        let origin = Origin { digest: digest.clone(), version: "20261122.1".into(), image: "r:5000/os:stable".into() };
        let image: crate::image::Image = "r:5000/os:stable".parse().unwrap();
        let file = origin.write(&image.stored(&digest));
        assert_eq!(Origin::read(&file), Some(origin));
        let text = file.to_data();
        assert!(text.contains("[ballast]\ndigest=sha256:abab"), "{text}");
        assert!(
            text.contains("container-image-reference=ostree-unverified-registry:r:5000/os:stable@sha256:"),
            "{text}"
        );
        assert_eq!(Origin::read(&KeyFile::new()), None);
    }
}
