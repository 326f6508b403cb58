//! Names of images as the agent says them, and what they are called for the proxy and in the repository. Pure.

use std::{fmt, str::FromStr};

use anyhow::{Context, Error, Result, bail};
/// Of a manifest.
pub(crate) use ballast_types::Sha256Digest as Digest;
use ballast_types::split_reference;
use ostree_ext::container::{ImageReference, OstreeImageReference, SignatureSource, Transport};

/// In front of a folder's name.
const OCI: &str = "oci:";

/// What a folder's images are called in the repository: its path means nothing on another machine.
const FROM_FOLDER: &str = "oci";

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// HOST/PATH
    Registry(String),
    Folder(String),
}

/// `HOST[:PORT]/PATH[:TAG][@DIGEST]` or `oci:FOLDER[:TAG][@DIGEST]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    place: Place,
    tag: Option<String>,
    pub(crate) digest: Option<Digest>,
}

impl FromStr for Image {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let doing = || format!("reading the image's name {text:?}");
        let (is_folder, named) = text.strip_prefix(OCI).map_or((false, text), |folder| (true, folder));
        let (name, tag, digest) = split_reference(named);
        let tag = tag.map(str::to_owned);
        let digest = digest.map(str::parse).transpose().with_context(doing)?;
        if name.is_empty() || name.ends_with('/') || tag.as_ref().is_some_and(String::is_empty) {
            bail!("{}: expected HOST[:PORT]/PATH[:TAG] or oci:FOLDER[:TAG]", doing());
        }
        let place = if is_folder { Place::Folder(name.to_owned()) } else { Place::Registry(name.to_owned()) };
        Ok(Self { place, tag, digest })
    }
}

impl Image {
    /// Whether it lies in a folder, and in no registry.
    pub(crate) fn is_folder(&self) -> bool {
        matches!(self.place, Place::Folder(_))
    }

    /// For the proxy: by digest if there is one, since a tag may move.
    pub(crate) fn source(&self) -> OstreeImageReference {
        let (transport, name) = match (&self.place, &self.digest, &self.tag) {
            (Place::Registry(name), Some(digest), _) => (Transport::Registry, format!("{name}@{digest}")),
            (Place::Registry(name), None, Some(tag)) => (Transport::Registry, format!("{name}:{tag}")),
            (Place::Registry(name), None, None) => (Transport::Registry, name.clone()),
            (Place::Folder(folder), _, Some(tag)) => (Transport::OciDir, format!("{folder}:{tag}")),
            (Place::Folder(folder), _, None) => (Transport::OciDir, folder.clone()),
        };
        reference(transport, name)
    }

    /// For the repository: what was asked for, and which digest that was, so that several releases stay side by side.
    pub(crate) fn stored(&self, digest: &Digest) -> OstreeImageReference {
        let (transport, name) = match &self.place {
            Place::Registry(_) => (Transport::Registry, self.asked()),
            Place::Folder(_) => (Transport::OciDir, FROM_FOLDER.to_owned()),
        };
        reference(transport, format!("{name}@{digest}"))
    }

    /// As it was asked for, without the digest.
    fn asked(&self) -> String {
        match (&self.place, &self.tag) {
            (Place::Folder(_), _) => FROM_FOLDER.to_owned(),
            (Place::Registry(name), None) => name.clone(),
            (Place::Registry(name), Some(tag)) => format!("{name}:{tag}"),
        }
    }
}

impl fmt::Display for Image {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if matches!(self.place, Place::Folder(_)) { OCI } else { "" };
        let (Place::Folder(name) | Place::Registry(name)) = &self.place;
        write!(formatter, "{prefix}{name}")?;
        self.tag.as_ref().map_or(Ok(()), |tag| write!(formatter, ":{tag}"))?;
        self.digest.as_ref().map_or(Ok(()), |digest| write!(formatter, "@{digest}"))
    }
}

/// What a name in the repository was asked for as, and its digest; nothing if it is none of ours.
pub(crate) fn asked_of(stored: &ImageReference) -> Option<(String, Digest)> {
    let (asked, digest) = stored.name.rsplit_once('@')?;
    Some((asked.to_owned(), digest.parse().ok()?))
}

/// The policy is the proxy's to enforce: ostree-ext would only look whether the default one is open.
fn reference(transport: Transport, name: String) -> OstreeImageReference {
    let imgref = ImageReference { transport, name };
    OstreeImageReference { sigverify: SignatureSource::ContainerPolicyAllowInsecure, imgref }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_for_the_proxy_and_the_repository() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let of: Digest = digest.parse().unwrap();
        let table = [
            ("r.example/os", "docker://r.example/os".to_owned(), format!("docker://r.example/os@{digest}")),
            ("r:5000/a/b:t", "docker://r:5000/a/b:t".to_owned(), format!("docker://r:5000/a/b:t@{digest}")),
            ("r:5000/b", "docker://r:5000/b".to_owned(), format!("docker://r:5000/b@{digest}")),
            ("oci:/x/y.oci", "oci:/x/y.oci".to_owned(), format!("oci:oci@{digest}")),
            ("oci:y:t", "oci:y:t".to_owned(), format!("oci:oci@{digest}")),
        ];
        for (text, source, stored) in table {
            let image: Image = text.parse().unwrap();
            assert_eq!(image.to_string(), text);
            assert_eq!(image.source().imgref.to_string(), source);
            assert_eq!(image.stored(&of).imgref.to_string(), stored);
        }
        let image: Image = format!("r/a:t@{digest}").parse().unwrap();
        assert_eq!(image.source().imgref.to_string(), format!("docker://r/a@{digest}"));
        assert_eq!(asked_of(&image.stored(&of).imgref), Some(("r/a:t".to_owned(), of)));
    }

    #[test]
    fn what_is_no_name() {
        for text in ["", "a/", "a:", "oci:", "a@sha256:12", "a@md5:x"] {
            assert!(text.parse::<Image>().is_err(), "{text}");
        }
    }
}
