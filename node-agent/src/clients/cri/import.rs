//! Images from an archive: containerd's Transfer service reads it from a stream, checks it, keeps it for its CRI, and
//! unpacks it. (github.com/containerd/containerd, docs/transfer.md)

use std::{
    convert::Infallible,
    fs::File,
    io::Read,
    path::Path,
    process,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use futures_util::stream;
use http::uri::PathAndQuery;
use tokio::{sync::mpsc, task::spawn_blocking};
use tonic::{Request, Streaming, metadata::MetadataValue};
use tonic_prost::ProstCodec;

use super::{
    Cri,
    transfer::{
        Any, Data, ImageImportStream, ImageReference, ImageStore, Named, Platform, StreamInit, TransferRequest,
        UnpackConfiguration, WindowUpdate,
    },
    wire::Empty,
};

/// The CRI's part of containerd.
const NAMESPACE: &str = "k8s.io";

/// The one that the CRI is configured to use.
const SNAPSHOTTER: &str = "overlayfs";

/// Unpacking a large image on a slow disk.
const IMPORT: Duration = Duration::from_secs(300);

/// containerd asks for twice this at a time, and reads so much at once itself.
const CHUNK_BYTES: usize = 32 << 10;

impl Cri {
    /// Imports and unpacks all images of the OCI archive at `path`, under the full references that it gives them. The
    /// CRI knows them a moment later.
    ///
    /// # Errors
    /// If the archive cannot be read, or containerd refuses it or does not take it within five minutes.
    pub async fn import(&self, path: &Path) -> Result<()> {
        let doing = || format!("importing {}", path.display());
        let archive = path.to_owned();
        let file = spawn_blocking(move || File::open(archive)).await?.with_context(doing)?;
        let (send, receive) = mpsc::channel(1);
        let id = stream_id();
        send.send(StreamInit { id: id.clone() }.to_any()).await.with_context(doing)?;
        let mut replies = self.open_stream(receive).await.with_context(doing)?;
        let request = TransferRequest {
            source: Some(ImageImportStream { stream: id }.to_any()),
            destination: Some(destination().to_any()),
        };
        let method = "/containerd.services.transfer.v1.Transfer/Transfer";
        // What containerd says is the verdict; it may well have all it needs before the archive's end.
        let done = tokio::select! {
            done = self.request(method, in_namespace(request), IMPORT) => done.map(|Empty {}| ()).map_err(anyhow::Error::from),
            failed = feed(file, send, &mut replies) => failed.map(|never| match never {}),
        };
        done.with_context(doing)
    }

    /// Opens a stream, whose first message lies in `receive`, and waits until containerd has taken note of it.
    async fn open_stream(&self, receive: mpsc::Receiver<Any>) -> Result<Streaming<Any>> {
        let mut grpc = self.grpc();
        grpc.ready().await.map_err(|error| anyhow!("{error}"))?;
        let messages = stream::unfold(receive, |mut receive| async { Some((receive.recv().await?, receive)) });
        let path = PathAndQuery::from_static("/containerd.services.streaming.v1.Streaming/Stream");
        let reply = grpc.streaming(in_namespace(messages), path, ProstCodec::<Any, Any>::default());
        let opened = async {
            let mut replies = reply.await?.into_inner();
            replies.message().await?;
            Ok::<_, tonic::Status>(replies)
        };
        let opened = tokio::time::timeout(super::QUICK, opened).await.context("opening a stream")?;
        opened.map_err(|status| anyhow!("Stream: {}", status.message()))
    }
}

/// Sends `file`, as much at a time as the other side asks for, then keeps the stream open: whoever has what it sent ends
/// it.
async fn feed(mut file: File, send: mpsc::Sender<Any>, replies: &mut Streaming<Any>) -> Result<Infallible> {
    let mut window = 0;
    loop {
        while window == 0 {
            let reply = replies.message().await.map_err(|status| anyhow!("Stream: {}", status.message()))?;
            let Some(reply) = reply else { return std::future::pending().await };
            let update = WindowUpdate::from_any(&reply).map_or(0, |window| window.update);
            window += usize::try_from(update).unwrap_or(0);
        }
        let mut data = vec![0; window.min(CHUNK_BYTES)];
        let read = spawn_blocking(move || file.read(&mut data).map(|count| (file, data, count)));
        let count;
        let mut data;
        (file, data, count) = read.await??;
        if count == 0 {
            drop(send);
            return std::future::pending().await;
        }
        window -= count;
        data.truncate(count);
        if send.send(Data { data }.to_any()).await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// An archive's images keep the full references that it gives them; containerd wants some prefix for those that have
/// none, which are no use to us.
fn destination() -> ImageStore {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    ImageStore {
        extra_references: vec![ImageReference {
            name: "localhost/unnamed".to_owned(),
            is_prefix: true,
            allow_overwrite: true,
        }],
        unpacks: vec![UnpackConfiguration {
            platform: Some(Platform { os: "linux".to_owned(), architecture: architecture.to_owned() }),
            snapshotter: SNAPSHOTTER.to_owned(),
        }],
    }
}

/// `message`, for the CRI's part of containerd.
pub(super) fn in_namespace<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("containerd-namespace", MetadataValue::from_static(NAMESPACE));
    request
}

/// containerd knows a stream by its name; those of others, and of an agent before this one, have other names.
fn stream_id() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("ballast-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}
