//! Contexts: which nodes, and who one is there. `config.toml` in the user's folder.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::{address::Address, folder::Folder};

/// The file.
pub(crate) const FILE: &str = "config.toml";

/// What is in it.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Which of the contexts holds if none is named.
    context: Option<String>,
    #[serde(default)]
    contexts: BTreeMap<String, Context>,
}

/// Which nodes, and who one is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Context {
    /// The nodes that commands are for if `--node` names none.
    #[serde(default)]
    nodes: Vec<String>,
    /// The certificate, and its key; from the folder of the file on.
    certificate: PathBuf,
    key: PathBuf,
}

/// What a command uses: from the command line, else from the context.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) nodes: Vec<Address>,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// The nodes `nodes`, or those of the context; as whom that context says.
///
/// # Errors
/// If there is no such context, or something in it does not fit.
pub(crate) fn choose(folder: &Folder, name: Option<&str>, nodes: &[String]) -> Result<Chosen> {
    let file = folder.path(FILE);
    let Some(text) = folder.read(FILE)? else {
        bail!(
            "there is no {}; ballast ca init and ballast ca issue NAME make certificates and that file",
            file.display()
        )
    };
    let context = read(&text, name).with_context(|| format!("reading {}", file.display()))?;
    let nodes = if nodes.is_empty() { &context.nodes } else { nodes };
    if nodes.is_empty() {
        bail!("the context has no nodes; name them with --node, or in {}", file.display());
    }
    let nodes: Result<Vec<Address>, String> = nodes.iter().map(|node| node.parse()).collect();
    Ok(Chosen {
        nodes: nodes.map_err(anyhow::Error::msg)?,
        certificate: folder.path(context.certificate),
        key: folder.path(context.key),
    })
}

fn read(text: &str, name: Option<&str>) -> Result<Context> {
    let Config { context, mut contexts } = toml::from_str(text).map_err(|error| anyhow::anyhow!("{error}"))?;
    let named = name.map(str::to_owned).or(context);
    let names = || contexts.keys().cloned().collect::<Vec<_>>().join(", ");
    let name = match named {
        Some(name) => name,
        None if contexts.len() == 1 => names(),
        None => bail!("nothing says which context; use --context with one of {}, or context = \"NAME\"", names()),
    };
    let known = names();
    contexts.remove(&name).with_context(|| format!("there is no context {name:?}, expected one of {known}"))
}

/// A file with one context, for `certificate` and `key`.
pub(crate) fn first(certificate: &str, key: &str) -> String {
    format!(
        "# Which nodes, and who you are there. --context NAME chooses another than this one.\n\
         context = \"default\"\n\n\
         [contexts.default]\n\
         nodes = []\n\
         certificate = {certificate:?}\n\
         key = {key:?}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "context = \"a\"\n[contexts.a]\nnodes = [\"n1\", \"n2:1\"]\ncertificate = \"a.pem\"\nkey = \"a-key.pem\"\n\
                       [contexts.b]\ncertificate = \"/b.pem\"\nkey = \"/b-key.pem\"\n";

    fn chosen(text: &str, name: Option<&str>, nodes: &[&str]) -> Result<(String, PathBuf), String> {
        let tree = tempfile::tempdir().unwrap();
        let folder = Folder::at(tree.path());
        folder.create(FILE, text).unwrap();
        let nodes: Vec<String> = nodes.iter().map(|node| (*node).to_owned()).collect();
        let chosen = choose(&folder, name, &nodes).map_err(|error| format!("{error:#}"))?;
        let nodes: Vec<String> = chosen.nodes.iter().map(ToString::to_string).collect();
        let key = chosen.key.strip_prefix(tree.path()).map_or(chosen.key.clone(), PathBuf::from);
        Ok((nodes.join(" "), key))
    }

    #[test]
    fn the_command_line_counts_more_than_the_file() {
        assert_eq!(chosen(TWO, None, &[]), Ok(("n1:9600 n2:1".to_owned(), "a-key.pem".into())));
        assert_eq!(chosen(TWO, None, &["n3"]), Ok(("n3:9600".to_owned(), "a-key.pem".into())));
        assert_eq!(chosen(TWO, Some("b"), &["n3"]), Ok(("n3:9600".to_owned(), "/b-key.pem".into())));
        assert_eq!(chosen(&first("c.pem", "k.pem"), None, &["n"]), Ok(("n:9600".to_owned(), "k.pem".into())));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let second = TWO.replace("context = \"a\"\n", "");
        for (text, name, expected) in [
            (TWO, Some("c"), "there is no context \"c\", expected one of a, b"),
            (TWO, Some("b"), "the context has no nodes; name them with --node"),
            (&second, None, "nothing says which context; use --context with one of a, b"),
            ("contexts = 1", None, "invalid type"),
            ("[contexts.a]\nnode = []", None, "unknown field `node`"),
        ] {
            let message = chosen(text, name, &[]).unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
        let message = choose(&Folder::at("/nowhere"), None, &[]).unwrap_err().to_string();
        assert!(message.contains("ballast ca init"), "{message}");
    }
}
