//! The commit as ostree-ext encapsulates it: a layer for each component, gzip.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
    path::Path,
    rc::Rc,
};

use anyhow::{Context, Result, ensure};
use ostree_ext::{
    chunking::ObjectMetaSized,
    container::{self, Config, ExportOpts, ImageReference, Transport},
    objectsource::{ObjectMeta, ObjectSourceMeta},
    oci_spec::image::ImageManifest,
    ostree::Repo,
};

use crate::{
    components::{Components, frequency},
    tree::Tree,
};

/// Container engines stop at 127 layers (overlayfs in Docker); a user's own on top of ours need room.
const MAX_LAYERS: NonZeroU32 = NonZeroU32::new(110).unwrap();

/// What os-release has as ID; a node takes no other.
const OS_ID: &str = "ballast";

pub(crate) fn export(repo: &Repo, tree: &Tree, components: &Components, prior: Option<&str>, out: &Path) -> Result<()> {
    let prior: Option<ImageManifest> =
        prior.map(serde_json::from_str).transpose().context("reading the previous release's manifest")?;
    let meta = ObjectMetaSized::compute_sizes(repo, objects(tree, components)).context("measuring components")?;
    let mut options = ExportOpts::default();
    options.max_layers = Some(MAX_LAYERS);
    options.prior_build = prior.as_ref();
    options.contentmeta = Some(&meta);
    // It is unpacked again at once.
    options.skip_compression = true;
    let config = Config { labels: Some(labels(tree)), cmd: None };
    let out = out.to_str().context("the folder's name is not UTF-8")?;
    ensure!(!out.contains(':'), "{out}: a colon in the folder's name would start a tag");
    let destination = ImageReference { transport: Transport::OciDir, name: out.to_owned() };
    let exporting = container::encapsulate(repo, &tree.commit, &config, Some(options), &destination);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("setting up")?;
    match runtime.block_on(exporting) {
        // Its last step asks skopeo for the digest of what it wrote. The index is written before that, as the last file.
        Err(error) if !Path::new(out).join("index.json").exists() => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Each object has a component, else ostree-ext panics.
fn objects(tree: &Tree, components: &Components) -> ObjectMeta {
    let mut meta = ObjectMeta::default();
    let mut names = BTreeSet::new();
    for (checksum, paths) in &tree.contents {
        let component = components.of_object(paths);
        names.insert(component);
        meta.map.insert(checksum.clone(), Rc::from(component));
    }
    for name in names {
        let name: Rc<str> = Rc::from(name);
        meta.set.insert(ObjectSourceMeta {
            change_frequency: frequency(&name),
            identifier: Rc::clone(&name),
            srcid: Rc::clone(&name),
            name,
            change_time_offset: 0,
        });
    }
    meta
}

fn labels(tree: &Tree) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("os.ballast.id".to_owned(), OS_ID.to_owned()),
        ("os.ballast.installed-bytes".to_owned(), tree.installed_bytes.to_string()),
        ("os.ballast.objects".to_owned(), tree.objects.to_string()),
        ("os.ballast.boot-bytes".to_owned(), tree.boot_bytes.to_string()),
    ])
}
