//! An error in a source, in a sentence with its place.

use std::fmt;

/// Something in a source that does not apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The source: a file's path, or what else names it.
    pub file: String,
    /// Where in it, unless it is about the whole.
    pub place: Option<Place>,
    /// As `update.auto`, if it is about one key; in a cloud-config the key that stands there.
    pub key: Option<String>,
    /// What is wrong.
    pub what: String,
    /// What would be right; empty if `what` says it.
    pub expected: String,
}

/// A place in a text, both counted from 1; columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its line.
    pub line: usize,
    /// Its column.
    pub column: usize,
}

impl fmt::Display for Problem {
    /// `FILE:LINE:COLUMN: KEY: what is wrong, expected …`, in one line: a key may be any text, also one that moves a terminal's
    /// cursor or looks like the next line of a log.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.place.map(|Place { line, column }| format!(":{line}:{column}"));
        let key = self.key.as_ref().map(|key| format!(": {key}"));
        let expected = Some(&self.expected).filter(|expected| !expected.is_empty());
        let expected = expected.map(|expected| format!(", expected {expected}"));
        let [place, key, expected] = [place, key, expected].map(Option::unwrap_or_default);
        for letter in format!("{}{place}{key}: {}{expected}", self.file, self.what).chars() {
            if letter.is_control() {
                write!(formatter, "{}", letter.escape_default())?;
            } else {
                write!(formatter, "{letter}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_line_whatever_the_key() {
        let place = Some(Place { line: 1, column: 2 });
        let problem = Problem {
            file: "f".to_owned(),
            place,
            key: Some("a\nb\u{1b}[2J".to_owned()),
            what: "is ä".to_owned(),
            expected: "b".to_owned(),
        };
        assert_eq!(problem.to_string(), "f:1:2: a\\nb\\u{1b}[2J: is ä, expected b");
        let whole = Problem { place: None, key: None, expected: String::new(), ..problem };
        assert_eq!(whole.to_string(), "f: is ä");
    }
}
