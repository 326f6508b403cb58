//! `budget.toml`: read with the line of each figure, and written without touching anything but the numbers.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use toml::Spanned;

use super::figure::{Figure, grouped};
use super::measure::Measured;

/// Where it lies; the name that sentences use.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/budget.toml");
pub(super) const NAME: &str = "qemu-tests/bench/budget.toml";

/// What is allowed.
#[derive(Debug)]
pub struct Budget {
    text: String,
    entries: BTreeMap<Figure, Entry>,
}

/// What one figure is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it was when somebody last said so
    pub recorded: u64,
    /// What it shall never exceed
    pub limit: u64,
    /// Its line in budget.toml, from 1
    pub line: usize,
    place: Range<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    recorded: Spanned<u64>,
    limit: u64,
}

impl Budget {
    /// Reads the budget of this repository.
    ///
    /// # Errors
    /// When it is not there, or a figure is missing, unknown or not a number.
    pub fn load() -> Result<Self> {
        let text = std::fs::read_to_string(FILE).with_context(|| format!("reading {NAME}"))?;
        Self::parse(text).with_context(|| format!("reading {NAME}"))
    }

    pub(super) fn parse(text: String) -> Result<Self> {
        let raw: BTreeMap<Figure, Raw> = toml::from_str(&text)?;
        if let Some(missing) = Figure::ALL.iter().find(|figure| !raw.contains_key(figure)) {
            bail!("there is no {}; add a line as the others have", missing.key());
        }
        let entry = |Raw { recorded, limit }: Raw| {
            let place = recorded.span();
            let line = text[..place.start].matches('\n').count() + 1;
            Entry { recorded: recorded.into_inner(), limit, line, place }
        };
        let entries = raw.into_iter().map(|(figure, raw)| (figure, entry(raw))).collect();
        Ok(Self { text, entries })
    }

    /// What `figure` is allowed.
    pub fn entry(&self, figure: Figure) -> &Entry {
        // parse() lets no budget through that lacks one.
        &self.entries[&figure]
    }

    /// The file's text with what was measured in place of what was recorded.
    fn recording(&self, measured: &Measured) -> String {
        let mut places: Vec<_> = Figure::ALL.iter().map(|&figure| (&self.entry(figure).place, figure)).collect();
        places.sort_by_key(|(place, _)| std::cmp::Reverse(place.start));
        let mut text = self.text.clone();
        for (place, figure) in places {
            text.replace_range(place.clone(), &grouped(measured.of(figure)));
        }
        text
    }

    /// Writes what was measured into the repository's file, as recorded; comments and limits stay.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn record(&self, measured: &Measured) -> Result<()> {
        std::fs::write(Path::new(FILE), self.recording(measured)).with_context(|| format!("writing {NAME}"))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// All figures recorded at 1000, limited to 2000; a comment and then a line each.
    pub(in crate::budget) fn text() -> String {
        let lines = Figure::ALL.map(|figure| format!("{} = {{ recorded = 1_000, limit = 2_000 }}\n", figure.key()));
        format!("# a comment\n{}", lines.concat())
    }

    #[test]
    fn the_repositorys_own_budget_is_whole() {
        let budget = Budget::load().unwrap();
        for figure in Figure::ALL {
            let entry = budget.entry(figure);
            let line = budget.text.lines().nth(entry.line - 1).unwrap();
            assert!(line.starts_with(figure.key()), "{line}");
            assert!(entry.recorded > 0 && entry.limit > 0, "{line}");
        }
    }

    #[test]
    fn what_is_missing_or_unknown_is_reported() {
        let lacking = text().replace("packages = { recorded = 1_000, limit = 2_000 }\n", "");
        let error = format!("{:#}", Budget::parse(lacking).unwrap_err());
        assert!(error.contains("there is no packages"), "{error}");
        for (from, to, says) in [
            ("packages", "pakcages", "unknown variant `pakcages`"),
            ("limit", "limits", "unknown field `limits`"),
            ("1_000", "-1", "invalid value"),
        ] {
            let error = format!("{:#}", Budget::parse(text().replace(from, to)).unwrap_err());
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn recording_changes_the_numbers_only() {
        let budget = Budget::parse(text()).unwrap();
        let measured = Measured::with(|figure| if figure == Figure::Packages { 12 } else { 1_000 });
        let expected = text().replace("packages = { recorded = 1_000", "packages = { recorded = 12");
        assert_eq!(budget.recording(&measured), expected);
        assert_eq!(budget.entry(Figure::ReadyInstructions).line, 2);
    }
}
