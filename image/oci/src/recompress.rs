//! The same layers in zstd, which saves a node a fifth of the bytes and most of the time; and nothing in it that says when
//! it was made: the same commit gives the same digest.

use std::{
    fs::File,
    io::{self, BufReader},
    path::Path,
    thread,
};

use anyhow::{Context, Result};
use flate2::bufread::GzDecoder;
use serde_json::{Value, json};

use crate::{
    cache::Cache,
    layout::{Blob, Layout},
};

/// opencontainers/image-spec: media-types.md
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

/// 19 is the highest with which a node unpacks in 8 MiB; the higher ones would want 128 MiB of it.
const LEVEL: i32 = 19;

pub(crate) struct Image {
    pub(crate) digest: String,
    pub(crate) layers: usize,
    /// Of all layers.
    pub(crate) bytes: u64,
}

/// Writes the image in `from` to `to`, tagged `tag`. Layers that are in `cache` are taken from there; after it, the cache has
/// the layers of this image.
pub(crate) fn recompress(from: &Path, to: &Path, tag: &str, cache: Option<&Path>) -> Result<Image> {
    let (from, to) = (Layout::open(from), Layout::create(to)?);
    // Level and library say what a packed layer is.
    let packing = || format!("{LEVEL}-{}", zstd::zstd_safe::version_number());
    let cache = cache.map(|folder| Cache::open(folder, packing())).transpose()?;
    let mut manifest = from.manifest()?;
    let mut config = from.json(&manifest["config"])?;
    undate(&mut config);

    let layers = manifest["layers"].as_array_mut().context("the image has no layers")?;
    let mut bytes = 0;
    for (index, layer) in layers.iter_mut().enumerate() {
        // What is in it, however it is packed.
        let content = config["rootfs"]["diff_ids"][index].as_str().context("a layer has no diff_id")?;
        let blob = match cache.as_ref().and_then(|cache| cache.get(content)) {
            Some(file) => to.add(|blob| io::copy(&mut File::open(file)?, blob).map(drop))?,
            None => pack(&from.path(layer)?, &to)?,
        };
        if let Some(cache) = &cache {
            cache.put(content, &to.blob_path(&blob))?;
        }
        bytes += blob.size;
        layer["mediaType"] = ZSTD.into();
        describe(layer, &blob);
    }
    let layers = layers.len();
    if let Some(cache) = cache {
        cache.close()?;
    }
    let blob = to.add_json(&config)?;
    describe(&mut manifest["config"], &blob);
    let platform = json!({"architecture": config["architecture"], "os": config["os"]});
    // ocidir leaves it out, and who looks at a manifest alone wants it.
    manifest["mediaType"] = MANIFEST.into();
    let blob = to.add_json(&manifest)?;
    to.write_index(&blob, MANIFEST, &platform, tag)?;
    Ok(Image { digest: blob.digest, layers, bytes })
}

fn describe(descriptor: &mut Value, blob: &Blob) {
    descriptor["digest"] = blob.digest.as_str().into();
    descriptor["size"] = blob.size.into();
}

fn pack(gzip: &Path, to: &Layout) -> Result<Blob> {
    let doing = || format!("packing {}", gzip.display());
    let tar = GzDecoder::new(BufReader::new(File::open(gzip).with_context(doing)?));
    // With workers the result is the same for any number of them but none.
    let workers = thread::available_parallelism().map_or(1, |count| count.get() as u32);
    let packed = to.add(|file| {
        let mut tar = tar;
        let mut encoder = zstd::Encoder::new(file, LEVEL)?;
        encoder.include_checksum(true)?;
        encoder.multithread(workers)?;
        io::copy(&mut tar, &mut encoder)?;
        encoder.finish().map(drop)
    });
    packed.with_context(doing)
}

/// Each layer's history says when it was written: that shall be when the commit was made.
fn undate(config: &mut Value) {
    let created = config["created"].clone();
    for entry in config["history"].as_array_mut().into_iter().flatten() {
        entry["created"] = created.clone();
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    #[test]
    fn layers_change_their_packing_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        let layout = Layout::create(&from).unwrap();
        let content = b"content ".repeat(1000);
        let layer = layout
            .add(|file| {
                let mut gzip = GzEncoder::new(file, Compression::fast());
                gzip.write_all(&content)?;
                gzip.finish().map(drop)
            })
            .unwrap();
        let config = json!({"architecture": "amd64", "os": "linux", "created": "2026-11-22T00:00:00Z",
            "rootfs": {"diff_ids": ["sha256:ab"]},
            "history": [{"created": "2026-11-23T01:02:03Z", "created_by": "x"}]});
        let config = layout.add_json(&config).unwrap();
        let manifest = json!({"mediaType": "m", "config": {"digest": config.digest, "size": config.size},
            "layers": [{"mediaType": "gzip", "digest": layer.digest, "size": layer.size, "annotations": {"a": "b"}}]});
        let manifest = layout.add_json(&manifest).unwrap();
        layout.write_index(&manifest, "m", &Value::Null, "t").unwrap();

        let cache = folder.path().join("cache");
        let image = recompress(&from, &to, "20261122.1", Some(&cache)).unwrap();
        assert_eq!(recompress(&from, &to, "20261122.1", Some(&cache)).unwrap().digest, image.digest);
        assert_eq!(recompress(&from, &to, "20261122.1", None).unwrap().digest, image.digest);
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 1);
        let layout = Layout::open(&to);
        let manifest = layout.manifest().unwrap();
        let layer = &manifest["layers"][0];
        assert_eq!((layer["mediaType"].as_str(), layer["annotations"]["a"].as_str()), (Some(ZSTD), Some("b")));
        let packed = fs::read(layout.path(layer).unwrap()).unwrap();
        assert_eq!((packed.len() as u64, image.bytes), (layer["size"].as_u64().unwrap(), packed.len() as u64));
        assert_eq!(zstd::decode_all(&packed[..]).unwrap(), content);
        let config = layout.json(&manifest["config"]).unwrap();
        assert_eq!(config["history"][0]["created"], "2026-11-22T00:00:00Z");
    }
}
