//! The messages of containerd's Transfer and Streaming services that `import` uses, reduced to the fields that it uses.
//! Names and field numbers are those of github.com/containerd/containerd, api/services/{transfer,streaming}/v1 and
//! api/types/transfer.

use prost::Message;

/// google.protobuf.Any. containerd names a type by its bare name, without `type.googleapis.com/`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Any {
    #[prost(string, tag = "1")]
    pub(super) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) value: Vec<u8>,
}

/// A message with the name by which containerd knows it inside an [`Any`].
pub(super) trait Named: Message + Default {
    const NAME: &'static str;

    fn to_any(&self) -> Any {
        Any { type_url: Self::NAME.to_owned(), value: self.encode_to_vec() }
    }

    /// None if it is another message, or none at all.
    fn from_any(any: &Any) -> Option<Self> {
        (any.type_url == Self::NAME).then(|| Self::decode(any.value.as_slice()).ok()).flatten()
    }
}

/// The first message of a stream.
#[derive(Clone, PartialEq, Message)]
pub(super) struct StreamInit {
    #[prost(string, tag = "1")]
    pub(super) id: String,
}

impl Named for StreamInit {
    const NAME: &'static str = "containerd.services.streaming.v1.StreamInit";
}

/// From the sender.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Data {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) data: Vec<u8>,
}

impl Named for Data {
    const NAME: &'static str = "containerd.types.transfer.Data";
}

/// From the receiver: it takes so many bytes more.
#[derive(Clone, PartialEq, Message)]
pub(super) struct WindowUpdate {
    #[prost(int32, tag = "1")]
    pub(super) update: i32,
}

impl Named for WindowUpdate {
    const NAME: &'static str = "containerd.types.transfer.WindowUpdate";
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TransferRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) source: Option<Any>,
    #[prost(message, optional, tag = "2")]
    pub(super) destination: Option<Any>,
}

/// A tar archive that comes over the stream of this id.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ImageImportStream {
    #[prost(string, tag = "1")]
    pub(super) stream: String,
}

impl Named for ImageImportStream {
    const NAME: &'static str = "containerd.types.transfer.ImageImportStream";
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ImageStore {
    #[prost(message, repeated, tag = "6")]
    pub(super) extra_references: Vec<ImageReference>,
    #[prost(message, repeated, tag = "10")]
    pub(super) unpacks: Vec<UnpackConfiguration>,
}

impl Named for ImageStore {
    const NAME: &'static str = "containerd.types.transfer.ImageStore";
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ImageReference {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(bool, tag = "2")]
    pub(super) is_prefix: bool,
    #[prost(bool, tag = "3")]
    pub(super) allow_overwrite: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct UnpackConfiguration {
    #[prost(message, optional, tag = "1")]
    pub(super) platform: Option<Platform>,
    #[prost(string, tag = "2")]
    pub(super) snapshotter: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Platform {
    #[prost(string, tag = "1")]
    pub(super) os: String,
    #[prost(string, tag = "2")]
    pub(super) architecture: String,
}
