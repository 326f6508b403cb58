//! OCI image archives on the disk: what is in them.
//! (github.com/opencontainers/image-spec, image-layout)

use std::{
    fs::{self, File},
    io::{ErrorKind, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use anyhow::{Context, Error, Result, bail};
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

/// What is in a folder of archives.
#[derive(Debug, Default)]
pub struct Found {
    /// The images in the archives that could be read.
    pub images: Vec<ArchivedImage>,
    /// Why the others could not, each with the archive's path.
    pub damaged: Vec<Error>,
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

/// The images in the `*.tar` archives of `folder`; none if there is no such folder. A damaged archive keeps no other from being read.
///
/// # Errors
/// If the folder cannot be read.
pub fn list(folder: &Path) -> Result<Found> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::default()),
        read => read.with_context(|| format!("reading {}", folder.display()))?,
    };
    let mut found = Found::default();
    for entry in entries {
        let path = entry.with_context(|| format!("reading {}", folder.display()))?.path();
        if path.extension().is_some_and(|extension| extension == "tar") {
            match read(&path) {
                Ok(images) => found.images.extend(images),
                Err(error) => found.damaged.push(error),
            }
        }
    }
    Ok(found)
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

    /// An archive of the image `localhost/p:1`, with its path.
    fn good(folder: &Path) -> ArchivedImage {
        let path = folder.join("pause.tar");
        let index =
            r#"{"manifests":[{"digest":"sha256:ab","annotations":{"io.containerd.image.name":"localhost/p:1"}}]}"#;
        let manifest = r#"{"config":{"digest":"sha256:cd"},"layers":[]}"#;
        archive(&path, &[("blobs/sha256/ab", manifest), ("./index.json", index)]);
        ArchivedImage {
            reference: "localhost/p:1".to_owned(),
            digest: "sha256:ab".to_owned(),
            config: "sha256:cd".to_owned(),
            path,
        }
    }

    #[test]
    fn an_archive_names_its_images() {
        let folder = tempfile::tempdir().unwrap();
        let expected = good(folder.path());
        fs::write(folder.path().join("README"), "not an archive").unwrap();
        let found = list(folder.path()).unwrap();
        assert_eq!(found.images, [expected]);
        assert!(found.damaged.is_empty(), "{:?}", found.damaged);
        assert_eq!(list(&folder.path().join("none")).unwrap().images, []);
    }

    #[test]
    fn damaged_archives_are_named_and_the_others_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let expected = good(folder.path());
        archive(&folder.path().join("no-index.tar"), &[("x", "y")]);
        archive(&folder.path().join("no-json.tar"), &[("index.json", "{")]);
        fs::create_dir(folder.path().join("folder.tar")).unwrap();
        let whole = fs::read(&expected.path).unwrap();
        fs::write(folder.path().join("cut.tar"), &whole[..600]).unwrap();
        let found = list(folder.path()).unwrap();
        assert_eq!(found.images, [expected]);
        let mut damaged: Vec<String> = found.damaged.iter().map(|error| format!("{error:#}")).collect();
        damaged.sort();
        for (damaged, expected) in damaged.iter().zip(["cut.tar: ", "folder.tar: ", "no-index.tar: ", "no-json.tar: "])
        {
            assert!(damaged.contains(expected), "{damaged}");
        }
        assert_eq!(damaged.len(), 4, "{damaged:?}");
        assert!(damaged[2].ends_with("no-index.tar: there is no index.json in it"), "{}", damaged[2]);
    }
}
