//! Which kubelet may speak to which API server: https://kubernetes.io/releases/version-skew-policy/. Pure.

use super::render::minor;

/// From this minor version on a kubelet may be three versions older than the API server; before, two.
const THREE_OLDER: u32 = 25;

/// Why a kubelet of `version` may not speak to an API server of `server`. What cannot be read is not held against it.
pub(super) fn refusal(version: &str, server: Option<&str>) -> Option<String> {
    let server = server?;
    let (own, servers) = (minor(version)?, minor(server)?);
    let most = if own >= THREE_OLDER { 3 } else { 2 };
    let server = server.trim_start_matches('v');
    if own > servers {
        return Some(format!(
            "it is newer than the API server ({server}): name one of 1.{servers}, or upgrade the control plane first"
        ));
    }
    let older = servers - own;
    (older > most).then(|| {
        format!("it is {older} minor versions older than the API server ({server}), and {most} are allowed: name a newer one")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_skew_is_kubernetes_own() {
        for (version, server, expected) in [
            ("1.33.9", Some("v1.33.0"), None),
            ("1.34.0", Some("v1.33.9"), Some("newer than the API server (1.33.9)")),
            ("1.30.0", Some("v1.33.0"), None),
            ("1.29.0", Some("v1.33.0"), Some("4 minor versions older")),
            ("1.25.0", Some("v1.28.0"), None),
            ("1.24.0", Some("v1.27.0"), Some("3 minor versions older than the API server (1.27.0), and 2 are allowed")),
            ("1.24.0", Some("v1.26.3+vendor.1"), None),
            ("1.20.2", Some("v1.20.2"), None),
            ("1.34.0", None, None),
            ("nightly", Some("v1.33.0"), None),
            ("1.34.0", Some("x"), None),
        ] {
            let found = refusal(version, server);
            match expected {
                None => assert_eq!(found, None, "{version} {server:?}"),
                Some(part) => {
                    assert!(found.as_ref().is_some_and(|why| why.contains(part)), "{version} {server:?}: {found:?}");
                }
            }
        }
    }
}
