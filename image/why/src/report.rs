//! What is written down: files.tsv (kept), removed.tsv, and one file's reason as a sentence.

use std::{collections::BTreeMap, fmt::Write as _};

use anyhow::{Context, Result, bail};

use crate::closure::Reason;

/// A line of files.tsv or removed.tsv.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Without the slash in front.
    pub path: String,
    /// 0 for links.
    pub bytes: u64,
    /// Package or folder.
    pub source: String,
    /// Why it is kept; `None` if it was removed.
    pub reason: Option<Reason>,
}

/// One row per line: path, bytes, source, needed by, reason.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    for Row { path, bytes, source, reason } in rows {
        let (by, why) = reason.as_ref().map_or(("", ""), |reason| (&reason.by, &reason.text));
        let _ = writeln!(text, "{path}\t{bytes}\t{source}\t{by}\t{why}");
    }
    text
}

/// Reads what [`table`] wrote.
pub fn parse(text: &str) -> Result<BTreeMap<String, Row>> {
    let rows = text.lines().enumerate().map(|(at, line)| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [path, bytes, source, by, why] = fields[..] else { bail!("line {}: not five fields", at + 1) };
        let reason = (!why.is_empty()).then(|| Reason { by: by.to_owned(), text: why.to_owned() });
        let bytes = bytes.parse().with_context(|| format!("line {}: {bytes:?} is not a size", at + 1))?;
        Ok((path.to_owned(), Row { path: path.to_owned(), bytes, source: source.to_owned(), reason }))
    });
    rows.collect()
}

/// Longer chains than this are circles.
const CHAIN: usize = 20;

/// Why a file is there, back to the list that says so.
pub fn sentence(rows: &BTreeMap<String, Row>, path: &str) -> Option<String> {
    let row = rows.get(path)?;
    let mut text = format!("/{path} ({} bytes, {})", row.bytes, row.source);
    let Some(mut reason) = row.reason.as_ref() else {
        return Some(format!("{text} was taken out: nothing that the image keeps needs it."));
    };
    let _ = write!(text, " is {}", reason.text);
    for _ in 0..CHAIN {
        let Some(next) = rows.get(&reason.by).and_then(|row| row.reason.as_ref()) else { break };
        let _ = write!(text, ", which is {}", next.text);
        reason = next;
    }
    Some(format!("{text}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(path: &str, by: &str, text: &str) -> Row {
        let reason = (!text.is_empty()).then(|| Reason { by: by.to_owned(), text: text.to_owned() });
        Row { path: path.to_owned(), bytes: 7, source: "package x".to_owned(), reason }
    }

    #[test]
    fn a_sentence_goes_back_to_the_list() {
        let rows = [
            row("usr/bin/ip", "", "a command: the network is looked at with it"),
            row("usr/lib/libmnl.so", "usr/bin/ip", "a library of usr/bin/ip"),
            row("usr/bin/old", "", ""),
        ];
        let read = parse(&table(&rows)).unwrap();
        assert_eq!(read.values().cloned().collect::<Vec<_>>().len(), 3);
        assert_eq!(
            sentence(&read, "usr/lib/libmnl.so").unwrap(),
            "/usr/lib/libmnl.so (7 bytes, package x) is a library of usr/bin/ip, which is a command: the network is looked at with it."
        );
        assert!(sentence(&read, "usr/bin/old").unwrap().contains("was taken out"));
        assert_eq!(sentence(&read, "usr/bin/none"), None);
        assert!(parse("a\tb\n").is_err());
    }
}
