//! Texts that mean something: times, releases.

use std::time::Duration;

/// What [`image`] takes.
pub(super) const IMAGE: &str = "where a release is, as \"registry.example/ballast:stable\" or \"oci:/run/media/stick\"";

/// `5min`, `90 s`, `1h`
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a time");
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(|| format!("{text:?} has no unit"))?;
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "s" => 1,
        "min" => 60,
        "h" => 3600,
        _ => return Err(wrong()),
    };
    let secs = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    secs.map(Duration::from_secs).ok_or_else(wrong)
}

/// `HOST[:PORT]/PATH[:TAG][@DIGEST]` or `oci:FOLDER[:TAG]`; whoever fetches it looks closer.
pub(super) fn image(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    if let Some(letter) = text.chars().find(|letter| letter.is_whitespace() || letter.is_control()) {
        return Err(format!("has {letter:?} in it"));
    }
    if let Some((scheme, _)) = text.split_once("://") {
        return Err(format!("{scheme}:// does not belong to it"));
    }
    if let Some(folder) = text.strip_prefix("oci:") {
        return if folder.starts_with('/') { Ok(text.to_owned()) } else { Err("names no absolute folder".to_owned()) };
    }
    let (host, path) = text.split_once('/').ok_or("names no registry")?;
    // As for containers: a first part without a point or a port would be a folder of a registry that is not named.
    let is_host = host.contains(['.', ':']) || host == "localhost";
    if !is_host || path.is_empty() {
        return Err("names no registry".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        for (text, secs) in [("30s", 30), ("5min", 300), ("5 min", 300), ("1h", 3600), ("0s", 0)] {
            assert_eq!(time(text), Ok(Duration::from_secs(secs)), "{text}");
        }
        for wrong in ["", "5", "min", "5m", "-5s", "1.5h", "5 min 3s", "99999999999999999999s", "9999999999999999999h"]
        {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_image_has_a_registry_or_a_folder() {
        let digest = format!("r.example/a@sha256:{}", "0".repeat(64));
        for right in ["r.example/a", "r.example:5000/a/b:1", "10.0.2.2:5000/a", "localhost/a:1", "oci:/a/b:1", &digest]
        {
            assert_eq!(image(right).as_deref(), Ok(right));
        }
        for wrong in
            ["", "ballast", "team/ballast", "r.example", "r.example/", "docker://r.example/a", "r.example/a b", "oci:a"]
        {
            assert!(image(wrong).is_err(), "{wrong}");
        }
    }
}
