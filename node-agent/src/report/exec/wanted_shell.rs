//! Which shell: its toolbox, its time, and what runs in it.

use serde::{Deserialize, Serialize};

use super::wanted::append_process;

/// What runs in a shell if nobody says.
const USUAL: [&str; 2] = ["bash", "-l"];

/// A shell is open for so long if nobody says, and never for longer.
pub const USUAL_SECS: u64 = 30 * 60;
const MOST_SECS: u64 = 8 * 3600;

/// A shell on the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shell {
    /// The toolbox; None: the one of the settings.
    #[serde(default)]
    pub image: Option<String>,
    /// How long it is open at most.
    pub secs: u64,
    /// Whether the command reads what the client says.
    #[serde(default)]
    pub stdin: bool,
    /// Whether it has a terminal.
    #[serde(default)]
    pub tty: bool,
    /// The program and its arguments. (`command` says in a line of JSON what is asked for.)
    #[serde(rename = "words")]
    pub command: Vec<String>,
}

/// `image=REFERENCE`, `secs=NUMBER`, `stdin=true`, `tty=true`, and a `command=` for each word.
///
/// # Errors
/// In a sentence, if a key is none of these or a value does not fit.
pub fn of_query(query: &str) -> Result<Shell, String> {
    let mut shell = Shell { image: None, secs: USUAL_SECS, stdin: false, tty: false, command: Vec::new() };
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        let value = value.into_owned();
        let wrong = |expected: &str| format!("{key}={value} does not fit, expected {expected}");
        let switch = || value.parse::<bool>().map_err(|_| wrong("true or false"));
        match &*key {
            "image" => shell.image = Some(value),
            "secs" => {
                let secs = value.parse().ok().filter(|secs| (1..=MOST_SECS).contains(secs));
                shell.secs = secs.ok_or_else(|| wrong("1 to 28800 seconds"))?;
            }
            "stdin" => shell.stdin = switch()?,
            "tty" => shell.tty = switch()?,
            "command" => shell.command.push(value),
            _ => return Err(format!("there is no {key:?}, expected one of image, secs, stdin, tty, command")),
        }
    }
    if shell.command.is_empty() {
        shell.command = USUAL.map(str::to_owned).to_vec();
    }
    Ok(shell)
}

/// The query that [`of_query`] reads.
pub fn query(shell: &Shell) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if let Some(image) = &shell.image {
        query.append_pair("image", image);
    }
    query.append_pair("secs", &shell.secs.to_string());
    append_process(&mut query, shell.stdin, shell.tty, &shell.command);
    query.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_as_it_was_written() {
        let text = "image=r.example%3A5000%2Ft%3A1&secs=60&stdin=true&tty=true&command=sh&command=-c&command=a+b";
        assert_eq!(query(&of_query(text).unwrap()), text);
        let usual = of_query("").unwrap();
        assert_eq!((usual.secs, usual.command), (1800, vec!["bash".to_owned(), "-l".to_owned()]));
        for (query, expected) in [
            ("secs=0", "secs=0 does not fit, expected 1 to 28800"),
            ("secs=28801", "secs=28801 does not fit"),
            ("tty=yes", "tty=yes does not fit, expected true or false"),
            ("user=0", "there is no \"user\", expected one of image, "),
        ] {
            let error = of_query(query).unwrap_err();
            assert!(error.starts_with(expected), "{query}: {error}");
        }
    }
}
