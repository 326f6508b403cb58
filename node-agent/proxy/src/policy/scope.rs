//! Which requirements hold for an image: those of the most specific scope that names it.

use anyhow::{Result, bail};

use super::model::{Policy, Requirement};
use crate::content::reference::{ImageName, Named, is_host};

impl Policy {
    /// The requirements for `name`, and the place in the policy where they stand.
    pub(super) fn requirements(&self, name: &ImageName) -> (&[Requirement], String) {
        let (transport, scopes) = match name {
            ImageName::Docker(name) => ("docker", scopes_of_registry(name)),
            ImageName::Oci { folder, tag } => ("oci", scopes_of_folder(folder, tag.as_deref())),
        };
        let Some(known) = self.transports.get(transport) else { return (&self.default, "default".to_owned()) };
        for scope in scopes.iter().map(String::as_str).chain([""]) {
            if let Some(requirements) = known.get(scope) {
                return (requirements, format!("transports.{transport}.{scope:?}"));
            }
        }
        (&self.default, "default".to_owned())
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
    fn the_most_specific_scope_wins() {
        let one = r#"[{"type":"reject"}]"#;
        let docker =
            ["r.example/a/b:1", "r.example/a/b", "r.example/a", "r.example", "*.example", "q.example:5000", "*.b.c"];
        let oci = ["/media/usb:1", "/media/usb", "/media"];
        let map =
            |scopes: &[&str]| scopes.iter().map(|scope| format!("\"{scope}\":{one}")).collect::<Vec<_>>().join(",");
        let text = format!(
            r#"{{"default":{one},"transports":{{"docker":{{{}}},"oci":{{{},"":{one}}}}}}}"#,
            map(&docker),
            map(&oci)
        );
        let policy = Policy::parse(&text).unwrap();
        let table = [
            ("docker://r.example/a/b:1", "transports.docker.\"r.example/a/b:1\""),
            ("docker://r.example/a/b:2", "transports.docker.\"r.example/a/b\""),
            ("docker://r.example/a/b/c:1", "transports.docker.\"r.example/a/b\""),
            ("docker://r.example/a/bc:1", "transports.docker.\"r.example/a\""),
            ("docker://r.example/b", "transports.docker.\"r.example\""),
            ("docker://r.example:5000/a", "transports.docker.\"*.example\""),
            ("docker://q.example:5000/a", "transports.docker.\"q.example:5000\""),
            ("docker://a.b.c:5000/a", "transports.docker.\"*.b.c\""),
            ("docker://b.c/a", "default"),
            ("docker://busybox", "default"),
            ("oci:/media/usb:1", "transports.oci.\"/media/usb:1\""),
            ("oci:/media/usb:2", "transports.oci.\"/media/usb\""),
            ("oci:/media/usb2", "transports.oci.\"/media\""),
            ("oci:/other", "transports.oci.\"\""),
        ];
        for (name, expected) in table {
            assert_eq!(policy.requirements(&ImageName::parse(name).unwrap()).1, expected, "{name}");
        }
    }

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
