//! How far a fetch is, from what the image proxy reports for layers as they come, and ostree-ext as they are unpacked.

use std::time::Duration;

use ballast_proxy_client::Reception;
use ballast_types::worker::Progress;
use ostree_ext::container::store::{LayerProgress, PreparedImport};
use tokio::{
    sync::watch::Receiver,
    time::{sleep, timeout},
};

use crate::output;

/// Ten lines a second are enough for a bar that moves.
const INTERVAL: Duration = Duration::from_millis(100);

/// The layers that are fetched, in the order in which ostree-ext does it.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    layers: Vec<Layer>,
}

#[derive(Debug)]
struct Layer {
    /// In the manifest.
    index: usize,
    digest: String,
    bytes: u64,
}

impl Plan {
    pub(crate) fn new(import: &PreparedImport) -> Self {
        let missing = |layer: &&ostree_ext::container::store::ManifestLayerState| layer.commit.is_none();
        // The commit comes after its objects; then what is derived.
        let all = import.ostree_layers.iter().chain([&import.ostree_commit_layer]).chain(&import.layers);
        let index = |layer: &ostree_ext::container::store::ManifestLayerState| {
            import.manifest.layers().iter().position(|other| other == layer.layer()).unwrap_or_default()
        };
        let plan = |layer: &ostree_ext::container::store::ManifestLayerState| Layer {
            index: index(layer),
            digest: layer.layer().digest().to_string(),
            bytes: layer.layer().size(),
        };
        Self { layers: all.filter(missing).map(plan).collect() }
    }

    pub(crate) fn total_bytes(&self) -> u64 {
        self.layers.iter().map(|layer| layer.bytes).sum()
    }

    /// By what ostree-ext says.
    fn unpacked(&self, layer: &LayerProgress) -> Option<Progress> {
        let at = self.layers.iter().position(|other| other.index == layer.layer_index)?;
        Some(self.progress(at, layer.fetched))
    }

    /// By what the proxy says; None for what is no layer.
    fn received(&self, blob: &str, bytes: u64) -> Option<Progress> {
        let at = self.layers.iter().position(|layer| layer.digest == blob)?;
        Some(self.progress(at, bytes))
    }

    fn progress(&self, at: usize, fetched: u64) -> Progress {
        let before: u64 = self.layers[..at].iter().map(|layer| layer.bytes).sum();
        // ostree-ext counts from one.
        let of_this = fetched.min(self.layers.get(at).map_or(0, |layer| layer.bytes));
        Progress {
            fetched_bytes: before + of_this,
            total_bytes: self.total_bytes(),
            layer: Some((at + 1).min(self.layers.len())),
            layers: Some(self.layers.len()),
        }
    }

    /// Prints until nothing comes any more.
    pub(crate) async fn follow(&self, mut news: Receiver<Option<LayerProgress>>, mut reception: Reception) {
        let mut last = 0;
        while !matches!(timeout(INTERVAL, news.changed()).await, Ok(Err(_))) {
            let unpacked = news.borrow_and_update().as_ref().and_then(|layer| self.unpacked(layer));
            let received = reception.latest().and_then(|(blob, bytes)| self.received(&blob, bytes));
            // A layer comes first, and is unpacked then.
            let furthest = [unpacked, received].into_iter().flatten().max_by_key(|progress| progress.fetched_bytes);
            if let Some(progress) = furthest.filter(|progress| progress.fetched_bytes > last) {
                last = progress.fetched_bytes;
                output::progress(progress);
            }
            sleep(INTERVAL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_add_up() {
        let layer = |(index, digest, bytes): (_, &str, _)| Layer { index, digest: digest.to_owned(), bytes };
        let plan = Plan { layers: [(2, "a", 100), (5, "b", 50), (0, "c", 10)].map(layer).into() };
        let report = |progress: Option<Progress>| {
            let Progress { fetched_bytes, total_bytes, layer, layers } = progress.unwrap();
            (fetched_bytes, total_bytes, layer.unwrap(), layers.unwrap())
        };
        let unpacked = |layer_index, fetched| plan.unpacked(&LayerProgress { layer_index, fetched, total: 0 });
        assert_eq!(report(unpacked(2, 1)), (1, 160, 1, 3));
        assert_eq!(report(unpacked(2, 101)), (100, 160, 1, 3));
        assert_eq!(report(unpacked(5, 20)), (120, 160, 2, 3));
        assert_eq!(report(unpacked(0, 10)), (160, 160, 3, 3));
        assert_eq!(report(plan.received("b", 50)), (150, 160, 2, 3));
        assert!(
            plan.received("configuration", 50).is_none()
                && Plan::default().unpacked(&LayerProgress { layer_index: 0, fetched: 7, total: 7 }).is_none()
        );
    }
}
