//! An image for pods that no node has: the preloaded canary with a layer of its own on top.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::layer::Layer;
use super::layout::{Blob, Layout};
use super::push;
use crate::workspace::Image;

/// Where the image under test has the preloaded images: an OCI layout as one archive.
const ARCHIVE: &str = "usr/lib/ballast/images/preloaded.tar";
/// What an index calls its images by (image-spec, annotations.md).
const NAME: &str = "org.opencontainers.image.ref.name";

/// An image for pods.
#[derive(Clone, Debug)]
pub struct PodImage {
    /// The layout
    pub folder: PathBuf,
    /// The digest of the layer that only this one has
    pub layer: String,
}

impl PodImage {
    /// Writes one of a static program alone, which is its entry point, into the folder `into`, which must not be there yet.
    ///
    /// # Errors
    /// When the program cannot be read, or the image not be written.
    pub fn of(program: &Path, into: &Path) -> Result<Self> {
        let name = program.file_name().and_then(|name| name.to_str()).context("a program without a name")?;
        Self::of_files(&[(name, program)], into)
    }

    /// The node's own shell, `sleep` and `cat`, as a toolbox, in the folder `into`, which must not be there yet.
    ///
    /// # Errors
    /// When the image under test lacks one, or the other cannot be written.
    pub fn toolbox(image: &Image, into: &Path) -> Result<Self> {
        let places = [
            ("bin/sh", "usr/bin/dash"),
            ("bin/sleep", "usr/bin/sleep"),
            ("bin/cat", "usr/bin/cat"),
            ("lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
            ("lib/x86_64-linux-gnu/libc.so.6", "usr/lib/x86_64-linux-gnu/libc.so.6"),
        ];
        let files: Vec<(&str, PathBuf)> = places.iter().map(|(path, from)| (*path, image.root.join(from))).collect();
        let files: Vec<(&str, &Path)> = files.iter().map(|(path, from)| (*path, from.as_path())).collect();
        Self::of_files(&files, into)
    }

    /// One of `files`, each with its place inside and where it is from; the first is the entry point.
    fn of_files(files: &[(&str, &Path)], into: &Path) -> Result<Self> {
        std::fs::create_dir_all(into.join("blobs/sha256")).with_context(|| format!("making {}", into.display()))?;
        std::fs::write(into.join("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}").context("writing oci-layout")?;
        let layout = Layout::open(into.to_owned())?;
        let mut layer = Layer::default();
        for (place, from) in files {
            layer.file(place, 0o755, std::fs::read(from).with_context(|| format!("reading {}", from.display()))?);
        }
        let (tar, compressed) = layer.pack().context("packing the layer")?;
        let (first, _) = files.first().context("an image of no files")?;
        let config = json!({"architecture": "amd64", "os": "linux", "config": {"Entrypoint": [format!("/{first}")]},
            "rootfs": {"type": "layers", "diff_ids": [Blob::of(&tar).digest]}});
        let config = layout.add(config.to_string().as_bytes())?;
        let layer = layout.add(&compressed)?;
        let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config.digest, "size": config.size},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": layer.digest, "size": layer.size}]});
        layout.name(manifest.to_string().as_bytes())?;
        Ok(Self { folder: layout.folder, layer: layer.digest })
    }

    /// Writes one into the folder `into`, which must not be there yet. Others `word`s make other images.
    ///
    /// # Errors
    /// When the image under test has no preloaded images, or it cannot be written.
    pub fn write(image: &Image, word: &str, into: &Path) -> Result<Self> {
        let files = unpacked(&image.root.join(ARCHIVE))?;
        let mut manifest = json(&files, &place(&canary(&files)?["digest"])?)?;
        let mut config = json(&files, &place(&manifest["config"]["digest"])?)?;

        std::fs::create_dir_all(into.join("blobs/sha256")).with_context(|| format!("making {}", into.display()))?;
        std::fs::write(into.join("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}").context("writing oci-layout")?;
        let layout = Layout::open(into.to_owned())?;
        for layer in manifest["layers"].as_array().context("a manifest without layers")? {
            layout.add(file(&files, &place(&layer["digest"])?)?)?;
        }
        let mut layer = Layer::default();
        layer.file("word", 0o644, word.into());
        let (tar, compressed) = layer.pack().context("packing the layer")?;
        push(&mut config["rootfs"]["diff_ids"], Blob::of(&tar).digest.into())?;
        let config = layout.add(config.to_string().as_bytes())?;
        (manifest["config"]["digest"], manifest["config"]["size"]) = (config.digest.into(), config.size.into());
        let layer = layout.add(&compressed)?;
        let media_type = "application/vnd.oci.image.layer.v1.tar+gzip";
        push(&mut manifest["layers"], json!({"mediaType": media_type, "digest": layer.digest, "size": layer.size}))?;
        // It says what it is only in the index of the archive.
        manifest["mediaType"] = "application/vnd.oci.image.manifest.v1+json".into();
        layout.name(manifest.to_string().as_bytes())?;
        Ok(Self { folder: layout.folder, layer: layer.digest })
    }
}

/// The preloaded canary of the image under test by its name and its digest: `NAME:TAG@DIGEST`.
///
/// # Errors
/// When the image has none.
pub fn canary_by_digest(image: &Image) -> Result<String> {
    let entry = canary(&unpacked(&image.root.join(ARCHIVE))?)?;
    let text = |value: &Value| value.as_str().map(str::to_owned).with_context(|| format!("{value} is no text"));
    Ok(format!("{}@{}", text(&entry["annotations"][NAME])?, text(&entry["digest"])?))
}

/// What the index says of the canary.
fn canary(files: &Files) -> Result<Value> {
    let index = json(files, "index.json")?;
    let is_canary = |one: &&Value| one["annotations"][NAME].as_str().is_some_and(|name| name.contains("/canary:"));
    let entry = index["manifests"].as_array().and_then(|all| all.iter().find(is_canary));
    entry.cloned().with_context(|| format!("{ARCHIVE} has no canary"))
}

type Files = BTreeMap<String, Vec<u8>>;

fn unpacked(archive: &Path) -> Result<Files> {
    let what = || format!("reading {}; `make image` leaves it", archive.display());
    let bytes = std::fs::read(archive).with_context(what)?;
    let mut files = Files::new();
    for entry in tar::Archive::new(&bytes[..]).entries().with_context(what)? {
        let mut entry = entry.with_context(what)?;
        let path = entry.path().with_context(what)?.display().to_string();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).with_context(what)?;
        files.insert(path, content);
    }
    Ok(files)
}

fn file<'a>(files: &'a Files, path: &str) -> Result<&'a [u8]> {
    files.get(path).map(Vec::as_slice).with_context(|| format!("{ARCHIVE} has no {path}"))
}

