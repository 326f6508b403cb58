//! The fingerprints by which nodes are known: one line a node in `known-nodes`, as ssh keeps its known hosts.

use anyhow::{Context, Result, bail};

use super::{address::Address, folder::Folder};

/// The file.
pub(crate) const FILE: &str = "known-nodes";

/// The digits of a SHA-256.
const DIGITS: usize = 64;

/// The fingerprint of the node at `address`; None if it was never spoken to.
///
/// # Errors
/// If the file cannot be read, or has something else in it.
pub(crate) fn fingerprint(folder: &Folder, address: &Address) -> Result<Option<String>> {
    let text = folder.read(FILE)?.unwrap_or_default();
    let mut known = None;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let place = || format!("{}:{}: expected HOST:PORT sha256:DIGITS", folder.path(FILE).display(), number + 1);
        let (node, fingerprint) = line.split_once(' ').with_context(place)?;
        let fingerprint = parse(fingerprint.trim()).map_err(anyhow::Error::msg).with_context(place)?;
        if node == address.to_string() {
            known = Some(fingerprint);
        }
    }
    Ok(known)
}

/// Keeps that the node at `address` has this fingerprint.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn keep(folder: &Folder, address: &Address, fingerprint: &str) -> Result<()> {
    folder.append(FILE, &format!("{address} {fingerprint}\n"))
}

/// A fingerprint as somebody writes it: with or without `sha256:`, with colons between.
///
/// # Errors
/// In a sentence, if it is none.
pub(crate) fn parse(text: &str) -> Result<String, String> {
    let digits: String = text.strip_prefix("sha256:").unwrap_or(text).chars().filter(|one| *one != ':').collect();
    if digits.len() != DIGITS || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(format!("{text:?} is no fingerprint, expected sha256: and {DIGITS} hexadecimal digits"));
    }
    Ok(format!("sha256:{}", digits.to_ascii_lowercase()))
}

/// Refuses a node that shows another certificate than the one that it is known by.
///
/// # Errors
/// Always.
pub(crate) fn refuse(folder: &Folder, address: &Address, known: &str, shown: &str) -> Result<()> {
    bail!(
        "{address} shows another certificate than before: somebody may be in between, or the node was installed anew\n  \
         known  {known}\n  shown  {shown}\n\
         If ballast status on the node's console says the latter, remove its line from {}",
        folder.path(FILE).display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_known_again() {
        let tree = tempfile::tempdir().unwrap();
        let folder = Folder::at(tree.path());
        let (one, two): (Address, Address) = ("n1".parse().unwrap(), "[2001:db8::1]:1".parse().unwrap());
        let (first, second) = (format!("sha256:{}", "1a".repeat(32)), format!("sha256:{}", "2b".repeat(32)));
        assert_eq!(fingerprint(&folder, &one).unwrap(), None);
        keep(&folder, &one, &first).unwrap();
        keep(&folder, &two, &second).unwrap();
        assert_eq!(fingerprint(&folder, &one).unwrap().as_deref(), Some(&*first));
        assert_eq!(fingerprint(&folder, &two).unwrap().as_deref(), Some(&*second));
        folder.append(FILE, "# mine\n\nn3:1 sha256:12\n").unwrap();
        let message = format!("{:#}", fingerprint(&folder, &one).unwrap_err());
        assert!(message.contains("known-nodes:5: expected HOST:PORT"), "{message}");
    }

    #[test]
    fn a_fingerprint_is_the_same_however_it_is_written() {
        let digits = "AB".repeat(32);
        let colons = vec!["AB"; 32].join(":");
        for text in [digits.clone(), format!("sha256:{digits}"), colons, digits.to_lowercase()] {
            assert_eq!(parse(&text), Ok(format!("sha256:{}", digits.to_lowercase())));
        }
        for wrong in ["", "sha256:", "sha1:ab", &"g".repeat(64)] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
