//! What holds for any manifest: it is read without a panic, and nothing in it is silently dropped.

use super::{
    golden::{CASES, UPSTREAM},
    *,
};

fn texts() -> impl Iterator<Item = (&'static str, String)> {
    let cases = CASES.into_iter().map(|(name, text, _)| (name, text.replace("DIGEST", &"0a".repeat(32))));
    cases.chain(UPSTREAM.into_iter().map(|((name, text), _)| (name, text.to_owned())))
}

/// How far a line is indented, where a list's item is as far as what stands in it.
fn depth(line: &str) -> usize {
    line.find(|letter: char| letter != ' ' && letter != '-').unwrap_or(line.len())
}

/// Whether the line `index`, or what it is in, is reported to be without effect; the lines count from 1.
fn is_reported(lines: &[&str], index: usize, notes: &[u64]) -> bool {
    let mut around = depth(lines[index]);
    for (above, text) in lines[..=index].iter().enumerate().rev() {
        if text.starts_with("---") {
            break;
        }
        if depth(text) < around {
            around = depth(text);
            if notes.contains(&u64::try_from(above + 1).unwrap()) {
                return true;
            }
        }
    }
    // Of a whole document it is reported where its kind stands.
    let first = lines[..=index].iter().rposition(|text| text.starts_with("---")).map_or(0, |at| at + 1);
    let count = lines[first..].iter().position(|text| text.starts_with("---")).unwrap_or(lines.len() - first);
    let kind = lines[first..first + count].iter().position(|text| text.starts_with("kind:"));
    kind.is_some_and(|kind| notes.contains(&u64::try_from(first + kind + 1).unwrap()))
}

/// Whether the block of the line is one of texts by any name.
fn is_of_texts(lines: &[&str], index: usize) -> bool {
    let own = depth(lines[index]);
    let above = lines[..index].iter().rev().find(|text| depth(text) < own);
    above.is_some_and(|text| {
        let name = text.trim_start_matches([' ', '-']);
        ["labels:", "annotations:", "data:", "stringData:", "matchLabels:"].iter().any(|key| name.starts_with(key))
            || name.ends_with('|')
            || name.ends_with("|-")
    })
}

#[test]
fn no_field_is_silently_dropped() {
    let mut tried = 0;
    for (name, text) in texts() {
        let lines: Vec<&str> = text.lines().collect();
        let is_field = |line: &&str| {
            let word = line.trim_start_matches([' ', '-']).split_once(':').map_or("", |(word, _)| word);
            !word.is_empty() && word.bytes().all(|letter| letter.is_ascii_alphanumeric())
        };
        for (index, line) in lines.iter().enumerate().filter(|(_, line)| is_field(line)) {
            if is_of_texts(&lines, index) {
                continue;
            }
            // Behind the line, so that it stands in the same mapping; what the line begins stays together.
            let with = format!("{}unheardOf: 1", " ".repeat(depth(line)));
            let end = lines[index + 1..]
                .iter()
                .position(|next| depth(next) <= depth(line))
                .map_or(lines.len(), |at| index + 1 + at);
            let is_folded = |next: &&str| depth(next) == depth(line) && next.trim_start().starts_with('-');
            if lines.get(end).is_some_and(is_folded) && line.ends_with(':') {
                continue;
            }
            let changed = [&lines[..end], &[with.as_str()], &lines[end..]].concat();
            let found = read(name, &changed.join("\n"));
            tried += 1;
            let is_refused = found.problems.iter().any(|problem| {
                problem.key.ends_with("unheardOf") || problem.message.contains("unheardOf") || problem.key.is_empty()
            });
            let pods = found.pods.iter().flat_map(|pod| &pod.notes);
            let of_pods = pods.filter_map(|note| note.split(':').next()?.parse().ok());
            // What is around it may be refused as a whole, or reported to be without effect.
            let others = found.problems.iter().chain(&found.notes).filter_map(|other| other.line);
            let reported: Vec<u64> = others.chain(of_pods).collect();
            assert!(
                is_refused || is_reported(&changed, end, &reported),
                "{name}:{}: {line}\n{:#?}\n{reported:?}",
                end + 1,
                found.problems
            );
        }
    }
    assert!(tried > 300, "{tried}");
}

/// Words of manifests at random, in the forms that YAML has.
#[test]
fn any_text_is_read() {
    const SEEDS: u64 = 400;
    let words: Vec<String> = texts()
        .flat_map(|(_, text)| {
            text.split_whitespace()
                .map(|word| word.trim_matches(['{', '}', '[', ']', ',']).to_owned())
                .collect::<Vec<_>>()
        })
        .collect();
    for seed in 0..SEEDS {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut text = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n".to_owned();
        for _ in 0..random.usize(..60) {
            let word = &words[random.usize(..words.len())];
            let end = ["\n", ": ", ":\n", " {", "}\n", " [", "]\n", ", ", "\n---\n"][random.usize(..9)];
            let start = ["", "- ", "  - "][random.usize(..3)];
            text.push_str(&format!("{}{start}{word}{end}", " ".repeat(random.usize(..5))));
        }
        let found = read("f.yaml", &text);
        let is_something = !found.pods.is_empty() || !found.problems.is_empty() || !found.notes.is_empty();
        assert!(is_something, "seed {seed}:\n{text}");
    }
}
