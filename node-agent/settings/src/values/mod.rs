//! Values that are written as texts: each a type of its own that can only be made from a text that is right.

mod cluster;
mod credential;
mod kernel;
mod kubelet;
mod label;
mod name;
mod network;
mod pem;
mod registry;
mod secret;
mod serial;
mod size;
mod sysctl;
mod time;
mod url;
mod window;
mod zone;

use std::fmt;

pub use self::{
    cluster::{CaHash, ClusterName, NodeName, PoolName},
    credential::{BearerToken, Kubeconfig, PrivateKey},
    kernel::{KernelArgument, SysctlKey, SysctlValue},
    kubelet::{ClusterDomain, KubeletConfig, Quantity},
    label::{LabelKey, LabelValue, NodeLabel, Taint, TaintEffect},
    name::{Domain, Host, Hostname, ManifestName},
    network::{Destination, InterfaceName, LinkName, Mac, PodSubnet},
    pem::{Certificates, PublicKey},
    registry::{MirrorPlace, RegistryHost, Username},
    secret::Secret,
    serial::CertificateSerial,
    size::Size,
    time::{DURATION_UNITS, duration, duration_text},
    url::{HttpsUrl, NoProxy, ProxyUrl},
    zone::TimeZone,
};
pub(crate) use self::{
    registry::{IMAGE, image, is_plain_url},
    size::SIZE_UNITS,
};

/// A value that is written as a text.
pub trait Text: Sized {
    /// What [`Text::parse`] takes, as it stands behind "expected".
    const EXPECTED: &'static str;

    /// The value that `text` says.
    ///
    /// # Errors
    /// One clause that says what is wrong, as it stands behind the key.
    fn parse(text: &str) -> Result<Self, String>;
}

/// A newtype over its text: how it is shown and looked at.
macro_rules! shown_as_text {
    ($($name:ty),+) => { $(
        impl $name {
            /// As it is written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    )+ };
}
pub(crate) use shown_as_text;

/// `"TEXT" is not WHAT`, for the errors of [`Text::parse`].
fn refusal(text: &str, what: impl fmt::Display) -> String {
    match text {
        "" => "is empty".to_owned(),
        // Somebody may have put a password in front of a host.
        text if text.contains('@') => format!("has an '@' in it and is not {what}"),
        text => format!("{text:?} is not {what}"),
    }
}

/// Whether `text` is made of `min..=max` bytes that all fit.
fn is_made_of(text: &str, length: std::ops::RangeInclusive<usize>, fits: impl Fn(u8) -> bool) -> bool {
    length.contains(&text.len()) && text.bytes().all(fits)
}
