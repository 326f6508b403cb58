//! How far a fetch is, from what ostree-ext reports for single layers.

use std::time::Duration;

use ostree_ext::container::store::{LayerProgress, PreparedImport};
use tokio::{sync::watch::Receiver, time::sleep};

use crate::output::{self, Progress};

/// Ten lines a second are enough for a bar that moves.
const INTERVAL: Duration = Duration::from_millis(100);

/// The layers that are fetched, in the order in which ostree-ext does it.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Index in the manifest, bytes.
    layers: Vec<(usize, u64)>,
}

impl Plan {
    pub(crate) fn new(import: &PreparedImport) -> Self {
        let missing = |layer: &&ostree_ext::container::store::ManifestLayerState| layer.commit.is_none();
        // The commit comes after its objects; then what is derived.
        let all = import.ostree_layers.iter().chain([&import.ostree_commit_layer]).chain(&import.layers);
        let index = |layer: &ostree_ext::container::store::ManifestLayerState| {
            import.manifest.layers().iter().position(|other| other == layer.layer()).unwrap_or_default()
        };
        Self { layers: all.filter(missing).map(|layer| (index(layer), layer.layer().size())).collect() }
    }

    pub(crate) fn total_bytes(&self) -> u64 {
        self.layers.iter().map(|(_, bytes)| bytes).sum()
    }

    fn progress(&self, index: usize, fetched: u64) -> Progress {
        let at = self.layers.iter().position(|(other, _)| *other == index).unwrap_or_default();
        let before: u64 = self.layers[..at].iter().map(|(_, bytes)| bytes).sum();
        // ostree-ext counts from one.
        let of_this = fetched.min(self.layers.get(at).map_or(0, |(_, bytes)| *bytes));
        Progress {
            fetched_bytes: before + of_this,
            total_bytes: self.total_bytes(),
            layer: (at + 1).min(self.layers.len()),
            layers: self.layers.len(),
        }
    }

    /// Prints until nothing comes any more.
    pub(crate) async fn follow(&self, mut news: Receiver<Option<LayerProgress>>) {
        let mut last = None;
        while news.changed().await.is_ok() {
            let now = news.borrow_and_update().as_ref().map(|layer| self.progress(layer.layer_index, layer.fetched));
            if now != last {
                now.into_iter().for_each(output::progress);
                last = now;
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
        let plan = Plan { layers: vec![(2, 100), (5, 50), (0, 10)] };
        let report = |index, fetched| {
            let Progress { fetched_bytes, total_bytes, layer, layers } = plan.progress(index, fetched);
            (fetched_bytes, total_bytes, layer, layers)
        };
        assert_eq!(report(2, 1), (1, 160, 1, 3));
        assert_eq!(report(2, 101), (100, 160, 1, 3));
        assert_eq!(report(5, 20), (120, 160, 2, 3));
        assert_eq!(report(0, 10), (160, 160, 3, 3));
        assert_eq!(Plan::default().progress(0, 7).total_bytes, 0);
    }
}
