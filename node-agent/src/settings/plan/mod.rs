//! The settings after a change of the operator's document: a pure function.

pub mod effects;

use ballast_settings::{
    MAX_BYTES, Rank, Source, edit,
    render::{Rendered, needs, render},
};
use sha2::{Digest, Sha256};

use super::model::{Document, Edit, FILE, Failure, PendingActions, Planned, Required, Settings, Written};

/// A change that is right and not yet made. There may be secrets in its document, which is not shown.
pub struct Draft {
    /// The new document.
    pub text: String,
    /// Whether it is another than the old one.
    pub changed: bool,
    /// What all sources say then.
    pub settings: Settings,
    /// What is different then.
    pub planned: Planned,
}

impl std::fmt::Debug for Draft {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { text, changed, settings: _, planned } = self;
        write!(formatter, "Draft({} bytes, changed: {changed}, {planned:?})", text.len())
    }
}

/// What `edit` makes of the document among `documents`, while `written` is what the settings wrote.
///
/// # Errors
/// If it is not right: nothing is to change then.
pub fn draft(documents: &[Document], edit: &Edit, written: &Written) -> Result<Draft, Failure> {
    let old = text(documents);
    let others: Vec<Source<'_>> =
        documents.iter().filter(|document| document.rank != Rank::Node).map(Document::source).collect();
    let text = edited(&old, edit, &others)?;
    if text.len() > MAX_BYTES {
        return Err(Failure::refused(format!(
            "the settings would have more than {} KiB; take something out",
            MAX_BYTES / 1024
        )));
    }
    let changed = old.as_deref() != Ok(text.as_str());
    let node = Source::new(FILE, Rank::Node, text.as_bytes());
    let sources: Vec<Source<'_>> = [node].into_iter().chain(others).collect();
    let (settings, _) = ballast_settings::settings(&sources);
    let needs = required(written, &render(&settings));
    let planned = Planned { difference: difference(old.as_deref(), &text), needs };
    Ok(Draft { changed, settings, planned, text })
}

/// The name of a document's content.
pub fn checksum(text: &[u8]) -> String {
    hex::encode(Sha256::digest(text))
}

/// What it takes to get from what was `written` to `then`.
fn required(written: &Written, then: &[Rendered]) -> Required {
    let (changes, gone) = written.changes(then);
    let needs = needs(&changes);
    let reboot = needs.reboot || gone.iter().any(|(_, file)| file.removal_needs_reboot);
    let mut all = PendingActions::of(needs);
    gone.into_iter().for_each(|(_, file)| all.add(file.removal.clone()));
    let PendingActions { hostname, reload, restart } = all;
    Required { hostname, reload: reload.into_iter().collect(), restart: restart.into_iter().collect(), reboot }
}

/// The operator's document; empty if there is none.
fn text(documents: &[Document]) -> Result<String, Vec<u8>> {
    let node = documents.iter().find(|document| document.rank == Rank::Node);
    let bytes = node.map(|document| document.bytes.clone()).unwrap_or_default();
    String::from_utf8(bytes).map_err(std::string::FromUtf8Error::into_bytes)
}

