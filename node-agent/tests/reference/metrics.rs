//! The metrics as a page: from the text that the agent serves.

use std::collections::BTreeMap;

use super::cell;

/// A row for each family.
pub(crate) fn page(text: &str) -> String {
    let about = |what: &str| -> BTreeMap<String, String> {
        let pairs = text.lines().filter_map(|line| line.strip_prefix(what)?.split_once(' '));
        pairs.map(|(name, about)| (name.to_owned(), about.to_owned())).collect()
    };
    let (helps, kinds) = (about("# HELP "), about("# TYPE "));
    let mut page =
        "# Metrics\n\nIn Prometheus' text format: `ballast metrics`, or over TLS where `metrics.listen` says.\n\n\
                    | name | type | meaning |\n|---|---|---|\n"
            .to_owned();
    for (name, kind) in &kinds {
        page.push_str(&format!("| `{name}` | {kind} | {} |\n", cell(helps.get(name).map_or("", String::as_str))));
    }
    page
}
