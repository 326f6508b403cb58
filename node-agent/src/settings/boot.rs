//! What `ballast settings boot` does, without the agent: early in each boot, before the units that read the files start; and once, in
//! the second half of the first boot, when the disks are there.

use std::time::Duration;

use anyhow::{Context, Result};

use super::{
    act::{
        document,
        files::{self, ApplyResult},
        keep, mend,
    },
    model::SourceKind,
    observe::{self, PROVISIONING_RECORD, Reader},
    probe,
};
use crate::clients::{exec, host::Host};

/// There is no agent yet that could ask over the bus.
const SYSTEMCTL: &str = "/usr/bin/systemctl";

/// It hands the order over and ends.
const SYSTEMCTL_DEADLINE: Duration = Duration::from_secs(20);

/// Takes back a trial that had its boots, and writes the files that others read. Says what went wrong: nothing of it is a reason not
/// to boot.
pub fn early(host: &Host) -> Vec<String> {
    // The units have yet to start, and read their files then.
    let hold = || bring(host).and_then(|applied| files::reported(host, &applied).and(applied.done()));
    let steps = [mend::mend(host), go_on_with_trial(host), hold()];
    steps.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")).collect()
}

/// Looks for settings on volumes and on the ESP, keeps what it finds, and writes the files anew. Says what went wrong.
pub async fn first(host: &Host) -> Vec<String> {
    let mut steps = vec![mend::mend(host)];
    if !host.path(PROVISIONING_RECORD).exists() {
        let mut probes = Vec::new();
        for source in [SourceKind::Credential, SourceKind::Volume, SourceKind::Esp] {
            let found = probe::probe(host, source).await;
            probes.push((source, found.probe()));
            eprintln!("{}", found.what);
            if !found.given.is_empty() {
                steps.push(keep::keep(host, source, &found.given));
            }
        }
        // What could not be kept is looked for once more on the next boot.
        if steps.iter().all(Result::is_ok) {
            steps.push(keep::note(host, probes));
        }
    }
    match bring(host) {
        Ok(applied) => {
            steps.push(applied.done());
            let reported = refresh(host, &applied).await;
            steps.push(reported.and_then(|()| files::reported(host, &applied)));
        }
        Err(error) => steps.push(Err(error)),
    }
    steps.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")).collect()
}

fn go_on_with_trial(host: &Host) -> Result<()> {
    let Some(trial) = observe::trial(host)? else { return Ok(()) };
    match trial.booted() {
        Some(trial) => document::note(host, &trial),
        None => {
            eprintln!("nobody confirmed the settings that were on trial; what was before holds again");
            document::revert(host).context("taking back the settings that were on trial")
        }
    }
}

fn bring(host: &Host) -> Result<ApplyResult> {
    let read = Reader::default().read(host);
    read.problems.iter().chain(&read.notes).for_each(|reported| eprintln!("{reported}"));
    files::bring(host, &read.settings)
}

