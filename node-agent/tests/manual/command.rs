//! Commands: what can be known of each without running it.

use super::{build, settings, top};

/// What is wrong with the commands of `text`. They begin with one of `programs`, or anything if there are none.
pub(crate) fn problems(text: &str, programs: &[&str]) -> Vec<String> {
    let mut problems = Vec::new();
    for Typed { line, document } in typed(text) {
        let found = match shlex::split(&line) {
            None => vec!["its quotes do not match".to_owned()],
            Some(words) => {
                let words: Vec<&str> =
                    words.iter().map(String::as_str).skip_while(|word| is_assignment(word)).collect();
                one(&words, document.as_deref(), programs)
            }
        };
        problems.extend(found.into_iter().map(|problem| format!("{line}: {problem}")));
    }
    problems
}

/// A command, and what it is given on standard input.
struct Typed {
    line: String,
    document: Option<String>,
}

fn typed(text: &str) -> Vec<Typed> {
    let joined = text.replace("\\\n", " ");
    let mut lines = joined.lines();
    let mut all = Vec::new();
    while let Some(line) = lines.next() {
        let (line, document) = match line.split_once("<<") {
            None => (line, None),
            Some((line, end)) => {
                let inner: Vec<&str> = lines.by_ref().take_while(|line| *line != end.trim()).collect();
                (line, Some(inner.join("\n")))
            }
        };
        all.push(Typed { line: line.trim().to_owned(), document });
    }
    all
}

/// `KEY=VALUE` before a program.
fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(key, _)| key.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_'))
}

fn one(words: &[&str], document: Option<&str>, programs: &[&str]) -> Vec<String> {
    let Some((&program, arguments)) = words.split_first() else { return Vec::new() };
    if !programs.is_empty() && !programs.contains(&program) {
        return vec![format!("{program:?} is none of {}", programs.join(", "))];
    }
    match program {
        "ballast" => ballast(words),
        "make" => build::make(arguments),
        "cargo" => build::cargo(arguments),
        "kubectl" => kubectl(arguments, document),
        _ => Vec::new(),
    }
}

/// As `ballast` itself takes it; keys and values as the settings do.
fn ballast(words: &[&str]) -> Vec<String> {
    // An ellipsis stands for more of what is before it.
    let words = words.iter().filter(|word| **word != "…");
    let matches = match ballast::cli::command().try_get_matches_from(words) {
        Ok(matches) => matches,
        Err(error) => return vec![error.to_string().lines().next().unwrap_or_default().to_owned()],
    };
    let Some(("settings", matches)) = matches.subcommand() else { return Vec::new() };
    let Some((verb, matches)) = matches.subcommand() else { return Vec::new() };
    let texts = |name| matches.get_many::<String>(name).into_iter().flatten().map(String::as_str).collect::<Vec<_>>();
    match verb {
        "set" => settings::set(texts("key")[0], &texts("value")),
        "unset" | "get" => settings::key(texts("key")[0]),
        _ => Vec::new(),
    }
}

fn kubectl(arguments: &[&str], document: Option<&str>) -> Vec<String> {
    let mut problems = Vec::new();
    for pair in arguments.windows(2).filter(|pair| pair[0] == "-k") {
        if !top().join(pair[1]).join("kustomization.yaml").exists() {
            problems.push(format!("{} has no kustomization.yaml", pair[1]));
        }
    }
    let patches = arguments.windows(2).filter(|pair| pair[0] == "-p").map(|pair| pair[1]);
    for patch in patches.chain(arguments.iter().filter_map(|word| word.strip_prefix("--patch="))) {
        if let Err(error) = serde_json::from_str::<serde_json::Value>(patch) {
            problems.push(format!("its patch is no JSON: {error}"));
        }
    }
    if let Some(text) = document {
        match serde_saphyr::from_str::<serde_json::Value>(text) {
            Ok(object) if object["apiVersion"].is_string() && object["kind"].is_string() => {}
            Ok(_) => problems.push("its document has no apiVersion or no kind".to_owned()),
            Err(error) => problems.push(format!("its document is no YAML: {error}")),
        }
    }
    problems
}
