//! OCI image archives on the disk: what is in them.
//! (github.com/opencontainers/image-spec, image-layout)

use std::{
    fs::{self, File},
    io::{ErrorKind, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, de::DeserializeOwned};

/// An image in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedImage {
    /// The reference that it gets.
    pub reference: String,
    /// The digest of its manifest.
    pub digest: String,
    /// The digest of its configuration, by which the runtime knows it.
    pub config: String,
    /// The archive.
    pub path: PathBuf,
}

/// JSON in an image is small; what is larger is no index or manifest.
const MAX_JSON_BYTES: u64 = 1 << 20;

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    #[serde(default)]
    annotations: Annotations,
}

#[derive(Default, Deserialize)]
struct Annotations {
    #[serde(rename = "io.containerd.image.name")]
    name: Option<String>,
    #[serde(rename = "org.opencontainers.image.ref.name")]
    ref_name: Option<String>,
}

/// The images in the `*.tar` archives of `folder`; none if there is no such folder.
///
/// # Errors
/// If one is damaged.
pub fn list(folder: &Path) -> Result<Vec<ArchivedImage>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.with_context(|| format!("reading {}", folder.display()))?,
    };
    let mut images = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("reading {}", folder.display()))?.path();
        if path.extension().is_some_and(|extension| extension == "tar") {
            images.extend(read(&path)?);
        }
    }
    Ok(images)
}

/// The images in the archive at `path`.
///
/// # Errors
/// If it is damaged.
pub fn read(path: &Path) -> Result<Vec<ArchivedImage>> {
    read_index(path).with_context(|| format!("reading the image archive {}", path.display()))
}

fn read_index(path: &Path) -> Result<Vec<ArchivedImage>> {
    let mut file = File::open(path)?;
    let index: Index = json(&mut file, "index.json")?;
    let mut images = Vec::new();
    for descriptor in index.manifests {
        let Annotations { name, ref_name } = descriptor.annotations;
        let Some(reference) = name.or(ref_name) else { continue };
        let Some(hash) = descriptor.digest.strip_prefix("sha256:") else { continue };
        let manifest: Manifest = json(&mut file, &format!("blobs/sha256/{hash}"))?;
        images.push(ArchivedImage {
            reference,
            digest: descriptor.digest.clone(),
            config: manifest.config.digest,
            path: path.to_owned(),
        });
    }
    Ok(images)
}

fn json<T: DeserializeOwned>(file: &mut File, name: &str) -> Result<T> {
    file.seek(SeekFrom::Start(0))?;
    let mut archive = tar::Archive::new(file);
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        let path = entry.path()?;
        if path.strip_prefix("./").unwrap_or(&path) == Path::new(name) {
            return serde_json::from_reader(entry.take(MAX_JSON_BYTES)).with_context(|| format!("reading {name}"));
        }
    }
    bail!("there is no {name} in it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(path: &Path, files: &[(&str, &str)]) {
        let mut builder = tar::Builder::new(File::create(path).unwrap());
        for (name, text) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            builder.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        builder.finish().unwrap();
    }

    #[test]
    fn an_archive_names_its_images() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pause.tar");
        let index =
            r#"{"manifests":[{"digest":"sha256:ab","annotations":{"io.containerd.image.name":"localhost/p:1"}}]}"#;
        let manifest = r#"{"config":{"digest":"sha256:cd"},"layers":[]}"#;
        archive(&path, &[("blobs/sha256/ab", manifest), ("./index.json", index)]);
        fs::write(folder.path().join("README"), "not an archive").unwrap();
        let expected = ArchivedImage {
            reference: "localhost/p:1".to_owned(),
            digest: "sha256:ab".to_owned(),
            config: "sha256:cd".to_owned(),
            path,
        };
        assert_eq!(list(folder.path()).unwrap(), [expected]);
        assert_eq!(list(&folder.path().join("none")).unwrap(), []);
    }

    #[test]
    fn a_damaged_archive_is_named() {
        let folder = tempfile::tempdir().unwrap();
        archive(&folder.path().join("bad.tar"), &[("x", "y")]);
        let error = format!("{:#}", list(folder.path()).unwrap_err());
        assert!(error.ends_with("bad.tar: there is no index.json in it"), "{error}");
    }
}
