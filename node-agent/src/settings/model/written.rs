//! What the settings wrote in this boot: the one list by which it is known which files are ours, without their content.

use std::collections::{BTreeMap, BTreeSet};

use ballast_settings::render::{Change, Content, Needs, Rendered, needs};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The files that are ours, and what is begun and not done yet, so that after an error or a crash the rest is done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Written {
    /// By their paths. Also those that may be there by now, or in part.
    pub files: BTreeMap<String, WrittenFile>,
    /// The sysctls that the settings name, by their paths below /proc/sys.
    pub sysctls: BTreeSet<String>,
    /// What nobody has done yet.
    pub pending: PendingActions,
}

/// A file that is ours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WrittenFile {
    /// Of what it holds, and of its mode; none as long as that is not known.
    pub checksum: Option<String>,
    /// What it takes for its removal to hold.
    pub removal: PendingActions,
    /// Whether its removal holds from the next boot on.
    pub removal_needs_reboot: bool,
}

/// What a change needs, once its file is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PendingActions {
    /// The kernel has to be given the machine's name.
    pub hostname: bool,
    /// Units to be reloaded, if they run; none that is restarted.
    pub reload: BTreeSet<String>,
    /// Units to be restarted, if they run.
    pub restart: BTreeSet<String>,
}

impl Written {
    /// What is different in `new`, which is all that is to be there, and what is not in it any more.
    pub fn changes<'a>(&'a self, new: &'a [Rendered]) -> (Vec<Change<'a>>, Vec<(&'a String, &'a WrittenFile)>) {
        let change = |file: &'a Rendered| match self.files.get(&file.path) {
            None => Some(Change::Added(file)),
            Some(known) if known.checksum.as_ref() == Some(&checksum(file)) => None,
            Some(_) => Some(Change::Changed(file)),
        };
        let is_gone = |path: &str| !new.iter().any(|file| file.path == path);
        (new.iter().filter_map(change).collect(), self.files.iter().filter(|(path, _)| is_gone(path)).collect())
    }

    /// Takes in that `file` is about to be written: whether it comes to that is not known.
    pub fn begin(&mut self, file: &Rendered) {
        let Needs { reboot, .. } = needs(&[Change::Removed(file)]);
        let removal = PendingActions::of(needs(&[Change::Removed(file)]));
        let begun = WrittenFile { checksum: None, removal, removal_needs_reboot: reboot };
        self.files.insert(file.path.clone(), begun);
    }

    /// Takes in that `file` is there.
    pub fn done(&mut self, file: &Rendered) {
        self.begin(file);
        if let Some(written) = self.files.get_mut(&file.path) {
            written.checksum = Some(checksum(file));
        }
    }
}

/// Its mode and content as a text that does not show them.
fn checksum(file: &Rendered) -> String {
    let mut sum = Sha256::new();
    match &file.content {
        Content::Bytes(bytes) => {
            sum.update(format!("{:o}\n", file.mode));
            sum.update(bytes);
        }
        Content::Link(target) => {
            sum.update("link\n");
            sum.update(target);
        }
    }
    hex::encode(sum.finalize())
}

impl PendingActions {
    /// Without the boot, which nobody here can do.
    pub fn of(needs: Needs) -> Self {
        let Needs { hostname, reload, restart, reboot: _ } = needs;
        let names = |units: BTreeSet<&str>| units.into_iter().map(str::to_owned).collect();
        Self { hostname, reload: names(reload), restart: names(restart) }
    }

    /// Takes in what something else needs.
    pub fn add(&mut self, other: Self) {
        self.hostname |= other.hostname;
        self.reload.extend(other.reload);
        self.restart.extend(other.restart);
        self.reload.retain(|unit| !self.restart.contains(unit));
    }
}

#[cfg(test)]
mod tests {
    use ballast_settings::{Rank, Source, render::render};

    use super::*;

    fn rendered(text: &str) -> Vec<Rendered> {
        let (settings, problems) = ballast_settings::settings(&[Source::new("f", Rank::Node, text.as_bytes())]);
        assert_eq!(problems, []);
        render(&settings)
    }

    const OLD: &str =
        "hostname = \"a\"\nlog.journal_max_size = \"64MiB\"\n[[registry]]\nhost = \"r.example\"\nusername = \"me\"\n";

    #[test]
    fn changes_are_known_without_what_was_written() {
        let mut written = Written::default();
        rendered(&format!("{OLD}password = \"s3cret\"\n")).iter().for_each(|file| written.done(file));
        let text = serde_json::to_string(&written).unwrap();
        assert!(!text.contains("s3cret") && !format!("{written:?}").contains("s3cret"), "{text}");
        let written: Written = serde_json::from_str(&text).unwrap();

        let same = rendered(&format!("{OLD}password = \"s3cret\"\n"));
        assert_eq!(written.changes(&same), (vec![], vec![]));
        let other = rendered(&format!(
            "time.servers = [\"n.example\"]\n{}password = \"other\"\n",
            OLD.replace("64", "65").replace("\"a\"\nlog", "\"a\"\n#log")
        ));
        let (changes, gone) = written.changes(&other);
        let shown: Vec<String> = changes
            .iter()
            .map(|change| match change {
                Change::Added(file) => format!("+{}", file.path),
                Change::Changed(file) => format!("~{}", file.path),
                Change::Removed(file) => format!("-{}", file.path),
            })
            .collect();
        assert!(shown.contains(&"+/etc/systemd/timesyncd.conf.d/20-ballast.conf".to_owned()), "{shown:?}");
        assert!(shown.contains(&"~/run/containers/0/auth.json".to_owned()), "{shown:?}");
        assert!(!shown.iter().any(|change| change.ends_with("/etc/hostname")), "{shown:?}");
        let [(path, file)] = gone.as_slice() else { panic!("{gone:?}") };
        assert_eq!(path.as_str(), "/etc/systemd/journald.conf.d/20-ballast.conf");
        assert_eq!(Vec::from_iter(&file.removal.restart), ["systemd-journald.service"]);
    }

    #[test]
    fn what_was_begun_is_ours_and_not_taken_for_done() {
        let files = rendered("hostname = \"a\"\n");
        let mut written = Written::default();
        written.begin(&files[0]);
        assert_eq!(written.changes(&files).0, [Change::Changed(&files[0])]);
        assert_eq!(written.changes(&[]).1.len(), 1);
        written.done(&files[0]);
        assert_eq!(written.changes(&files).0, []);
    }
}
