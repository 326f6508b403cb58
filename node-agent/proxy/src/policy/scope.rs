//! Scopes: the places that a policy names, and which of them an image is in.

use anyhow::{Result, bail};

use crate::content::reference::{ImageName, Named, is_host};

/// The transport, and the scopes that name an image, the most specific first.
pub(super) fn scopes(name: &ImageName) -> (&'static str, Vec<String>) {
    match name {
        ImageName::Docker(name) => ("docker", scopes_of_registry(name)),
        ImageName::Oci { folder, tag } => ("oci", scopes_of_folder(folder, tag.as_deref())),
    }
}

/// The image, its repository, the namespaces around it, the host, and the domains that the host is in.
fn scopes_of_registry(name: &Named) -> Vec<String> {
    let mut scopes = vec![name.to_string()];
    let repository = name.name();
    let mut place = &*repository;
    scopes.push(place.to_owned());
    while let Some((outer, _)) = place.rsplit_once('/') {
        scopes.push(outer.to_owned());
        place = outer;
    }
    let mut domain = place.split(':').next().unwrap_or_default();
    while let Some((_, outer)) = domain.split_once('.') {
        scopes.push(format!("*.{outer}"));
        domain = outer;
    }
    scopes
}

/// The image, its folder, and the folders around that; `folder` is absolute.
fn scopes_of_folder(folder: &str, tag: Option<&str>) -> Vec<String> {
    let mut scopes: Vec<String> = tag.iter().map(|tag| format!("{folder}:{tag}")).collect();
    let mut place = folder;
    while !place.is_empty() {
        scopes.push(place.to_owned());
        place = place.rsplit_once('/').map_or("", |(outer, _)| outer);
    }
    scopes
}

/// A scope that could never match would leave its images to a milder one.
pub(super) fn check(transport: &str, scope: &str) -> Result<()> {
    match transport {
        "docker" => {
            let is_named = || Named::parse(scope).map(|name| name.to_string() == scope);
            let is_scope = match scope.strip_prefix("*.") {
                _ if scope.is_empty() => true,
                Some(domain) => is_host(domain) && !domain.contains(':'),
                None if !scope.contains('/') => is_host(scope),
                None => is_named()?,
            };
            if !is_scope {
                bail!("it is no scope, expected HOST, HOST/PATH, HOST/PATH:TAG, HOST/PATH@DIGEST or *.DOMAIN");
            }
        }
        "oci" if !scope.is_empty() && (!scope.starts_with('/') || scope.ends_with('/') || scope.contains("//")) => {
            bail!("it is no scope, expected the absolute path of a folder, or FOLDER:TAG");
        }
        // No image is fetched through any other.
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_that_match_nothing_are_refused() {
        for (transport, good) in
            [("docker", "localhost:5000"), ("docker", "[::1]:5000/a"), ("docker", "*.example"), ("dir", "?")]
        {
            check(transport, good).unwrap();
        }
        for (transport, bad) in [
            ("docker", "https://r.example"),
            ("docker", "r.example/"),
            ("docker", "a/b"),
            ("docker", "*.example/a"),
            ("docker", "*"),
            ("oci", "media/usb"),
            ("oci", "/media/"),
        ] {
            assert!(check(transport, bad).is_err(), "{bad}");
        }
    }
}
