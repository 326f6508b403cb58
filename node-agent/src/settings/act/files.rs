//! The files that others read: written where they differ, and taken away again.

use std::{
    fs,
    io::ErrorKind,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use ballast_settings::render::{Change, Content, Rendered, needs, render};
use rustix::fs::{FlockOperation, flock};

use super::{hostname, sysctls};
use crate::{
    clients::{host::Host, store},
    settings::{
        model::{PendingActions, Settings, Written, WrittenFile},
        observe::{self, WRITTEN},
    },
};

/// What the image has in /etc, which lies below what is written there in a boot.
const IMAGE_ETC: &str = "/usr/etc";

/// Held by who writes the files, for the milliseconds that it takes.
const LOCK: &str = "/run/ballast/settings.lock";

/// What came of bringing the files.
#[derive(Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct ApplyResult {
    /// What is ours now, and what is left for others to do; [`reported`] once they did.
    pub written: Written,
    /// What could not be written or removed, a sentence each. One keeps no other from it, nor the units from theirs.
    pub failures: Vec<String>,
}

impl ApplyResult {
    /// Whether the files are as the settings say.
    ///
    /// # Errors
    /// If one is not; doing it once more goes on from there.
    pub fn done(&self) -> Result<()> {
        if self.failures.is_empty() { Ok(()) } else { bail!("{}", self.failures.join("; ")) }
    }
}

/// Makes the files what `settings` say, gives the machine its name, and returns what else it takes for them to hold: also what an earlier
/// time left to do.
///
/// # Errors
/// If nothing could be begun.
pub fn bring(host: &Host, settings: &Settings) -> Result<ApplyResult> {
    if *settings == Settings::default() && !host.path(WRITTEN).exists() {
        return Ok(ApplyResult::default());
    }
    let _lock = lock(host)?;
    let mut written = observe::written(host)?;
    let new = render(settings);
    let (here, different): (Vec<&Rendered>, _) = new.iter().partition(|file| is_there(&host.path(&file.path), file));
    let (_, gone) = written.changes(&new);
    let gone: Vec<(String, WrittenFile)> = gone.into_iter().map(|(path, file)| (path.clone(), file.clone())).collect();
    here.into_iter().for_each(|file| written.done(file));
    if !different.is_empty() || !gone.is_empty() {
        // Whatever becomes of it: these are ours, and this is to be done.
        different.iter().for_each(|file| written.begin(file));
        let mut begun = written.clone();
        begun.pending.add(pending(&different));
        gone.iter().for_each(|(_, file)| begun.pending.add(file.removal.clone()));
        keep(host, &begun)?;
    }
    let mut failures = Vec::new();
    let mut note = |done: Result<()>| {
        failures.extend(done.as_ref().err().map(|error| format!("{error:#}")));
        done.is_ok()
    };
    if note(sysctls::bring(host, &written.sysctls, &settings.kernel)) {
        written.sysctls = sysctls::paths(&settings.kernel);
    }
    for (path, file) in gone {
        let is_there = host.path(&path).symlink_metadata().is_ok();
        if is_there && !note(take_away(host, &path)) {
            continue;
        }
        written.files.remove(&path);
        if is_there {
            written.pending.add(file.removal);
        }
    }
    // No unit is started again, time after time, for a file that cannot be written.
    let made: Vec<&Rendered> = different.into_iter().filter(|file| note(put(host, file))).collect();
    made.iter().for_each(|file| written.done(file));
    written.pending.add(pending(&made));
    if written.pending.hostname {
        let said = settings.hostname.as_ref().map(ToString::to_string);
        let given = || hostname::of_dhcp(host).ok().flatten();
        let named = hostname::set(host, &said.or_else(given).unwrap_or_else(|| hostname::DEFAULT.to_owned()));
        written.pending.hostname = named.is_err();
        note(named);
    }
    keep(host, &written)?;
    Ok(ApplyResult { written, failures })
}

/// What it takes for these to hold, which are new or other than they were.
fn pending(files: &[&Rendered]) -> PendingActions {
    PendingActions::of(needs(&files.iter().map(|file| Change::Changed(file)).collect::<Vec<_>>()))
}

/// The units that `applied` left were reported.
///
/// # Errors
/// If that cannot be written down: they are reported once more.
pub fn reported(host: &Host, applied: &ApplyResult) -> Result<()> {
    let ApplyResult { written, failures: _ } = applied;
    let pending = PendingActions { hostname: written.pending.hostname, ..PendingActions::default() };
    keep(host, &Written { pending, ..written.clone() })
}

/// Root's alone, as all that is kept this way. What is so already is not written.
fn keep(host: &Host, written: &Written) -> Result<()> {
    match written {
        none if *none == Written::default() => store::remove(&host.path(WRITTEN)),
        same if observe::written(host).is_ok_and(|there| there == *same) => Ok(()),
        some => store::write(&host.path(WRITTEN), &serde_json::to_vec(some).context("encoding what is written")?),
    }
}

