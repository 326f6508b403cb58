//! Documents of one version as documents of another, so that an upgrade and a rollback keep them.
//!
//! A newer release may find what an older one wrote ([`up`]); before a rollback it may leave what the older one reads best
//! ([`down`]). Neither has to be: keys that a release does not know stay in the document and are named.

use toml_edit::{DocumentMut, Item};

use crate::{VERSION, edit::Refused};

/// What is different between a version and the next.
#[derive(Debug, Clone, Copy)]
struct Step {
    /// The older version.
    from: i64,
    /// Makes a document of the next version of one of `from`.
    up: fn(&mut DocumentMut),
    /// The other way round; what the older version cannot say stays as it is.
    down: fn(&mut DocumentMut),
}

/// From version 1 on; there is no other yet.
const STEPS: &[Step] = &[];

/// `document` as one of this release's version.
///
/// # Errors
/// If it is not TOML, or of a version that no step leads from.
pub fn up(document: &str) -> Result<String, Refused> {
    migrate(document, VERSION, STEPS)
}

/// `document` as one of the version `to`.
///
/// # Errors
/// As [`up`].
pub fn down(document: &str, to: i64) -> Result<String, Refused> {
    migrate(document, to, STEPS)
}

fn migrate(text: &str, to: i64, steps: &[Step]) -> Result<String, Refused> {
    let mut document = crate::edit::parse(text)?;
    // A document that does not say its version was written for this release's.
    let written = document.get("version").map_or(Some(VERSION), Item::as_integer);
    let mut version = written.ok_or_else(|| refused("is no number"))?;
    if version == to {
        return Ok(text.to_owned());
    }
    while version != to {
        let is_newer = version < to;
        let step = steps.iter().find(|step| step.from == if is_newer { version } else { version - 1 });
        let step = step.ok_or_else(|| refused(&format!("is {version}, from which nothing leads to {to}")))?;
        (if is_newer { step.up } else { step.down })(&mut document);
        version += if is_newer { 1 } else { -1 };
    }
    document["version"] = toml_edit::value(version);
    Ok(document.to_string())
}

fn refused(what: &str) -> Refused {
    Refused::of(Some("version"), what, &format!("a version up to {VERSION}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Version 0, which there never was, called `update.auto` `auto_update`, at the top.
    const INVENTED: &[Step] = &[Step {
        from: 0,
        up: |document| {
            if let Some(auto) = document.remove("auto_update") {
                document["update"].or_insert(toml_edit::table())["auto"] = auto;
            }
        },
        down: |document| {
            let update = document.get_mut("update").and_then(Item::as_table_like_mut);
            if let Some(auto) = update.and_then(|update| update.remove("auto")) {
                document["auto_update"] = auto;
            }
        },
    }];

    #[test]
    fn u06_documents_go_up_and_down() {
        let old = "version = 0\nauto_update = true # yes\nnew_key = 1\n\n[health]\nnetwork = true\n";
        let new = migrate(old, 1, INVENTED).unwrap();
        assert!(new.starts_with("version = 1\nnew_key = 1\n") && new.contains("[update]\nauto = true"), "{new}");
        assert!(new.contains("[health]\nnetwork = true"), "{new}");
        let back = migrate(&new, 0, INVENTED).unwrap();
        assert!(back.contains("auto_update = true") && back.contains("new_key = 1"), "{back}");
        assert_eq!(
            migrate(&back, 1, INVENTED).unwrap().parse::<DocumentMut>().unwrap()["update"]["auto"].as_bool(),
            Some(true)
        );
        // What is of the right version already keeps every letter.
        assert_eq!(up("# mine\nhostname='a'").unwrap(), "# mine\nhostname='a'");
    }

    #[test]
    fn a_version_from_which_nothing_leads_here_is_reported() {
        for (text, expected) in [
            ("version = 7", "settings: version: is 7, from which nothing leads to 1, expected a version up to 1"),
            ("version = 0", "settings: version: is 0, from which nothing leads to 1"),
            ("version = \"1\"", "settings: version: is no number"),
        ] {
            let reported = up(text).unwrap_err().to_string();
            assert!(reported.starts_with(expected), "{reported}");
        }
        assert!(up("version = [").is_err());
    }
}
