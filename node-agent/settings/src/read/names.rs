//! Keys as people write them.

/// From this likeness on (Jaro-Winkler, 0 to 1) a name was probably meant: `singatures` has 0.97, `pods` for `health` 0.
const LIKENESS: f64 = 0.8;

/// The one of `names` that was probably meant by `name`.
pub(crate) fn nearest<'n>(name: &str, names: &[&'n str]) -> Option<&'n str> {
    let name = name.to_lowercase();
    let likeness = |known: &str| strsim::jaro_winkler(&name, &known.to_lowercase());
    let rated = names.iter().map(|known| (likeness(known), *known));
    let (likeness, known) = rated.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    (likeness >= LIKENESS).then_some(known)
}

/// A key as TOML has it: bare where it can be.
pub fn quoted(name: &str) -> String {
    let is_bare = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    if !name.is_empty() && name.chars().all(is_bare) { name.to_owned() } else { format!("{name:?}") }
}

/// `"a", "b" or "c"`
pub(super) fn one_of<'n>(words: impl Iterator<Item = &'n str>) -> String {
    let words: Vec<String> = words.map(|word| format!("{word:?}")).collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some(_) | None => words.join(""),
    }
}