fn json(files: &Files, path: &str) -> Result<Value> {
    serde_json::from_slice(file(files, path)?).with_context(|| format!("reading {path} in {ARCHIVE}"))
}

fn place(digest: &Value) -> Result<String> {
    let hex = digest.as_str().and_then(|digest| digest.strip_prefix("sha256:"));
    Ok(format!("blobs/sha256/{}", hex.with_context(|| format!("the digest {digest}"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree with an archive of one image, called as the canary is.
    fn image(root: &Path) -> Image {
        let (layer, config) = (Blob::of(b"layer"), Blob::of(b"{\"rootfs\":{\"diff_ids\":[]}}"));
        let manifest = json!({"schemaVersion": 2, "config": {"digest": config.digest, "size": config.size},
            "layers": [{"digest": layer.digest, "size": layer.size}]})
        .to_string();
        let name = Blob::of(manifest.as_bytes());
        let index =
            json!({"manifests": [{"digest": name.digest, "annotations": {NAME: "localhost/ballast/canary:1"}}]});
        let mut tar = tar::Builder::new(Vec::new());
        let mut add = |path: &str, content: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, path, content).unwrap();
        };
        add("index.json", index.to_string().as_bytes());
        for (blob, content) in
            [(&layer, &b"layer"[..]), (&config, b"{\"rootfs\":{\"diff_ids\":[]}}"), (&name, manifest.as_bytes())]
        {
            add(&place(&blob.digest.as_str().into()).unwrap(), content);
        }
        let file = root.join(ARCHIVE);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, tar.into_inner().unwrap()).unwrap();
        let none = PathBuf::new;
        let (cmdline, commit) = (String::new(), String::new());
        let root = root.to_owned();
        Image { disk: none(), kernel: none(), initramfs: none(), cmdline, commit, release: none(), root }
    }

    #[test]
    fn each_word_is_another_image_on_the_same_layer() {
        let dir = tempfile::tempdir().unwrap();
        let image = image(&dir.path().join("root"));
        let [one, two] = ["one", "two"].map(|word| PodImage::write(&image, word, &dir.path().join(word)).unwrap());
        assert_ne!(one.layer, two.layer);
        let manifest = Layout::open(one.folder).unwrap().manifest().unwrap();
        let layers = manifest["layers"].as_array().unwrap();
        assert_eq!((layers.len(), layers[1]["digest"].as_str()), (2, Some(one.layer.as_str())));
    }

    #[test]
    fn the_canary_is_named_by_its_tag_and_digest() {
        let dir = tempfile::tempdir().unwrap();
        let name = canary_by_digest(&image(dir.path())).unwrap();
        let digest = name.strip_prefix("localhost/ballast/canary:1@sha256:");
        assert_eq!(digest.map(str::len), Some(64), "{name}");
    }
}
