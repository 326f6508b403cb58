//! `$(NAME)` in commands, arguments and environment values, as Kubernetes expands it.

/// Replaces `$(NAME)` by the value that `env` has for it (the last one counts), and `$$` by `$`. A name that `env` does
/// not have stays as it is written.
pub(super) fn expand(text: &str, env: &[(String, String)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, behind)) = after.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            match env.iter().rev().find(|(key, _)| key == name) {
                Some((_, value)) => out.push_str(value),
                None => out.push_str(&format!("$({name})")),
            }
            rest = behind;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_expanded_once_and_doubled_dollars_halved() {
        let env = [("A".to_owned(), "1".to_owned()), ("B".to_owned(), "$(A)".to_owned())];
        for (text, expected) in
            [("x$(A)y$(A)", "x1y1"), ("$(B)", "$(A)"), ("$(C) $$(A) $A $", "$(C) $(A) $A $"), ("$(A", "$(A"), ("", "")]
        {
            assert_eq!(expand(text, &env), expected, "{text}");
        }
    }
}
