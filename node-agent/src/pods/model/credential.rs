//! Who pulls a pod's images.

use ballast_types::ImageReference;

use super::Content;

/// What one of spec.imagePullSecrets knows of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// `HOST[:PORT][/PATH]`
    pub registry: String,
    /// The user.
    pub user: String,
    /// The password or token.
    pub password: Content,
}

impl Credential {
    /// Those of `all` that are for `image`: of those that fit the one with the longest path.
    pub fn of_image<'a>(all: &'a [Self], image: &ImageReference) -> Option<&'a Self> {
        let name = format!("{}/{}", image.domain(), image.path());
        let is_for = |one: &&Self| name.strip_prefix(&one.registry).is_some_and(|rest| rest.starts_with('/'));
        all.iter().filter(is_for).max_by_key(|one| one.registry.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_path_that_fits_counts() {
        let credential = |registry: &str| Credential {
            registry: registry.to_owned(),
            user: registry.to_owned(),
            password: Content::of(b"s3cret".to_vec()),
        };
        let all = ["quay.io", "quay.io/team", "docker.io", "r.example:5000"].map(credential);
        for (image, expected) in [
            ("quay.io/team/app:1", Some("quay.io/team")),
            ("quay.io/teams/app:1", Some("quay.io")),
            ("busybox", Some("docker.io")),
            ("r.example:5000/a", Some("r.example:5000")),
            ("r.example/a", None),
        ] {
            let image = ImageReference::parse(image).unwrap();
            let found = Credential::of_image(&all, &image);
            assert_eq!(found.map(|one| one.user.as_str()), expected, "{image}");
        }
        assert!(!format!("{all:?}").contains("s3cret"));
    }
}