/// The agent and `ballast settings boot` may both be at it, early in the second half of the first boot.
fn lock(host: &Host) -> Result<fs::File> {
    let doing = || format!("taking the lock {LOCK}");
    let path = host.path(LOCK);
    fs::create_dir_all(path.parent().with_context(doing)?).with_context(doing)?;
    let file = fs::File::create(path).with_context(doing)?;
    flock(&file, FlockOperation::LockExclusive).with_context(doing)?;
    Ok(file)
}

/// Writes `file`. Nobody ever sees half of it, or one that is readable for a moment. It lies on a tmpfs.
fn put(host: &Host, file: &Rendered) -> Result<()> {
    let place = host.path(&file.path);
    let part = PathBuf::from(format!("{}.new", place.display()));
    let put = match &file.content {
        Content::Link(target) => store::replace_link(&place, &part, Path::new(target)),
        Content::Bytes(bytes) => store::replace(&place, &part, file.mode, bytes),
    };
    put.with_context(|| format!("writing {}", file.path))
}

/// Whether it is as it shall be already.
fn is_there(path: &Path, file: &Rendered) -> bool {
    match &file.content {
        Content::Link(target) => fs::read_link(path).is_ok_and(|found| found == Path::new(target)),
        Content::Bytes(bytes) => {
            let found = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file);
            let mode = found.map(|found| found.permissions().mode() & 0o7777);
            mode == Some(file.mode) && fs::read(path).is_ok_and(|found| found == *bytes)
        }
    }
}

/// Takes the file `path` away: what the image has there comes back, if it has something.
fn take_away(host: &Host, path: &str) -> Result<()> {
    let doing = || format!("removing {path}");
    match fs::remove_file(host.path(path)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        removed => removed.with_context(doing)?,
    }
    let image = path.strip_prefix("/etc/").map(|name| host.path(format!("{IMAGE_ETC}/{name}")));
    let Some(image) = image.filter(|image| image.symlink_metadata().is_ok()) else { return Ok(()) };
    let place = host.path(path);
    let back = match fs::read_link(&image) {
        Ok(target) => symlink(target, place),
        Err(_) => fs::copy(&image, place).map(drop),
    };
    back.with_context(|| format!("putting the image's {path} back"))
}

#[cfg(test)]
mod tests {
    use ballast_settings::{Rank, Source};

    use super::*;

    const CERTIFICATE: &str =
        "network.certificates = [\"\"\"\n-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\"\"\"]\n";
    const KERNEL_HOSTNAME: &str = "/proc/sys/kernel/hostname";
    const PROXY: &str = "network.proxy.https = \"http://p.example:1\"\n";
    const REGISTRY: &str = "[[registry]]\nhost = \"r.example\"\nusername = \"me\"\npassword = \"s3cret\"\n";

    fn settings(text: &str) -> Settings {
        let (settings, problems) = ballast_settings::settings(&[Source::new("f", Rank::Node, text.as_bytes())]);
        assert_eq!(problems, []);
        settings
    }

    fn node() -> (tempfile::TempDir, Host) {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        fs::create_dir_all(host.path("/proc/sys/kernel")).unwrap();
        (tree, host)
    }

    /// All goes well.
    fn applied(host: &Host, settings: &Settings) -> PendingActions {
        let applied = bring(host, settings).unwrap();
        assert_eq!(applied.failures, [""; 0]);
        reported(host, &applied).unwrap();
        applied.written.pending
    }

