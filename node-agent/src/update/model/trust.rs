//! What releases that ran here say about trust: keys and releases that are revoked, and until when an offer is signed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Digest;

/// How long before signatures expire the status says so: the publisher of releases has a working week to sign again.
const GRACE_SECS: u64 = 14 * DAY_SECS;
const DAY_SECS: u64 = 24 * 60 * 60;

/// Keys and releases that are not to be trusted. Entries are only ever added.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Revoked {
    /// Public keys, by the SHA-256 digest of their DER (SubjectPublicKeyInfo).
    pub keys: BTreeSet<Digest>,
    /// Releases, by the digest of their manifest.
    pub releases: BTreeSet<Digest>,
}

impl Revoked {
    /// Reads a list with one entry a line: `key sha256:HEX` or `release sha256:HEX`; `#` begins a comment. With it comes what is
    /// wrong with the lines that are no entries: the others hold.
    pub fn parse(file: &str, text: &str) -> (Self, Vec<String>) {
        let mut revoked = Self::default();
        let mut problems = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
            match &words[..] {
                [] => continue,
                [kind @ ("key" | "release"), digest] => {
                    if let Ok(digest) = digest.parse::<Digest>() {
                        let set = if *kind == "key" { &mut revoked.keys } else { &mut revoked.releases };
                        set.insert(digest);
                        continue;
                    }
                }
                _ => {}
            }
            problems.push(format!(
                "{file}:{number}: expected key sha256:HEX or release sha256:HEX; this line revokes nothing"
            ));
        }
        (revoked, problems)
    }

    /// With what `others` revoke.
    pub fn and(mut self, others: &Self) -> Self {
        self.keys.extend(others.keys.iter().cloned());
        self.releases.extend(others.releases.iter().cloned());
        self
    }
}

/// What the registry offered last, and how long its signatures are good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    /// Its version.
    pub version: String,
    /// When the first of the signatures that it needs runs out, in seconds since 1970.
    pub signed_until: u64,
    /// From when on that is reported.
    pub report_from: u64,
}

impl Offered {
    /// `max_days` is how old a signature may be: of short lives, the last quarter is reported.
    pub fn new(version: &str, signed_until: u64, max_days: Option<u32>) -> Self {
        let grace = max_days.map_or(GRACE_SECS, |days| GRACE_SECS.min(u64::from(days) * DAY_SECS / 4));
        Self { version: version.to_owned(), signed_until, report_from: signed_until.saturating_sub(grace) }
    }

    /// What people must know of it at `now`, in seconds since 1970.
    pub fn reason(&self, now: u64) -> Option<String> {
        if now < self.report_from {
            return None;
        }
        let (version, until) = (&self.version, self.signed_until);
        let when = match until.checked_sub(now) {
            None | Some(0) => format!("ran out {} ago", days(now - until)),
            Some(left) => format!("runs out in {}", days(left)),
        };
        Some(format!(
            "the signature of release {version}, which the registry offered last, {when}: until it is signed anew, this node takes no \
             upgrade after that"
        ))
    }
}

fn days(secs: u64) -> String {
    match secs / DAY_SECS {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_no_entry_costs_only_itself() {
        let (a, b) = (format!("sha256:{}", "a".repeat(64)), format!("sha256:{}", "b".repeat(64)));
        let text = format!("# why\n\nkey {a} # lost\nrelease {b}\nkey\nkeys {a}\nrelease sha256:00\nkey {a} {b}\n");
        let (revoked, problems) = Revoked::parse("f", &text);
        let expected = Revoked { keys: [a.parse().unwrap()].into(), releases: [b.parse().unwrap()].into() };
        assert_eq!(revoked, expected);
        let lines: Vec<&str> = problems.iter().filter_map(|problem| problem.split(": ").next()).collect();
        assert_eq!(lines, ["f:5", "f:6", "f:7", "f:8"]);
        assert_eq!(Revoked::default().and(&revoked), revoked);
    }

    #[test]
    fn the_list_of_this_image_reads() {
        let text = include_str!("../../../../image/root/usr/lib/ballast/revoked");
        assert_eq!(Revoked::parse("revoked", text).1, [""; 0]);
    }

    #[test]
    fn it_is_reported_before_a_signature_runs_out() {
        let day = DAY_SECS;
        let reported = |max_days, now| {
            Offered::new("2", 100 * day, max_days).reason(now).map(|reason| {
                let (_, rest) = reason.split_once("last, ").unwrap();
                rest.split(':').next().unwrap().to_owned()
            })
        };
        let table = [
            (None, 86 * day - 1, None),
            (None, 86 * day, Some("runs out in 14 days")),
            (Some(365), 86 * day, Some("runs out in 14 days")),
            (Some(8), 98 * day - 1, None),
            (Some(8), 98 * day, Some("runs out in 2 days")),
            (None, 100 * day - 1, Some("runs out in less than a day")),
            (None, 100 * day, Some("ran out less than a day ago")),
            (None, 101 * day, Some("ran out 1 day ago")),
        ];
        for (max_days, now, expected) in table {
            assert_eq!(reported(max_days, now).as_deref(), expected, "{max_days:?} {now}");
        }
    }
}
