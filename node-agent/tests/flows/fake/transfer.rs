//! containerd's Transfer service in the fake runtime: an archive comes over a stream, no more at a time than was asked for.

use std::{collections::HashMap, sync::Arc, time::Duration};

use prost::Message;
use tokio::{
    sync::{mpsc, oneshot},
    time::sleep,
};

use super::{cri::Runtime, grpc::Answer, wire};

/// The streams that were opened, by name; each with what will have come over it.
pub(crate) type Arriving = HashMap<String, oneshot::Receiver<Vec<u8>>>;

/// The real one asks for 64 KiB.
const WINDOW_BYTES: usize = 3000;

/// The real one informs its CRI of a new image by an event.
const NEWS_TAKE: Duration = Duration::from_millis(30);

/// What an archive's images have as their configuration, and the fake runtime as their id.
pub(crate) const CONFIG: &str = "sha256:0";

/// An OCI archive with images of these names, and `ballast` bytes more.
pub(crate) fn archive(names: &[&str], ballast: usize) -> Vec<u8> {
    let manifest = format!(r#"{{"config":{{"digest":"{CONFIG}"}},"layers":[]}}"#);
    let hash = "1".repeat(64);
    let image =
        |name: &&str| format!(r#"{{"digest":"sha256:{hash}","annotations":{{"io.containerd.image.name":"{name}"}}}}"#);
    let index = format!(r#"{{"manifests":[{}]}}"#, names.iter().map(image).collect::<Vec<_>>().join(","));
    let mut builder = tar::Builder::new(Vec::new());
    for (name, text) in
        [("index.json", index), (&*format!("blobs/sha256/{hash}"), manifest), ("ballast", "x".repeat(ballast))]
    {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn names(archive: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(archive);
    let mut files = archive.entries().unwrap().map(Result::unwrap);
    let index = files.find(|file| file.path().unwrap().to_str() == Some("index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_reader(index).unwrap();
    let name = |image: &serde_json::Value| image["annotations"]["io.containerd.image.name"].as_str().map(str::to_owned);
    index["manifests"].as_array().unwrap().iter().filter_map(name).collect()
}

fn any(type_url: &str, message: &impl Message) -> Vec<u8> {
    wire::Any { type_url: type_url.to_owned(), value: message.encode_to_vec() }.encode_to_vec()
}

/// What is in the Any that `message` is, if that has the name `type_url`.
fn inside<M: Message + Default>(type_url: &str, message: &[u8]) -> M {
    let any = wire::Any::decode(message).unwrap();
    assert_eq!(any.type_url, type_url);
    M::decode(any.value.as_slice()).unwrap()
}

/// The Streaming service.
pub(crate) fn receive(runtime: Arc<Runtime>, mut messages: mpsc::Receiver<Vec<u8>>) -> Answer {
    let (send, receive) = mpsc::channel(16);
    tokio::spawn(async move {
        let first = messages.recv().await.unwrap();
        let init: wire::StreamName = inside("containerd.services.streaming.v1.StreamInit", &first);
        let (whole, arriving) = oneshot::channel();
        runtime.state().arriving.insert(init.name, arriving);
        send.send(any("google.protobuf.Empty", &wire::Id::default())).await.unwrap();
        let mut archive = Vec::new();
        let mut window = 0;
        loop {
            if window == 0 {
                window = WINDOW_BYTES;
                let update = wire::Window { update: i32::try_from(window).unwrap() };
                let _ = send.send(any("containerd.types.transfer.WindowUpdate", &update)).await;
            }
            let Some(message) = messages.recv().await else { break };
            let data: wire::Data = inside("containerd.types.transfer.Data", &message);
            window = window.checked_sub(data.data.len()).unwrap();
            archive.extend(data.data);
        }
        let _ = whole.send(archive);
    });
    Answer::Stream(receive)
}

/// The Transfer service.
pub(crate) fn import(runtime: Arc<Runtime>, message: &[u8]) -> Answer {
    let request = wire::Transfer::decode(message).unwrap();
    let source = request.source.unwrap().encode_to_vec();
    let stream: wire::StreamName = inside("containerd.types.transfer.ImageImportStream", &source);
    let destination = request.destination.unwrap().encode_to_vec();
    let destination: wire::Destination = inside("containerd.types.transfer.ImageStore", &destination);
    // Without any of this the real one keeps no image, or does not unpack it.
    assert!(destination.references.iter().any(|one| !one.name.is_empty() && one.is_prefix && one.may_be_overruled));
    assert!(destination.unpacks.iter().any(|one| one.snapshotter == "overlayfs"));
    let mut state = runtime.state();
    if state.refuses_archives {
        return Answer::Refusal("no space left on device".to_owned());
    }
    let Some(arriving) = state.arriving.remove(&stream.name) else {
        return Answer::Refusal(format!("stream {}: not found", stream.name));
    };
    drop(state);
    let (send, receive) = mpsc::channel(1);
    tokio::spawn(async move {
        let archive = arriving.await.unwrap();
        runtime.state().calls.push(format!("Transfer of {} bytes", archive.len()));
        send.send(Vec::new()).await.unwrap();
        sleep(NEWS_TAKE).await;
        runtime.state().images.extend(names(&archive));
    });
    Answer::Stream(receive)
}
