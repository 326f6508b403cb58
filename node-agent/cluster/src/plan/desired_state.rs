//! A `NodeOS` spec, parsed.

use std::time::Duration;

use ballast_settings::window::Window;
use ballast_types::Sha256Digest;

use crate::model::{DesiredState, NodeOsSpec};

/// A drain that had less time could not even respect the grace period that most pods have.
const LEAST_DRAIN_SECONDS: u32 = 10;
/// A day: longer than that is a mistake.
const MOST_DRAIN_SECONDS: u32 = 24 * 3600;

/// The image that `spec` names.
pub fn image(spec: &NodeOsSpec) -> Option<&str> {
    spec.image.as_deref().map(str::trim).filter(|image| !image.is_empty())
}

/// The kubelet that `spec` names; None also if it cannot be one.
pub fn kubelet(spec: &NodeOsSpec) -> Option<&str> {
    let named = spec.kubelet.as_ref()?.image.as_deref()?.trim();
    (!named.is_empty() && (!named.contains('@') || digest(named).is_some())).then_some(named)
}

/// What `spec` asks for.
///
/// # Errors
/// A sentence that names the field, what is wrong, and what was expected.
pub fn desired_state(spec: &NodeOsSpec) -> Result<DesiredState, String> {
    let image = image(spec);
    let kubelet = spec.kubelet.as_ref().and_then(|kubelet| kubelet.image.as_deref()).map(str::trim);
    for (field, image) in [("spec.image", image), ("spec.kubelet.image", kubelet)] {
        if let Some(image) = image.filter(|image| image.contains('@') && digest(image).is_none()) {
            return Err(format!(
                "{field}: {image:?} has no whole digest behind its @, expected @sha256: and 64 hexadecimal digits"
            ));
        }
    }
    let window = |(index, text): (usize, &String)| {
        Window::parse(text).map_err(|wrong| format!("spec.window[{index}]: {wrong}, expected {}", Window::EXPECTED))
    };
    let windows: Vec<Window> = spec.window.iter().enumerate().map(window).collect::<Result<_, String>>()?;
    let seconds = spec.drain_timeout_seconds;
    if !(LEAST_DRAIN_SECONDS..=MOST_DRAIN_SECONDS).contains(&seconds) {
        return Err(format!(
            "spec.drainTimeoutSeconds: is {seconds}, expected {LEAST_DRAIN_SECONDS} to {MOST_DRAIN_SECONDS}"
        ));
    }
    Ok(DesiredState {
        image: image.map(str::to_owned),
        is_paused: spec.paused,
        windows: (!windows.is_empty()).then_some(windows),
        reboot: spec.reboot_policy,
        drain_timeout: Duration::from_secs(seconds.into()),
        after_timeout: spec.drain_timeout_policy,
    })
}

/// The digest in `image`, if it has a whole one.
pub fn digest(image: &str) -> Option<&str> {
    let (_, digest) = image.split_once('@')?;
    digest.parse::<Sha256Digest>().is_ok().then_some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::KubeletSpec;

    #[test]
    fn what_is_wrong_is_named() {
        let spec = |image: &str, window: &str, seconds: u32| NodeOsSpec {
            image: Some(image.to_owned()),
            window: vec![window.to_owned()],
            drain_timeout_seconds: seconds,
            ..NodeOsSpec::default()
        };
        let good = "daily 00:00-24:00 UTC";
        assert!(desired_state(&spec("r.example/os:1", good, 900)).is_ok());
        for (spec, named) in [
            (spec("r.example/os@sha256:12", good, 900), "spec.image: "),
            (spec("r.example/os:1", "at night", 900), "spec.window[0]: "),
            (spec("r.example/os:1", good, 0), "spec.drainTimeoutSeconds: "),
        ] {
            let error = desired_state(&spec).unwrap_err();
            assert!(error.starts_with(named) && error.contains("expected"), "{error}");
        }
        let kubelet = |image: &str| NodeOsSpec {
            kubelet: Some(KubeletSpec { image: Some(image.to_owned()) }),
            ..NodeOsSpec::default()
        };
        let error = desired_state(&kubelet("r.example/kubelet@sha256:12")).unwrap_err();
        assert!(error.starts_with("spec.kubelet.image: "), "{error}");
        assert_eq!(super::kubelet(&kubelet("r.example/kubelet@sha256:12")), None);
        assert_eq!(super::kubelet(&kubelet(" r.example/kubelet:1.33.0 ")), Some("r.example/kubelet:1.33.0"));
        assert_eq!(super::kubelet(&kubelet(" ")), None);
        assert_eq!(desired_state(&NodeOsSpec::default()).unwrap().windows, None);
        assert_eq!(desired_state(&spec(" ", good, 900)).unwrap().image, None);
    }

    #[test]
    fn only_a_whole_digest_is_one() {
        let whole = format!("sha256:{}", "0a".repeat(32));
        assert_eq!(digest(&format!("r.example/os:1@{whole}")), Some(&*whole));
        for image in ["r.example/os", "r.example/os@sha256:0a", &format!("r@{}", whole.to_uppercase())] {
            assert_eq!(digest(image), None, "{image}");
        }
    }
}
