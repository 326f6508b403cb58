//! Image references, completed as the registry clients do (github.com/distribution/reference).

/// `busybox` → `docker.io/library/busybox:latest`; what is complete stays as it is.
pub fn full_reference(image: &str) -> String {
    let (domain, rest) = match image.split_once('/') {
        Some((first, rest)) if first == "localhost" || first.contains(['.', ':']) => (first, rest),
        _ => ("docker.io", image),
    };
    let library = if domain == "docker.io" && !rest.contains('/') { "library/" } else { "" };
    let tag = if has_version(rest) { "" } else { ":latest" };
    format!("{domain}/{library}{rest}{tag}")
}

/// Whether the reference may mean another image tomorrow: no tag, or the tag `latest` (the kubelet's rule for pulling).
pub(super) fn is_moving(image: &str) -> bool {
    let full = full_reference(image);
    !full.contains('@') && full.ends_with(":latest")
}

fn has_version(name: &str) -> bool {
    name.contains('@') || name.rsplit('/').next().is_some_and(|last| last.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_completed() {
        let table = [
            ("busybox", "docker.io/library/busybox:latest", true),
            ("busybox:1.36", "docker.io/library/busybox:1.36", false),
            ("team/app", "docker.io/team/app:latest", true),
            ("localhost/ballast/pause:1", "localhost/ballast/pause:1", false),
            ("quay.io:443/a/b", "quay.io:443/a/b:latest", true),
            ("quay.io/a@sha256:00", "quay.io/a@sha256:00", false),
            ("quay.io/a:latest@sha256:00", "quay.io/a:latest@sha256:00", false),
        ];
        for (image, full, moving) in table {
            assert_eq!((full_reference(image).as_str(), is_moving(image)), (full, moving), "{image}");
        }
    }
}
