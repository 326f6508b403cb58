//! Texts without secrets. Pure.

/// In place of a secret.
const MASK: &str = "(secret)";

/// What is shorter stands in half the words of a log.
const MIN_BYTES: usize = 4;

/// A line of a key or certificate is longer.
const MIN_LINE_BYTES: usize = 16;

/// What hands a unit a secret on the kernel's command line (systemd(1)).
const CREDENTIALS: [&str; 2] = ["systemd.set_credential=", "systemd.set_credential_binary="];

/// Knows the node's secrets, and how others look.
#[derive(Debug, Default)]
pub(super) struct Scrubber {
    known: Vec<String>,
}

impl Scrubber {
    /// One that knows `secrets`.
    pub(super) fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut known = Vec::new();
        for secret in secrets {
            // As it stands in JSON, and a line of it alone.
            let json = serde_json::to_string(&secret).unwrap_or_default();
            known.extend(json.get(1..json.len().saturating_sub(1)).map(str::to_owned));
            known.extend(secret.lines().filter(|line| line.len() >= MIN_LINE_BYTES).map(|line| line.trim().to_owned()));
            known.push(secret);
        }
        known.retain(|secret| secret.len() >= MIN_BYTES);
        // A secret that has another in it goes first.
        known.sort_by_key(|secret| (usize::MAX - secret.len(), secret.clone()));
        known.dedup();
        Self { known }
    }

    /// `text` without what is secret in it: secrets that are known, private keys, users and passwords in URLs, credentials.
    pub(super) fn scrub(&self, text: &str) -> String {
        let mut text = without_keys(text);
        for secret in &self.known {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), MASK);
            }
        }
        if text.contains("://") {
            text = without_users(&text);
        }
        for name in CREDENTIALS.iter().filter(|name| text.contains(**name)).collect::<Vec<_>>() {
            text = without_values(&text, name);
        }
        for word in ["Bearer ", "Basic "] {
            if text.contains(word) {
                text = without_values(&text, word);
            }
        }
        text
    }
}

/// Without what stands between the first and the last line of a private key, wherever lines end.
fn without_keys(text: &str) -> String {
    let (mut out, mut left) = (String::with_capacity(text.len()), text);
    while let Some(begin) = left.find("PRIVATE KEY-----") {
        let end = begin + "PRIVATE KEY-----".len();
        let (before, after) = left.split_at(end);
        out.push_str(before);
        out.push_str(MASK);
        // A log may have been cut off in it: then no more of that is shown.
        left = after.find("-----END").and_then(|at| after.get(at..)).unwrap_or_default();
        match left.find("PRIVATE KEY-----") {
            Some(at) => {
                let (end, rest) = left.split_at(at + "PRIVATE KEY-----".len());
                out.push_str(end);
                left = rest;
            }
            None => break,
        }
    }
    out.push_str(left);
    out
}

/// `https://user:password@host` → `https://(secret)@host`.
fn without_users(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut parts = text.split("://");
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        out.push_str("://");
        let end = part
            .find(|one: char| one.is_whitespace() || matches!(one, '/' | '"' | '\'' | '?' | '#' | ','))
            .unwrap_or(part.len());
        let (authority, rest) = part.split_at(end);
        match authority.rsplit_once('@') {
            Some((_, host)) => out.extend([MASK, "@", host]),
            None => out.push_str(authority),
        }
        out.push_str(rest);
    }
    out
}

/// Without the word that follows each `name`.
fn without_values(text: &str, name: &str) -> String {
    let mut parts = text.split(name);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|one: char| one.is_whitespace() || one == '"').unwrap_or(part.len());
        out.extend([name, MASK, part.get(end..).unwrap_or_default()]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_seen_and_all_else_is() {
        let scrubber = Scrubber::new([
            "hunter2!".to_owned(),
            "say \"friend\"".to_owned(),
            "hunter2!!".to_owned(),
            "abc".to_owned(),
        ]);
        for (text, expected) in [
            ("pulling with hunter2! as password", "pulling with (secret) as password"),
            ("hunter2!!", "(secret)"),
            (r#"{"password":"say \"friend\""}"#, r#"{"password":"(secret)"}"#),
            ("abc is too short to be one", "abc is too short to be one"),
            (
                "GET https://me:pw@r.example/v2/ https://r.example/a@b",
                "GET https://(secret)@r.example/v2/ https://r.example/a@b",
            ),
            ("proxy \"http://u@p:1\"", "proxy \"http://(secret)@p:1\""),
            ("quiet systemd.set_credential=a:pw rw", "quiet systemd.set_credential=(secret) rw"),
            ("Authorization: Bearer ey.J.x\nnext", "Authorization: Bearer (secret)\nnext"),
            (
                "1 -----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY----- 2",
                "1 -----BEGIN EC PRIVATE KEY-----(secret)-----END EC PRIVATE KEY----- 2",
            ),
            ("-----BEGIN PRIVATE KEY-----\\nMHc cut off", "-----BEGIN PRIVATE KEY-----(secret)"),
            ("-----BEGIN CERTIFICATE-----\nMIIB", "-----BEGIN CERTIFICATE-----\nMIIB"),
        ] {
            assert_eq!(scrubber.scrub(text), expected, "{text}");
        }
    }

    #[test]
    fn a_line_of_a_secret_is_secret() {
        let scrubber = Scrubber::new(["first line of the key\nsecond line of the key\n".to_owned()]);
        assert_eq!(scrubber.scrub("x second line of the key y"), "x (secret) y");
        assert_eq!(scrubber.scrub(r#""first line of the key\nsecond line of the key\n""#), "\"(secret)\"");
    }
}