/// What runs by then (the runtime, the journal) reads its files anew. Without waiting: what waits for us is among it.
async fn refresh(host: &Host, applied: &ApplyResult) -> Result<()> {
    let pending = &applied.written.pending;
    for (verb, units) in [("reload-or-try-restart", &pending.reload), ("try-restart", &pending.restart)] {
        if !units.is_empty() {
            let words = ["--no-block", verb].into_iter().chain(units.iter().map(String::as_str));
            let systemctl = host.path(SYSTEMCTL).display().to_string();
            exec::run(&systemctl, words, SYSTEMCTL_DEADLINE)
                .await
                .context("restarting units whose settings changed")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::settings::{
        model::{FILE, SOURCES, Trial},
        observe::CREDENTIAL,
    };

    fn node() -> (tempfile::TempDir, Host) {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        for (path, text) in
            [("/proc/sys/kernel/hostname", ""), ("/proc/uptime", "3.00 1.00\n"), ("/proc/stat", "cpu 1 1 1 1 1\n")]
        {
            write(&host, path, text);
        }
        (tree, host)
    }

    fn write(host: &Host, path: &str, text: &str) {
        fs::create_dir_all(host.path(path).parent().unwrap()).unwrap();
        fs::write(host.path(path), text).unwrap();
    }

    fn hostname(host: &Host) -> String {
        fs::read_to_string(host.path("/etc/hostname")).unwrap_or_default()
    }

    /// /etc, /run and what the kernel knows are new on each boot.
    fn reboot(host: &Host) {
        for folder in ["/etc", "/run"] {
            let _ = fs::remove_dir_all(host.path(folder));
        }
    }

    #[tokio::test]
    async fn i07_the_first_boot_s_sources_are_read_once_and_kept() {
        let (_tree, host) = node();
        write(&host, CREDENTIAL, "hostname = \"first\"\n");
        assert_eq!(early(&host), [""; 0]);
        assert_eq!(hostname(&host), "first\n");
        assert_eq!(first(&host).await, [""; 0]);
        let record = observe::record(&host).unwrap();
        assert!(record.probed[&SourceKind::Credential].found && !record.probed[&SourceKind::Volume].found);

        reboot(&host);
        write(&host, CREDENTIAL, "hostname = \"second\"\n");
        assert_eq!(early(&host), [""; 0]);
        assert_eq!(hostname(&host), "first\n");
        assert_eq!(first(&host).await, [""; 0]);
        assert_eq!(observe::record(&host).unwrap(), record);
    }

    #[tokio::test]
    async fn what_could_not_be_kept_is_looked_for_again() {
        let (_tree, host) = node();
        write(&host, CREDENTIAL, "hostname = \"first\"\n");
        // In the place of a disk that is full.
        fs::create_dir_all(host.path(SOURCES)).unwrap();
        let part = host.path(format!("{SOURCES}/credential.part"));
        std::os::unix::fs::symlink("/no/such/folder/x", part).unwrap();
        assert_eq!(first(&host).await.len(), 1);
        assert!(!host.path(PROVISIONING_RECORD).exists());
        fs::remove_dir_all(host.path(SOURCES)).unwrap();
        reboot(&host);
        write(&host, CREDENTIAL, "hostname = \"first\"\n");
        assert_eq!(early(&host), [""; 0]);
        assert_eq!(hostname(&host), "first\n");
        assert_eq!(first(&host).await, [""; 0]);
        assert!(observe::record(&host).unwrap().probed[&SourceKind::Credential].found);
    }

    #[tokio::test]
    async fn a_credential_that_comes_later_is_not_for_the_first_boot() {
        let (_tree, host) = node();
        assert_eq!((early(&host), first(&host).await), (vec![], vec![]));
        reboot(&host);
        write(&host, CREDENTIAL, "hostname = \"second\"\n");
        assert_eq!(early(&host), [""; 0]);
        assert_eq!(hostname(&host), "");
    }

    #[test]
    fn f08_a_trial_outlives_one_boot_and_not_two() {
        let (_tree, host) = node();
        write(&host, FILE, "hostname = \"before\"\n");
        document::begin(&host, 300).unwrap();
        document::write(&host, b"hostname = \"tried\"\n").unwrap();
        reboot(&host);
        assert_eq!(early(&host), [""; 0]);
        assert_eq!(hostname(&host), "tried\n");
        assert_eq!(observe::trial(&host).unwrap(), Some(Trial { secs: 300, boots: 1 }));
        reboot(&host);
        assert_eq!(early(&host), [""; 0]);
        assert_eq!(hostname(&host), "before\n");
        assert_eq!(observe::trial(&host).unwrap(), None);
    }

    #[test]
    fn s06_a_broken_var_is_reported_and_the_boot_goes_on() {
        let (_tree, host) = node();
        write(&host, "/var/lib/ballast", "not a folder");
        write(&host, CREDENTIAL, "hostname = \"a\"\n");
        let reported = early(&host);
        assert!(
            !reported.is_empty() && reported.iter().all(|reported| reported.contains("Not a directory")),
            "{reported:?}"
        );
    }
}
