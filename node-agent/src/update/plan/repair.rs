//! From where the releases on the disk can be fetched again, to repair damaged objects.

use std::collections::BTreeSet;

use super::policy::{is_folder, repository};
use crate::update::model::{Failure, FailureKind, Observed, Origin};

/// A release on the disk, and its image as the worker wants it: named by its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Which release.
    pub version: String,
    /// None if nothing says where it can be had.
    pub image: Option<String>,
}

/// The releases on the disk, each once, the one that runs first. One that came with the disk or from a folder is looked for under `named`,
/// the image of the settings, else where the others came from.
///
/// # Errors
/// If nothing says which release runs.
pub fn sources(observed: &Observed, named: Option<&str>) -> Result<Vec<Source>, Failure> {
    let booted = observed.booted_origin().ok_or_else(|| Failure {
        kind: FailureKind::Damaged,
        message: "nothing says which image the running release came from; ballast upgrade to another release, and reboot, mends that"
            .to_owned(),
    })?;
    let mut seen = BTreeSet::new();
    let mut origins: Vec<&Origin> = vec![booted];
    origins.extend(observed.on_disk.values().flatten());
    origins.retain(|origin| seen.insert(&origin.digest));
    let elsewhere = origins.iter().map(|origin| origin.image.as_str()).find(|image| !is_folder(image));
    let source = |origin: &&Origin| {
        let own = Some(origin.image.as_str());
        let first = own.filter(|image| !is_folder(image)).or(named).or(elsewhere);
        // The worker knows a folder by its path alone; the disk's releases came from one of the build host.
        let image = first.or(own).filter(|image| !matches!(image.trim(), "" | "oci"));
        let image = image.map(|image| {
            let place = if is_folder(image) { image.split('@').next().unwrap_or(image) } else { repository(image) };
            format!("{place}@{}", origin.digest)
        });
        Source { version: origin.version.clone(), image }
    };
    Ok(origins.iter().map(source).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::plan::tests::{digest, node};

    #[test]
    fn each_release_is_had_from_where_it_came_from_or_where_others_do() {
        for (came_as, named, expected) in [
            (["r/os:1", "r/os:1"], None, ["r/os", "r/os"]),
            (["r/os:1", "r:5000/other"], Some("n/os:2"), ["r/os", "r:5000/other"]),
            // The disk's own release.
            (["r/os:1", "oci"], None, ["r/os", "r/os"]),
            (["oci", "r/os:1"], None, ["r/os", "r/os"]),
            (["oci", "oci"], Some("n/os:2"), ["n/os", "n/os"]),
            (["oci", "oci"], None, ["-", "-"]),
            // A folder, and hosts that only begin like one.
            (["oci:/x/y.oci:t", "oci:y"], None, ["oci:/x/y.oci:t", "oci:y"]),
            (["oci", "oci"], Some("oci:/x"), ["oci:/x", "oci:/x"]),
            (["oci.example.com/os:1", "ocir.example/os"], Some("n/os:2"), ["oci.example.com/os", "ocir.example/os"]),
        ] {
            let mut observed = node("a1 b2", "b");
            for (origin, image) in observed.on_disk.values_mut().flatten().zip([came_as[1], came_as[0]]) {
                origin.image = image.to_owned();
            }
            let found = sources(&observed, named).unwrap();
            let expected: Vec<Option<String>> = expected
                .iter()
                .zip(["b", "a"])
                .map(|(image, letter)| (*image != "-").then(|| format!("{image}@{}", digest(letter))))
                .collect();
            assert_eq!(
                found.iter().map(|one| one.image.clone()).collect::<Vec<_>>(),
                expected,
                "{came_as:?} {named:?}"
            );
            assert_eq!(found.iter().map(|one| one.version.as_str()).collect::<Vec<_>>(), ["2", "1"]);
        }
        let mut observed = node("a1", "a");
        observed.on_disk.values_mut().for_each(|origin| *origin = None);
        assert_eq!(sources(&observed, None).unwrap_err().kind, FailureKind::Damaged);
    }
}