    #[test]
    fn files_are_written_where_they_differ() {
        let (_tree, host) = node();
        let wanted = settings(&format!("hostname = \"a\"\n{CERTIFICATE}{REGISTRY}"));
        let left = applied(&host, &wanted);
        assert!(left.restart.contains("containerd.service"), "{left:?}");
        assert_eq!(fs::read_to_string(host.path("/etc/hostname")).unwrap(), "a\n");
        assert_eq!(fs::read_to_string(host.path(KERNEL_HOSTNAME)).unwrap(), "a");
        assert_eq!(fs::read_link(host.path("/etc/ssl/certs/ballast.pem")).unwrap(), Path::new("/etc/ballast/ca.pem"));
        let private = host.path("/run/containers/0/auth.json");
        assert_eq!(private.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(host.path(WRITTEN).metadata().unwrap().permissions().mode() & 0o777, 0o600);

        // What is as it shall be stays untouched; what somebody opened to all is closed again.
        assert_eq!(applied(&host, &wanted), PendingActions::default());
        fs::set_permissions(&private, fs::Permissions::from_mode(0o644)).unwrap();
        applied(&host, &wanted);
        assert_eq!(private.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_is_not_said_any_more_goes_and_the_image_s_comes_back() {
        let (_tree, host) = node();
        fs::create_dir_all(host.path("/usr/etc")).unwrap();
        fs::write(host.path("/usr/etc/hostname"), "image\n").unwrap();
        fs::create_dir_all(host.path("/etc")).unwrap();
        fs::write(host.path("/etc/hostname"), "image\n").unwrap();
        applied(&host, &settings(&format!("hostname = \"a\"\n{REGISTRY}")));
        let left = applied(&host, &settings("log.level = \"warn\""));
        // It keeps the registry's password otherwise.
        assert_eq!(Vec::from_iter(&left.restart), ["containerd.service"]);
        assert_eq!(fs::read_to_string(host.path("/etc/hostname")).unwrap(), "image\n");
        assert_eq!(fs::read_to_string(host.path(KERNEL_HOSTNAME)).unwrap(), hostname::DEFAULT);
        assert!(!host.path("/etc/containerd/certs.d/r.example/hosts.toml").exists());
    }

    #[test]
    fn one_file_that_cannot_be_written_keeps_no_other() {
        let (_tree, host) = node();
        fs::create_dir_all(host.path("/run/containers")).unwrap();
        fs::write(host.path("/run/containers/0"), "not a folder").unwrap();
        let wanted = settings(&format!("hostname = \"a\"\n{PROXY}{REGISTRY}"));
        let first = bring(&host, &wanted).unwrap();
        let error = first.done().unwrap_err().to_string();
        assert!(error.starts_with("writing /run/containers/0/auth.json: ") && !error.contains("s3cret"), "{error}");
        assert!(host.path("/etc/hostname").exists());
        // The units of the other files are restarted, and once.
        assert!(first.written.pending.restart.contains("containerd.service"), "{first:?}");
        reported(&host, &first).unwrap();
        let second = bring(&host, &wanted).unwrap();
        assert!(!second.failures.is_empty() && second.written.pending.restart.is_empty(), "{second:?}");
        fs::remove_file(host.path("/run/containers/0")).unwrap();
        applied(&host, &wanted);
    }

    #[test]
    fn f08_what_was_written_before_something_failed_goes_as_well() {
        let (_tree, host) = node();
        fs::create_dir_all(host.path("/run/containers")).unwrap();
        fs::write(host.path("/run/containers/0"), "not a folder").unwrap();
        reported(&host, &bring(&host, &settings(&format!("{PROXY}{REGISTRY}"))).unwrap()).unwrap();
        assert!(host.path("/etc/ballast/proxy.env").exists());
        let left = applied(&host, &Settings::default());
        assert!(left.restart.contains("containerd.service"), "{left:?}");
        assert!(!host.path("/etc/ballast/proxy.env").exists());
        assert_eq!(applied(&host, &Settings::default()), PendingActions::default());
    }

    #[test]
    fn units_that_were_not_reported_are_reported_the_next_time() {
        let (_tree, host) = node();
        let wanted = settings(PROXY);
        let units = ["containerd.service".to_owned()].into();
        // Whoever brought it died then, or its refresh failed.
        assert_eq!(bring(&host, &wanted).unwrap().written.pending.restart, units);
        let again = bring(&host, &wanted).unwrap();
        assert_eq!(again.written.pending.restart, units);
        reported(&host, &again).unwrap();
        assert_eq!(applied(&host, &wanted), PendingActions::default());
    }

    #[test]
    fn f08_a_sysctl_that_is_taken_out_is_as_it_was() {
        let (_tree, host) = node();
        let file = host.path("/proc/sys/net/core/somaxconn");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "4096\n").unwrap();
        applied(&host, &settings("kernel.sysctl.net.core.somaxconn = 1"));
        fs::write(&file, "1\n").unwrap();
        let left = applied(&host, &Settings::default());
        assert_eq!(fs::read_to_string(&file).unwrap(), "4096\n");
        assert!(left.restart.contains("systemd-sysctl.service"), "{left:?}");
    }

    #[test]
    fn who_cannot_know_what_is_ours_removes_nothing_and_reports_it() {
        let (_tree, host) = node();
        applied(&host, &settings(PROXY));
        fs::write(host.path(WRITTEN), "{").unwrap();
        let error = format!("{:#}", bring(&host, &Settings::default()).unwrap_err());
        assert!(error.contains(WRITTEN) && error.contains("the next boot begins anew"), "{error}");
        assert!(host.path("/etc/ballast/proxy.env").exists());
        fs::remove_file(host.path(WRITTEN)).unwrap();
        fs::create_dir(host.path(WRITTEN)).unwrap();
        assert!(bring(&host, &settings(REGISTRY)).is_err());
    }

    #[test]
    fn secrets_are_in_the_files_that_need_them_alone() {
        let (_tree, host) = node();
        applied(&host, &settings(REGISTRY));
        for entry in fs::read_dir(host.path("/run/ballast")).unwrap() {
            let path = entry.unwrap().path();
            assert!(!fs::read_to_string(&path).unwrap().contains("s3cret"), "{}", path.display());
        }
        assert!(fs::read_to_string(host.path("/run/containers/0/auth.json")).is_ok());
    }

    #[test]
    fn a_node_without_settings_writes_nothing() {
        let (tree, host) = node();
        assert_eq!(bring(&host, &Settings::default()).unwrap(), ApplyResult::default());
        assert!(!host.path("/etc").exists() && !tree.path().join("run").exists());
    }
}
