//! YAML to trees, one for each document of a file; JSON is YAML too. What a scalar means is decided by the field that it is given to, so
//! it stays as it is written.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, options};

use super::ManifestError;

/// A manifest has a few hundred values; an alias counts as all that it stands for.
const MAX_NODES: usize = 50_000;

/// A Pod is a dozen deep.
const MAX_DEPTH: usize = 64;

/// What stands at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    /// From 1.
    pub(super) line: u64,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// Nothing, or `null`.
    Nothing,
    /// A scalar.
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Name, Node)>),
}

/// A key of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) text: String,
    pub(super) line: u64,
}

/// The documents of `text`, without the empty ones, and what made it unreadable from there on.
pub(super) fn documents(text: &str) -> (Vec<Node>, Option<ManifestError>) {
    let options = options! { emit_comments: false, flow_nesting_limit: MAX_DEPTH, block_nesting_limit: MAX_DEPTH };
    let mut builder = Builder::default();
    for event in Parser::new_from_str_with_options(text, options) {
        if let Err(error) = event.map_err(unreadable).and_then(|(event, span)| builder.take(event, span)) {
            return (builder.documents, Some(error));
        }
    }
    (builder.documents, None)
}

fn unreadable(error: ScanError) -> ManifestError {
    problem(line(error.marker().line()), &error.info().replace('\n', ", "))
}

fn problem(line: u64, message: &str) -> ManifestError {
    ManifestError { line: Some(line), key: String::new(), message: message.to_owned() }
}

fn line(line: usize) -> u64 {
    u64::try_from(line).unwrap_or(u64::MAX)
}

/// Puts the parser's events together.
#[derive(Default)]
struct Builder {
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
}

/// A list or mapping that is not complete.
struct Open {
    line: u64,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    /// With the key whose value comes next.
    Map(Vec<(Name, Node)>, Option<Name>),
}

impl Builder {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the parser's events may become more")]
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), ManifestError> {
        let line = line(span.start.line());
        match event {
            Event::DocumentStart(..) => self.anchors.clear(),
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = tag.is_some_and(|tag| tag.suffix() == "str");
                let is_nothing = style == ScalarStyle::Plain && !is_text && is_null(&text);
                let value = if is_nothing { Value::Nothing } else { Value::Text(text.into_owned()) };
                return self.add(Node { line, value }, anchor);
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open.push(Open { line, anchor, content: Content::List(Vec::new()) });
            }
            Event::MappingStart(_, anchor, _) => {
                self.open.push(Open { line, anchor, content: Content::Map(Vec::new(), None) });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open { line, anchor, content }) = self.open.pop() else { return Ok(()) };
                let value = match content {
                    Content::List(items) => Value::List(items),
                    Content::Map(entries, _) => Value::Map(merged(entries)),
                };
                return self.add(Node { line, value }, anchor);
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    return Err(problem(line, "an alias refers to what is around it"));
                };
                let node = Node { line, ..node.clone() };
                self.nodes += size(&node);
                return self.add(node, 0);
            }
            // Starts and ends of streams and documents, comments, and what later versions of the parser may report.
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), ManifestError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(problem(node.line, &format!("the file has more than {MAX_NODES} values")));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None if node.value == Value::Nothing => {}
            None => self.documents.push(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map(entries, next)) => match next.take() {
                Some(name) => entries.push((name, node)),
                None => match node.value {
                    Value::Text(text) => *next = Some(Name { text, line: node.line }),
                    Value::Nothing | Value::List(_) | Value::Map(_) => {
                        return Err(problem(node.line, "expected the name of a field"));
                    }
                },
            },
        }
        Ok(())
    }
}

/// `<<: *defaults`: what the mapping itself has comes first.
fn merged(entries: Vec<(Name, Node)>) -> Vec<(Name, Node)> {
    let is_merge = |(name, node): &(Name, Node)| name.text == "<<" && matches!(node.value, Value::Map(_));
    let (merges, mut own): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_merge);
    for (_, node) in merges {
        let Value::Map(others) = node.value else { continue };
        for (name, node) in others {
            if own.iter().all(|(known, _)| known.text != name.text) {
                own.push((name, node));
            }
        }
    }
    own
}

fn size(node: &Node) -> usize {
    match &node.value {
        Value::Nothing | Value::Text(_) => 1,
        Value::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Map(entries) => 1 + entries.iter().map(|(_, node)| size(node)).sum::<usize>(),
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In short, as `{a:1,b:[x]}`.
    fn shown(node: &Node) -> String {
        match &node.value {
            Value::Nothing => "-".to_owned(),
            Value::Text(text) => text.clone(),
            Value::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(",")),
            Value::Map(entries) => {
                let entry = |(name, node): &(Name, Node)| format!("{}:{}", name.text, shown(node));
                format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(","))
            }
        }
    }

    #[test]
    fn documents_are_read_one_by_one_and_empty_ones_left_out() {
        for (text, expected) in [
            ("", ""),
            ("---\n", ""),
            ("# nothing\n---\n---\n...\n", ""),
            ("a: 1\n---\n", "{a:1}"),
            ("---\na: 010\n---\n# a comment\n---\nb: [x, 'null', null, ~, ]\n", "{a:010} {b:[x,null,-,-]}"),
            ("{\n\t\"a\": 1.50, \"b\": {}}", "{a:1.50,b:{}}"),
            ("x: &x {a: 1, b: 2}\ny: *x\nz:\n  <<: *x\n  b: 3\n", "{x:{a:1,b:2},y:{a:1,b:2},z:{b:3,a:1}}"),
            ("t: |\n  one\n  two\n", "{t:one\ntwo\n}"),
        ] {
            let (documents, error) = documents(text);
            assert_eq!(documents.iter().map(shown).collect::<Vec<_>>().join(" "), expected, "{text:?}");
            assert_eq!(error, None, "{text:?}");
        }
    }

    #[test]
    fn what_comes_before_an_error_is_read() {
        let (documents, error) = documents("a: 1\n---\nb: [\n");
        assert_eq!(documents.iter().map(shown).collect::<Vec<_>>(), ["{a:1}"]);
        assert!(error.is_some_and(|error| error.line >= Some(3)));
    }

    #[test]
    fn aliases_and_depth_have_limits() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..10 {
            let one = format!("*a{}", level - 1);
            bomb += &format!("a{level}: &a{level} [{}]\n", [one.as_str(); 10].join(", "));
        }
        assert!(documents(&bomb).1.is_some_and(|error| error.message.contains("more than 50000 values")));
        assert!(documents(&"[".repeat(1000)).1.is_some());
        assert!(documents("a: &a [*a]").1.is_some());
    }
}
