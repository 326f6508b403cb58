//! Any text as a label's value.

/// The longest value that the API takes.
const MOST: usize = 63;

/// `text` as a label's value: what does not fit becomes `_`, what a value may not begin or end with goes. It may be empty.
pub fn value(text: &str) -> String {
    let fits = |letter: char| if letter.is_ascii_alphanumeric() || "-_.".contains(letter) { letter } else { '_' };
    let is_end = |letter: char| !letter.is_ascii_alphanumeric();
    let value: String = text.trim_start_matches(is_end).chars().map(fits).take(MOST).collect();
    value.trim_end_matches(is_end).to_owned()
}

#[cfg(test)]
mod tests {
    use ballast_settings::values::{LabelValue, Text};

    use super::*;

    #[test]
    fn any_text_becomes_a_value() {
        for (text, expected) in [
            ("20261121.1", "20261121.1"),
            ("Debian GNU/Linux 13 (trixie)", "Debian_GNU_Linux_13__trixie"),
            ("1.0+dirty~3", "1.0_dirty_3"),
            ("--v1--", "v1"),
            ("", ""),
            ("???", ""),
            ("zwölf", "zw_lf"),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
        for text in ["a".repeat(64), format!("{}-b", "a".repeat(62)), "ü".repeat(80), "\u{0}\n".to_owned()] {
            assert!(LabelValue::parse(&value(&text)).is_ok(), "{text:?}");
        }
    }
}
