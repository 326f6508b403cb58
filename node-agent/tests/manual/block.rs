//! The fenced blocks of a page.

/// A block.
pub(crate) struct Block {
    /// `PAGE:LINE`
    pub(crate) place: String,
    /// What stands behind the fence that opens it.
    pub(crate) mark: String,
    /// What is in it, without the indentation of its fence.
    pub(crate) text: String,
}

/// All of them.
pub(crate) fn blocks(page: &str, text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open: Option<usize> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let indent = line.len() - line.trim_start().len();
        match (open, line.trim().strip_prefix("```")) {
            (None, Some(mark)) => {
                open = Some(indent);
                blocks.push(Block {
                    place: format!("{page}:{number}"),
                    mark: mark.trim().to_owned(),
                    text: String::new(),
                });
            }
            (Some(_), Some("")) => open = None,
            (Some(outer), _) => {
                if let Some(block) = blocks.last_mut() {
                    block.text.push_str(line.get(outer.min(indent)..).unwrap_or_default());
                    block.text.push('\n');
                }
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{page}: its last block has no end");
    blocks
}

#[test]
fn blocks_have_marks_and_places() {
    let text = "a\n```sh run\nb\n  c\n```\n1. d\n\n   ```text\n   e\n     f\n   ```\n```\n```\n";
    let found: Vec<_> = blocks("p", text).into_iter().map(|block| (block.place, block.mark, block.text)).collect();
    let expected = [("p:2", "sh run", "b\n  c\n"), ("p:8", "text", "e\n  f\n"), ("p:12", "", "")];
    assert_eq!(found, expected.map(|(place, mark, text)| (place.to_owned(), mark.to_owned(), text.to_owned())));
}
