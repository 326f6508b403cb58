//! Names, certificates, the network of pods, the proxy.

use super::{CONTAINERD, Content, HEADER, PUBLIC, Reload, Rendered, joined, line};
use crate::model::{Network, Pods, Proxy};

/// The subnet of pods in the image's file.
const IMAGE_SUBNET: &str = "10.88.0.0/16";

/// The bridge of pods in it.
const IMAGE_BRIDGE: &str = "\"pods0\"";

/// resolved.conf(5)
pub(super) fn resolver(network: &Network) -> Option<Rendered> {
    if network.dns.is_empty() && network.domains.is_empty() {
        return None;
    }
    let mut text = format!("{HEADER}[Resolve]\n");
    line(&mut text, "DNS", joined(&network.dns));
    line(&mut text, "Domains", joined(&network.domains));
    let then = Reload::Restart("systemd-resolved.service");
    Some(Rendered::public("/etc/systemd/resolved.conf.d/20-ballast.conf", text, then))
}

/// The extra authorities in one file, and a link to it where Go (containerd) and rustls-native-certs (upgrades) look besides
/// the system's bundle. containerd reads it once, at its start.
pub(super) fn certificates(network: &Network) -> Vec<Rendered> {
    const BUNDLE: &str = "/etc/ballast/ca.pem";
    if network.certificates.is_empty() {
        return Vec::new();
    }
    let pem: String = network.certificates.iter().map(|certificates| certificates.as_str()).collect();
    let link = Rendered {
        path: "/etc/ssl/certs/ballast.pem".to_owned(),
        mode: PUBLIC,
        content: Content::Link(BUNDLE.to_owned()),
        then: Reload::Nothing,
    };
    vec![Rendered::public(BUNDLE, pem, Reload::Restart(CONTAINERD)), link]
}

/// The image's own network of pods, with its subnet, and a bridge of its own: one bridge cannot change its address, and pods that run keep
/// theirs. containerd sees the file change.
pub(super) fn pods(network: &Network) -> Option<Rendered> {
    const IMAGE: &str = include_str!("../../../../image/root/etc/cni/net.d/99-ballast.conflist");
    let subnet = network.pod_subnet?;
    let text =
        IMAGE.replace(IMAGE_SUBNET, &subnet.to_string()).replace(IMAGE_BRIDGE, &format!("\"{}\"", subnet.bridge()));
    Some(Rendered::public("/etc/cni/net.d/99-ballast.conflist", text, Reload::Nothing))
}

/// In place of the image's rules, which keep pods from the cloud's metadata service: none.
pub(super) fn firewall(pods: &Pods) -> Option<Rendered> {
    const NO_RULES: &str = "table inet ballast\ndelete table inet ballast\n";
    let then = Reload::Restart("ballast-firewall.service");
    pods.metadata_service.then(|| Rendered::public("/etc/ballast/firewall.nft", format!("{HEADER}{NO_RULES}"), then))
}

/// The environment of containerd (systemd.exec(5), `EnvironmentFile=`); the agent gives its own children the same. There may be a
/// password in it. What a proxy's URL may be made of means nothing within these quotes.
pub(super) fn proxy(proxy: &Proxy) -> Option<Rendered> {
    let variables = proxy.environment();
    if variables.is_empty() {
        return None;
    }
    let lines: String = variables.iter().map(|(name, value)| format!("{name}=\"{value}\"\n")).collect();
    Some(Rendered::private("/etc/ballast/proxy.env", format!("{HEADER}{lines}"), Reload::Restart(CONTAINERD)))
}
