//! The difference between two renderings, and what it needs (reload, restart, reboot).

use std::{cmp::Ordering, collections::BTreeSet};

use super::{Reload, Rendered};

/// One file that is different.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// It was not there.
    Added(&'a Rendered),
    /// It is another; this is the new one.
    Changed(&'a Rendered),
    /// It is there no more; this is the old one.
    Removed(&'a Rendered),
}

impl<'a> Change<'a> {
    /// The file.
    pub const fn file(self) -> &'a Rendered {
        match self {
            Self::Added(file) | Self::Changed(file) | Self::Removed(file) => file,
        }
    }
}

/// What has to be done, in the order of the fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// The kernel has to be given the machine's name.
    pub hostname: bool,
    /// Units to be reloaded, if they run; none that is restarted.
    pub reload: BTreeSet<&'static str>,
    /// Units to be restarted, if they run; never the agent.
    pub restart: BTreeSet<&'static str>,
    /// Something holds from the next boot on.
    pub reboot: bool,
}

/// What is different in `new`, in the order of the paths. Both are as [`super::render`] gives them.
pub fn diff<'a>(old: &'a [Rendered], new: &'a [Rendered]) -> Vec<Change<'a>> {
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    let mut changes = Vec::new();
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return changes,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => old.path.cmp(&new.path),
        };
        changes.extend(match order {
            Ordering::Less => old.next().map(Change::Removed),
            Ordering::Greater => new.next().map(Change::Added),
            Ordering::Equal => {
                old.next().zip(new.next()).filter(|(old, new)| old != new).map(|(_, new)| Change::Changed(new))
            }
        });
    }
}

/// What `changes` need.
pub fn needs(changes: &[Change<'_>]) -> Needs {
    let mut needs = Needs::default();
    for change in changes {
        match change.file().then {
            Reload::ReloadOrReboot(unit) => {
                needs.reload.insert(unit);
                needs.reboot |= !matches!(change, Change::Added(_));
            }
            Reload::Nothing => {}
            Reload::SetHostname => needs.hostname = true,
            Reload::Reboot => needs.reboot = true,
            Reload::Reload(unit) => {
                needs.reload.insert(unit);
            }
            Reload::Restart(unit) => {
                needs.restart.insert(unit);
            }
        }
    }
    needs.reload.retain(|unit| !needs.restart.contains(unit));
    needs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Rank, Source, model::Settings, render::render};

    fn settings(text: &str) -> Settings {
        let (settings, problems) = crate::settings(&[Source::new("f", Rank::Node, text.as_bytes())]);
        assert_eq!(problems, []);
        settings
    }

    /// `+path`, `~path`, `-path` for what is different, and what it needs.
    fn change(old: &str, new: &str) -> (Vec<String>, Needs) {
        let (old, new) = (render(&settings(old)), render(&settings(new)));
        let changes = diff(&old, &new);
        let reported = changes.iter().map(|change| match change {
            Change::Added(file) => format!("+{}", file.path),
            Change::Changed(file) => format!("~{}", file.path),
            Change::Removed(file) => format!("-{}", file.path),
        });
        (reported.collect(), needs(&changes))
    }

    #[test]
    fn only_what_changed_is_done() {
        let same = "hostname = \"a\"\n[time]\nservers = [\"n.example\"]";
        assert_eq!(change(same, same), (vec![], Needs::default()));
        let (reported, needs) = change(same, "hostname = \"b\"\n[log]\njournal_max_size = \"64MiB\"");
        let expected = [
            "~/etc/hostname",
            "+/etc/systemd/journald.conf.d/20-ballast.conf",
            "-/etc/systemd/timesyncd.conf.d/20-ballast.conf",
        ];
        assert_eq!(reported, expected);
        let restart = ["systemd-journald.service", "systemd-timesyncd.service"].into();
        assert_eq!(needs, Needs { hostname: true, restart, ..Needs::default() });
    }

    #[test]
    fn credentials_of_a_registry_restart_the_runtime() {
        let registry =
            |password| format!("[[registry]]\nhost = \"r.example\"\nusername = \"me\"\npassword = \"{password}\"");
        let (reported, needs) = change(&registry("one"), &registry("two"));
        assert_eq!(reported, ["~/etc/containerd/conf.d/20-ballast.toml", "~/run/containers/0/auth.json"]);
        assert_eq!(needs, Needs { restart: ["containerd.service"].into(), ..Needs::default() });
    }

    #[test]
    fn a_proxy_restarts_the_runtime_and_arguments_wait_for_a_boot() {
        let (_, needs) = change("", "[network.proxy]\nhttps = \"http://p:1\"\n[kernel]\narguments = [\"nosmt\"]");
        assert!(needs.reboot, "{needs:?}");
        assert_eq!(needs.restart, ["containerd.service"].into());
    }
}
