//! Settings that the manual shows, as the settings' reader takes them.

use ballast_settings::{Rank, Source, edit};

/// What stands in the manual where an operator's own text belongs, and a text of that kind.
const PLACEHOLDERS: [(&str, &str); 5] = [
    ("certificate = \"PEM\"", "certificate = '''\n-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----'''"),
    ("key = \"PEM\"", "key = '''\n-----BEGIN PRIVATE KEY-----\nMAMCAQE=\n-----END PRIVATE KEY-----'''"),
    ("-----BEGIN CERTIFICATE-----\n…\n", "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n"),
    ("sha256:…", "sha256:0000000000000000000000000000000000000000000000000000000000000000"),
    ("5A12…", "5A12"),
];

fn filled(text: &str) -> String {
    PLACEHOLDERS.iter().fold(text.to_owned(), |text, (placeholder, own)| text.replace(placeholder, own))
}

/// What does not apply of the document `text`.
pub(crate) fn problems(text: &str) -> Vec<String> {
    let text = filled(text);
    let (_, problems) = ballast_settings::settings(&[Source::new("block", Rank::Node, text.as_bytes())]);
    problems.iter().map(ToString::to_string).collect()
}

/// What is wrong with `ballast settings set KEY VALUE…`.
pub(crate) fn set(key: &str, values: &[&str]) -> Vec<String> {
    let value = match values {
        [one] => filled(one),
        several => format!("[{}]", several.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>().join(", ")),
    };
    edit::set("", key, &value, &[]).err().map(|error| error.to_string()).into_iter().collect()
}

/// What is wrong with the key of `ballast settings get`, `unset`.
pub(crate) fn key(key: &str) -> Vec<String> {
    edit::get("", key).err().map(|error| error.to_string()).into_iter().collect()
}
