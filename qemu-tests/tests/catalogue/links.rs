//! Links of the manual and the READMEs: each relative one leads to a file that is there.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::{files, top};

/// Where the links of `text` lead that are relative: `](path#anchor)` as path and anchor. Code blocks have none.
fn links(text: &str) -> Vec<(&str, &str)> {
    let prose = text.split("```").step_by(2);
    let after = prose.flat_map(|part| part.split("](").skip(1));
    let targets = after.filter_map(|rest| rest.split(')').next());
    targets
        .filter(|target| !target.is_empty() && !target.contains("://") && !target.contains(' '))
        .map(|target| target.split_once('#').unwrap_or((target, "")))
        .collect()
}

/// The anchors that mdBook, and code hosts, make of the headings of `text`.
fn anchors(text: &str) -> Vec<String> {
    let prose = text.split("```").step_by(2);
    let headings = prose.flat_map(str::lines).filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        words.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, '-' | '_')).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn relative_links_lead_somewhere() -> Result<()> {
    let mut pages = Vec::new();
    files(&top(), "md", &mut pages)?;
    ensure!(pages.len() > 25, "only {} pages were found", pages.len());
    let mut broken = Vec::new();
    for file in pages {
        let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        let beside = file.parent().context("a page without a folder")?;
        for (target, anchor) in links(&text) {
            let page = if target.is_empty() { file.clone() } else { beside.join(target) };
            let is_page = page.extension().is_some_and(|extension| extension == "md");
            let has_anchor = |page: &Path| {
                Ok::<_, std::io::Error>(anchors(&fs::read_to_string(page)?).iter().any(|one| one == anchor))
            };
            if !page.exists() || (!anchor.is_empty() && is_page && !has_anchor(&page)?) {
                broken.push(format!("{}: {target}#{anchor}", file.strip_prefix(top()).unwrap_or(&file).display()));
            }
        }
    }
    ensure!(broken.is_empty(), "links that lead nowhere: {}", broken.join("; "));
    Ok(())
}

#[test]
fn a_link_is_found_wherever_it_stands() {
    let text = "[a](b.md) and [c](../d/e.md#f), [g](https://h.example/)\n```\n[i](j.md)\n```\n![k](l.svg) [m](#n)";
    assert_eq!(links(text), [("b.md", ""), ("../d/e.md", "f"), ("l.svg", ""), ("", "n")]);
}

#[test]
fn headings_have_anchors() {
    let text = "# The agent's `loop`\n\nText\n## What to do when …\n```\n# a remark\n```\n";
    assert_eq!(anchors(text), ["the-agents-loop", "what-to-do-when-"]);
}
