//! Versions, compared.

use std::cmp::Ordering;

/// Orders versions as people read them: runs of digits as numbers, everything else letter by letter (as strverscmp(3)
/// does for versions like ours).
pub fn compare_versions(one: &str, other: &str) -> Ordering {
    parts(one).cmp(&parts(other))
}

/// Pairs of a number and the text behind it; what starts with text has a 0 in front.
fn parts(text: &str) -> Vec<(u64, String)> {
    let mut parts: Vec<(u64, String)> = Vec::new();
    for letter in text.chars() {
        match (letter.to_digit(10), parts.last_mut()) {
            (Some(digit), Some((number, text))) if text.is_empty() => {
                *number = number.saturating_mul(10).saturating_add(u64::from(digit));
            }
            (Some(digit), _) => parts.push((u64::from(digit), String::new())),
            (None, Some((_, text))) => text.push(letter),
            (None, None) => parts.push((0, letter.to_string())),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_as_numbers() {
        for (older, newer) in [
            ("20261121.9", "20261121.10"),
            ("20261121.1", "20261122.1"),
            ("ballast-9-20261122.1-abc", "ballast-10-20261121.1-abc"),
            ("1", "1.1"),
            ("", "0"),
        ] {
            assert_eq!(compare_versions(older, newer), Ordering::Less, "{older} {newer}");
            assert_eq!(compare_versions(newer, older), Ordering::Greater, "{older} {newer}");
            assert_eq!(compare_versions(older, older), Ordering::Equal, "{older}");
        }
    }
}
