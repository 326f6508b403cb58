//! What is wrong with a source, in a sentence that says where.

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
    /// `FILE:LINE:COLUMN: KEY: what is wrong, expected …`
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.file)?;
        if let Some(Place { line, column }) = self.place {
            write!(formatter, ":{line}:{column}")?;
        }
        if let Some(key) = &self.key {
            write!(formatter, ": {key}")?;
        }
        write!(formatter, ": {}", self.what)?;
        if !self.expected.is_empty() {
            write!(formatter, ", expected {}", self.expected)?;
        }
        Ok(())
    }
}
