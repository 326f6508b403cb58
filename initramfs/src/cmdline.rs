//! The kernel command line: the kernel's own quoting rules, and what /init is asked for in it.

use std::fs;

use anyhow::{Context, Result, anyhow};
use ballast_fsverity::Digest;

use crate::deployment::DeploymentId;
use crate::partition::RootSpec;

/// What the boot entry asks of /init.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// `ballast.deployment=COMMIT.SERIAL`: the deployment to boot, and no other.
    pub deployment: DeploymentId,
    /// `ballast.composefs=DIGEST`: the fs-verity digest that its `.ostree.cfs` must have.
    pub composefs: Option<Digest>,
    /// `root=`: which partition holds it.
    pub root: RootSpec,
}

/// Reads the running kernel's command line.
///
/// # Errors
/// If /proc/cmdline cannot be read, or does not say what is needed.
pub fn load_request() -> Result<Request> {
    let line = fs::read_to_string("/proc/cmdline").context("reading /proc/cmdline")?;
    parse_request(&line)
}

/// Takes what concerns /init out of a kernel command line. Of a parameter given twice the last one counts, as it does
/// in the kernel.
///
/// # Errors
/// If `ballast.deployment` is missing, or one of our parameters has a value that makes no sense.
pub fn parse_request(line: &str) -> Result<Request> {
    let (mut deployment, mut composefs, mut root) = (None, None, RootSpec::default());
    for (key, value) in parameters(line) {
        let value = value.unwrap_or("");
        match key {
            "ballast.deployment" => deployment = Some(value.parse().with_context(|| format!("reading {key}={value}"))?),
            "ballast.composefs" => composefs = Some(value.parse().with_context(|| format!("reading {key}={value}"))?),
            "root" => root = value.parse().with_context(|| format!("reading {key}={value}"))?,
            _ => {}
        }
    }
    let deployment = deployment.ok_or_else(|| anyhow!("there is no ballast.deployment=COMMIT.SERIAL on it"))?;
    Ok(Request { deployment, composefs, root })
}

/// Splits a command line into its parameters as the kernel does (lib/cmdline.c, `next_arg`): blanks separate, unless
/// they are between double quotes; quotes around a value or a whole parameter are taken off, others stay. What comes
/// after a lone `--` is for systemd.
pub fn parameters(line: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    words(line).take_while(|word| *word != "--").map(|word| {
        let (word, quoted) = match word.strip_prefix('"') {
            Some(rest) => (rest, true),
            None => (word, false),
        };
        match word.split_once('=') {
            Some((key, value)) => {
                let (value, value_quoted) = match value.strip_prefix('"') {
                    Some(rest) => (rest, true),
                    None => (value, quoted),
                };
                (key, Some(if value_quoted { value.strip_suffix('"').unwrap_or(value) } else { value }))
            }
            None if quoted => (word.strip_suffix('"').unwrap_or(word), None),
            None => (word, None),
        }
    })
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    line.split(move |c: char| {
        if c == '"' {
            quoted = !quoted;
        }
        c.is_ascii_whitespace() && !quoted
    })
    .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_as_the_kernel_does() {
        type Case<'a> = (&'a str, &'a [(&'a str, Option<&'a str>)]);
        let cases: &[Case<'_>] = &[
            ("", &[]),
            ("  quiet\n", &[("quiet", None)]),
            ("a=1 b= c", &[("a", Some("1")), ("b", Some("")), ("c", None)]),
            (r#"a="x y" b"#, &[("a", Some("x y")), ("b", None)]),
            (r#""a=x y" b"#, &[("a", Some("x y")), ("b", None)]),
            (r#""whole thing" b"#, &[("whole thing", None), ("b", None)]),
            (r#"dyndbg="file a.c +p; file b.c +p" z"#, &[("dyndbg", Some("file a.c +p; file b.c +p")), ("z", None)]),
            (r#"a=x"y z"w b"#, &[("a", Some(r#"x"y z"w"#)), ("b", None)]),
            (r#"a="open to the end"#, &[("a", Some("open to the end"))]),
            ("a=b=c", &[("a", Some("b=c"))]),
            ("a=1 -- b=2", &[("a", Some("1"))]),
            (r#"a="-- no end" b"#, &[("a", Some("-- no end")), ("b", None)]),
        ];
        for (line, expected) in cases {
            assert_eq!(parameters(line).collect::<Vec<_>>(), *expected, "{line}");
        }
    }

    const COMMIT: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn takes_what_concerns_init() {
        let request = parse_request(&format!("console=ttyS0 ballast.deployment={COMMIT}.3 panic=10 lsm=a,b")).unwrap();
        assert_eq!(request.deployment.to_string(), format!("{COMMIT}.3"));
        assert_eq!(request.composefs, None);
        assert_eq!(request.root, RootSpec::Label("ballast-root".into()));

        let line = format!(
            "root=/x root=\"PARTLABEL=my root\" ballast.deployment={COMMIT}.0 ballast.deployment={COMMIT}.1 ballast.composefs={COMMIT}"
        );
        assert!(parse_request(&line).is_err(), "each root= is checked");
        let request = parse_request(line.strip_prefix("root=/x ").unwrap()).unwrap();
        assert_eq!(request.root, RootSpec::Label("my root".into()));
        assert_eq!(request.deployment.to_string(), format!("{COMMIT}.1"), "the last one counts");
        assert_eq!(request.composefs.unwrap().to_string(), COMMIT);
    }

    #[test]
    fn says_what_is_wrong() {
        let cases = [
            ("quiet".to_owned(), "there is no ballast.deployment"),
            (format!("-- ballast.deployment={COMMIT}.0"), "there is no ballast.deployment"),
            ("ballast.deployment".to_owned(), "reading ballast.deployment="),
            (format!("ballast.deployment={COMMIT}.0 ballast.composefs=12"), "64 hexadecimal digits"),
            (format!("ballast.deployment={COMMIT}.0 root=/dev/vda2"), "PARTLABEL= or PARTUUID="),
            (format!("ballast.deployment={COMMIT}.0 root=PARTLABEL="), "empty"),
        ];
        for (line, expected) in cases {
            let error = format!("{:#}", parse_request(&line).unwrap_err());
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
