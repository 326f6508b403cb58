//! A new boot entry: its name and its text.

use crate::update::model::{BootEntry, BootEntryName, DeploymentId, Tries};

/// How often a new release is tried before the boot loader falls back. Once is too few: a power cut in the first boot is
/// not the release's fault.
pub const TRIES: u32 = 3;

/// What a boot entry is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct New {
    /// What it boots.
    pub deployment: DeploymentId,
    /// Its version.
    pub version: String,
    /// The kernel's path on the partition.
    pub linux: String,
    /// The initramfs' path on the partition.
    pub initrd: String,
    /// The kernel's command line.
    pub options: String,
    /// Whether it has proved itself.
    pub is_good: bool,
}

/// The name of an entry that boots before all of `entries`.
pub fn name(new: &New, entries: &[BootEntry]) -> BootEntryName {
    let number = entries.iter().filter_map(|entry| entry.name.number()).max().unwrap_or(0).saturating_add(1);
    let tries = (!new.is_good).then_some(Tries { left: TRIES, done: 0 });
    BootEntryName::new(number, &new.version, &new.deployment, tries)
}

/// Its text (Boot Loader Specification, type 1). No `sort-key`: the name decides.
pub fn text(new: &New) -> String {
    let version: String = new.version.chars().filter(|letter| !letter.is_control()).collect();
    format!(
        "title Ballast {version}\nversion {version}\narchitecture x64\nlinux {}\ninitrd {}\noptions {}\n",
        new.linux,
        new.initrd,
        new.options.trim()
    )
}

/// The command line of a deployment: which it is, the digest of its composefs image, and what the release asks for.
pub fn options(deployment: &DeploymentId, composefs: &str, cmdline: &str) -> String {
    let cmdline: String = cmdline.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    format!("ballast.deployment={deployment} ballast.composefs={composefs} {}", cmdline.trim())
}

/// Stands before the arguments of the settings, which are the last of an entry's. To the kernel it is a module's that nobody loads.
const SETTINGS: &str = "ballast.settings";

/// `options` with its `arguments` of the settings replaced.
pub fn with_arguments(options: &str, arguments: &str) -> String {
    let (release, _) = split(options);
    if arguments.is_empty() { release.to_owned() } else { format!("{release} {SETTINGS} {arguments}") }
}

/// The arguments of the settings on the command line `line`.
pub fn arguments(line: &str) -> &str {
    split(line).1
}

/// What the release asks for, and what the settings do.
fn split(line: &str) -> (&str, &str) {
    let mut words = line.split(char::is_whitespace);
    let mut at = 0;
    let marker = words.find_map(|word| {
        let here = at;
        at += word.len() + 1;
        (word == SETTINGS).then_some(here)
    });
    let (release, settings) = line.split_at(marker.unwrap_or(line.len()));
    (release.trim(), settings.strip_prefix(SETTINGS).unwrap_or_default().trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::plan::{boot_order, tests::node};

    fn new(version: &str, is_good: bool) -> New {
        New {
            deployment: format!("{}.0", "0123456789abcdef".repeat(4)).parse().unwrap(),
            version: version.to_owned(),
            linux: "/ballast/a-vmlinuz".to_owned(),
            initrd: "/ballast/b-initramfs".to_owned(),
            options: "a=\"b c\"".to_owned(),
            is_good,
        }
    }

    #[test]
    fn a_new_entry_boots_first() {
        let observed = node("a1 b2+0 c9+1", "a");
        let name = |new: New, entries| super::name(&new, entries);
        let first = name(new("20261121.1", false), &observed.entries);
        assert_eq!(first.as_str(), "ballast-4-20261121.1-0123456789ab+3.conf");
        let mut entries = observed.entries.clone();
        entries.push(BootEntry { name: first, ..entries[0].clone() });
        entries.sort_by(boot_order);
        assert_eq!(entries[0].name.number(), Some(4));
        assert_eq!(name(new("20261121.1", true), &[]).as_str(), "ballast-1-20261121.1-0123456789ab.conf");
    }

    #[test]
    fn the_text_has_the_keys_of_the_specification() {
        let expected = "title Ballast 2\nversion 2\narchitecture x64\nlinux /ballast/a-vmlinuz\ninitrd /ballast/b-initramfs\n\
                        options a=\"b c\"\n";
        assert_eq!(text(&new("2\n", false)), expected);
        let id: DeploymentId = format!("{}.1", "a".repeat(64)).parse().unwrap();
        let line = options(&id, "cd", "quiet\n x=\"1 2\"\n");
        assert_eq!(line, format!("ballast.deployment={id} ballast.composefs=cd quiet  x=\"1 2\""));
    }

    #[test]
    fn arguments_of_the_settings_are_the_last_and_are_replaced() {
        let release = "ballast.deployment=a.0 quiet";
        let one = with_arguments(release, "nosmt hugepages=2");
        assert_eq!(one, "ballast.deployment=a.0 quiet ballast.settings nosmt hugepages=2");
        assert_eq!(arguments(&one), "nosmt hugepages=2");
        assert_eq!(with_arguments(&one, "mitigations=off"), format!("{release} ballast.settings mitigations=off"));
        assert_eq!(with_arguments(&one, ""), release);
        assert_eq!(arguments(release), "");
        // Quoted arguments survive.
        assert_eq!(
            with_arguments("a=\"b  ballast.settings.x\" c\n", "nosmt"),
            "a=\"b  ballast.settings.x\" c ballast.settings nosmt"
        );
    }
}
