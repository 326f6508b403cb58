//! From the file's bytes to settings: pure. One file per table; `reader` takes values out of a table, `values` reads texts.

mod health;
mod reader;
#[cfg(test)]
mod tests;
mod update;
mod values;

use toml::de::DeTable;

use self::reader::{Reader, Source};
use crate::model::{Problem, Settings};

/// The settings in `bytes`, which are those of `file`, and all that is wrong with them.
pub fn settings(file: &str, bytes: &[u8]) -> (Settings, Vec<Problem>) {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let (valid, _) = bytes.split_at(error.valid_up_to());
            let before = std::str::from_utf8(valid).unwrap_or_default();
            let what = "it is not UTF-8 from here on; no setting applies";
            return (Settings::default(), vec![Source::new(file, before).problem(before.len(), None, what, "")]);
        }
    };
    // Some editors put it there; it says nothing.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    let source = Source::new(file, text).with_errors(&errors);
    let mut root = Reader::root(&source, document.get_ref());
    let settings =
        Settings { update: root.table("update", update::update), health: root.table("health", health::health) };
    let mut problems = source.syntax_problems(&errors);
    problems.extend(root.finish());
    problems.sort_by_key(|problem| problem.place.map(|place| (place.line, place.column)));
    (settings, problems)
}
