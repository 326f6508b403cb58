//! The difference between two documents.

use similar::TextDiff;

use super::{Refused, mask::Masks, parse};
use crate::schema::KEYS;

/// Lines around each change.
const CONTEXT: usize = 3;

/// A unified diff of two documents, empty if they are the same. Secrets are masked, each with a number of its own;
/// comments are not.
///
/// # Errors
/// If one of them is not TOML: then nobody can say what in it is secret.
pub fn difference(old: &str, new: &str) -> Result<String, Refused> {
    let mut masks = Masks::default();
    let mut mask = |document: &str| {
        let mut document = parse(document)?;
        masks.mask(document.as_table_mut(), KEYS);
        Ok(document.to_string())
    };
    let (old, new) = (mask(old)?, mask(new)?);
    let lines = TextDiff::from_lines(&old, &new);
    Ok(lines.unified_diff().context_radius(CONTEXT).header("settings", "settings, new").to_string())
}
