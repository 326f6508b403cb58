//! The pattern matching of modules.alias. Pure.

/// fnmatch as modalias patterns need it: `*`, `?`, `[a-z]`.
pub fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', rest @ ..] => (0..=text.len()).any(|skip| glob(rest, &text[skip..])),
        [b'[', rest @ ..] => match (rest.iter().position(|byte| *byte == b']'), text) {
            (Some(end), [first, text @ ..]) => in_set(&rest[..end], *first) && glob(&rest[end + 1..], text),
            _ => false,
        },
        [first, rest @ ..] => match text {
            [byte, text @ ..] => (*first == b'?' || first == byte) && glob(rest, text),
            [] => false,
        },
    }
}

fn in_set(set: &[u8], byte: u8) -> bool {
    match set {
        [low, b'-', high, rest @ ..] => (*low..=*high).contains(&byte) || in_set(rest, byte),
        [one, rest @ ..] => *one == byte || in_set(rest, byte),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, text, expected) in [
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("a*", "a", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abcdef", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("i0[13]*", "i03", true),
            ("i0[13]*", "i02", false),
            ("i0[0-3a]x", "i02x", true),
            ("i0[0-3a]x", "i0ax", true),
            ("i0[0-3", "i02", false),
            ("", "", true),
        ] {
            assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }
}