fn edited(old: &Result<String, Vec<u8>>, edit: &Edit, below: &[Source<'_>]) -> Result<String, Failure> {
    let refused = |error: edit::Refused| Failure::refused(error.to_string());
    let unreadable = |_: &Vec<u8>| {
        Failure::refused(format!(
            "{FILE} is not UTF-8, so nothing in it can be changed; ballast settings apply FILE replaces it"
        ))
    };
    match edit {
        Edit::Set { key, value } => edit::set(old.as_deref().map_err(unreadable)?, key, value, below).map_err(refused),
        Edit::Unset { key } => edit::unset(old.as_deref().map_err(unreadable)?, key, below).map_err(refused),
        Edit::Document { text, instead_of: None } => {
            edit::validate("", text, below).map_err(refused)?;
            Ok(text.clone())
        }
        Edit::Document { text, instead_of: Some(edited) } => {
            let bytes = old.as_ref().map_or_else(|bytes| bytes.as_slice(), String::as_bytes);
            if checksum(bytes) != *edited {
                return Err(Failure::busy("somebody else changed the settings meanwhile; look at them and edit again"));
            }
            edit::validate(old.as_deref().unwrap_or_default(), text, below).map_err(refused)?;
            Ok(text.clone())
        }
    }
}

/// The difference for people; of a document that is no TOML nobody can say what in it is secret.
fn difference(old: Result<&str, &Vec<u8>>, new: &str) -> String {
    let reported = old.ok().and_then(|old| edit::difference(old, new).ok());
    reported
        .unwrap_or_else(|| "the document that is there is not TOML; another takes its place as a whole\n".to_owned())
}

#[cfg(test)]
mod tests {
    use ballast_settings::Kind;

    use super::*;
    use crate::settings::model::FailureKind;

    fn node(text: &[u8]) -> Document {
        Document { name: FILE.to_owned(), rank: Rank::Node, kind: Kind::Settings, bytes: text.to_vec() }
    }

    fn set(key: &str, value: &str) -> Edit {
        Edit::Set { key: key.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn what_is_set_is_checked_with_what_other_sources_say() {
        let cluster = "[[cluster]]\nname = \"prod\"\nservers = [\"https://a.example\"]\nrole = \"kubelet\"\n";
        let credential = Document { rank: Rank::Credential, ..node(cluster.as_bytes()) };
        let wanted = set("cluster.prod.role", "report-only");
        let draft = draft(&[node(b""), credential], &wanted, &Written::default()).unwrap();
        assert_eq!(draft.settings.clusters.first().unwrap().role.name(), "report-only");
        let refused = super::draft(&[node(b"")], &wanted, &Written::default()).unwrap_err();
        assert!(refused.message.contains("names no server"), "{refused:?}");
    }

    #[test]
    fn a_change_reports_what_it_needs_before_it_is_made() {
        let credential =
            Document { rank: Rank::Credential, ..node(b"time.servers = [\"n.example\"]\nhostname = \"a\"") };
        let documents = [node(b"# mine\nhostname = \"b\"\n"), credential];
        let draft = draft(&documents, &set("hostname", "c"), &Written::default()).unwrap();
        assert_eq!((draft.text.as_str(), draft.changed), ("# mine\nhostname = \"c\"\n", true));
        assert_eq!(draft.settings.hostname.unwrap().as_str(), "c");
        let Planned { difference, needs } = draft.planned;
        assert!(difference.contains("-hostname = \"b\"\n+hostname = \"c\"\n"), "{difference}");
        assert!(needs.hostname && !needs.reboot, "{needs:?}");
        assert_eq!(needs.restart, ["systemd-timesyncd.service"]);
    }

    #[test]
    fn what_goes_is_known_from_what_was_written() {
        let old = b"log.journal_max_size = \"64MiB\"\n";
        let (settings, _) = ballast_settings::settings(&[Source::new(FILE, Rank::Node, old)]);
        let mut written = Written::default();
        render(&settings).iter().for_each(|file| written.done(file));
        let unset = Edit::Unset { key: "log".to_owned() };
        let needs = draft(&[node(old)], &unset, &written).unwrap().planned.needs;
        let restart = vec!["systemd-journald.service".to_owned()];
        assert_eq!(needs, Required { restart, ..Required::default() });
    }

    #[test]
    fn what_is_not_right_is_refused() {
        let document = |text: &str, instead_of: Option<&[u8]>| Edit::Document {
            text: text.to_owned(),
            instead_of: instead_of.map(checksum),
        };
        let old: &[u8] = b"hostname = \"no_de\"\n";
        let slip = "hostname = \"no_de\"\nlog.level = \"info\"\n";
        for (old, edit, expected) in [
            (old, set("update.autos", "true"), "did you mean auto?"),
            (old, set("update.auto", "yes"), "expected true or false"),
            (old, document(slip, None), "hostname"),
            (old, document("hostname = \"node\"", Some(b"x")), "somebody else changed"),
            (b"\xff", set("update.auto", "true"), "is not UTF-8"),
        ] {
            let failure = draft(&[node(old)], &edit, &Written::default()).unwrap_err();
            assert!(failure.message.contains(expected), "{failure}");
            let is_busy = expected.starts_with("somebody");
            assert_eq!(failure.kind == FailureKind::Busy, is_busy, "{failure}");
        }
        // What was wrong before may stay wrong, for whoever edits something else.
        assert!(draft(&[node(old)], &document(slip, Some(old)), &Written::default()).is_ok());
    }

    #[test]
    fn a_document_that_nobody_can_read_can_be_replaced() {
        let edit = Edit::Document { text: "hostname = \"a\"\n".to_owned(), instead_of: None };
        for old in [&b"\xff"[..], b"[[["] {
            let draft = draft(&[node(old)], &edit, &Written::default()).unwrap();
            assert!(draft.planned.difference.contains("takes its place as a whole"));
        }
        let same = draft(&[node(b"hostname = \"a\"\n")], &edit, &Written::default()).unwrap();
        assert!(!same.changed && same.planned.difference.is_empty());
    }
}
