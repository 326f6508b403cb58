//! No setuid or setgid file that is not on the list.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};

use crate::guest::Guest;

/// None: nobody logs in as anybody but root, and nothing on a node has to become root.
const ALLOWED: [&str; 0] = [];

pub(super) fn check(guest: &mut Guest) -> Result<()> {
    // ls is all that a minimal image surely has; /var holds container images, whose files mount nosuid or not at all.
    let listing = guest.ask("ls -lRn /usr /etc /opt /srv /root /home 2>/dev/null || :").context("listing files")?;
    let found = privileged(&listing);
    if found.is_empty() && !listing.contains("/usr/bin") {
        bail!("the listing has no /usr/bin: {:?}", listing.lines().next());
    }
    let extra: Vec<_> = found.iter().filter(|file| !ALLOWED.contains(&file.as_str())).map(String::as_str).collect();
    if !extra.is_empty() {
        bail!("{} not on the list", extra.join(", "));
    }
    Ok(())
}

/// Files whose mode has an `s` or `S` in the owner's or group's place, from `ls -lR`.
fn privileged(listing: &str) -> BTreeSet<String> {
    let mut folder = "";
    let mut found = BTreeSet::new();
    for line in listing.lines() {
        if let Some(name) = line.strip_suffix(':').filter(|name| name.starts_with('/')) {
            folder = name;
            continue;
        }
        let mode = line.as_bytes();
        let elevated = |at: usize| mode.get(at).is_some_and(|letter| letter.eq_ignore_ascii_case(&b's'));
        if mode.first() == Some(&b'-') && (elevated(3) || elevated(6)) {
            // mode links uid gid size month day time name
            let name = line.split_whitespace().skip(8).collect::<Vec<_>>().join(" ");
            found.insert(format!("{folder}/{name}"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_bits_are_found_on_files_only() {
        let listing = "/usr/bin:\ntotal 8\n-rwsr-xr-x 1 0 0 63880 Jan  1  2026 su\n-rwxr-xr-x 1 0 0 1 Jan  1  2026 ls\n\
                       -rwxr-sr-x 1 0 5 9 Jan  1 12:00 wall\n\n/var/log:\ndrwxr-sr-x 2 0 4 9 Jan  1 12:00 journal\n";
        assert_eq!(privileged(listing), BTreeSet::from(["/usr/bin/su".into(), "/usr/bin/wall".into()]));
    }
}
