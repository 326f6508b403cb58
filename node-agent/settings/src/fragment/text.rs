//! A source's text, and where in it something stands.

use std::sync::Arc;

use super::limits::MAX_BYTES;
use crate::{
    problem::{Place, Problem},
    tree::Origin,
};

/// The text of a source.
#[derive(Debug)]
pub(super) struct Text<'a> {
    name: Arc<str>,
    pub(super) text: &'a str,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl<'a> Text<'a> {
    /// The text in `bytes`; the problem if they are none.
    pub(super) fn new(name: &str, bytes: &'a [u8]) -> Result<Self, Problem> {
        if bytes.len() > MAX_BYTES {
            let what = format!("it has more than {} KiB; nothing in it applies", MAX_BYTES / 1024);
            return Err(whole(name, &what, ""));
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Self::of(name, text)),
            Err(error) => {
                let (valid, _) = bytes.split_at(error.valid_up_to());
                let before = Self::of(name, std::str::from_utf8(valid).unwrap_or_default());
                let what = "it is not UTF-8 from here on; nothing in it applies";
                Err(before.problem(before.text.len(), what, ""))
            }
        }
    }

    /// A text that is one.
    pub(super) fn of(name: &str, text: &'a str) -> Self {
        // Some editors put a byte order mark in front; it says nothing.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(index, _)| index + 1)).collect();
        Self { name: name.into(), text, lines }
    }

    pub(super) fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// The line and column of the byte at `offset`.
    pub(super) fn place(&self, offset: usize) -> Place {
        let line = self.lines.partition_point(|start| *start <= offset).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        let mut end = offset.min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let before = self.text.get(start..end).unwrap_or_default();
        Place { line, column: before.chars().count() + 1 }
    }

    pub(super) fn origin(&self, offset: usize) -> Origin {
        self.origin_at(Some(self.place(offset)))
    }

    pub(super) fn origin_at(&self, place: Option<Place>) -> Origin {
        Origin { source: Arc::clone(&self.name), place, key: None }
    }

    pub(super) fn problem(&self, offset: usize, what: &str, expected: &str) -> Problem {
        self.origin(offset).problem("", what, expected)
    }
}

/// What is wrong with all of a source.
pub(super) fn whole(name: &str, what: &str, expected: &str) -> Problem {
    Problem { file: name.to_owned(), place: None, key: None, what: what.to_owned(), expected: expected.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_characters() {
        let text = Text::of("f", "\u{feff}ä = 1\r\nb\n");
        let places = [0, 1, 2, 8, 9, 10, 99].map(|offset| text.place(offset)).map(|place| (place.line, place.column));
        assert_eq!(places, [(1, 1), (1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 1)]);
    }
}
