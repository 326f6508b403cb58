//! What nobody may see.

use std::fmt;

use serde::{Serialize, Serializer};

use super::Text;

/// In place of a secret.
const MASK: &str = "(secret)";

/// A password or token. It is never shown: only [`Secret::reveal`] gives it, to what writes it where it is used.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// What only looks like one, so that it can stand among others.
    pub(crate) fn of(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl Text for Secret {
    const EXPECTED: &'static str = "a password or token in one line";

    fn parse(text: &str) -> Result<Self, String> {
        // The text itself is in no error.
        if text.is_empty() {
            return Err("is empty".to_owned());
        }
        if text.chars().any(char::is_control) {
            return Err("has a line break or another control character in it".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::parse("s3cret").unwrap();
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "(secret) (secret) Some((secret))");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"(secret)\"");
        assert_eq!(secret.reveal(), "s3cret");
        let error = Secret::parse("s3cret\nline").unwrap_err();
        assert!(!error.contains("s3cret"), "{error}");
    }
}
