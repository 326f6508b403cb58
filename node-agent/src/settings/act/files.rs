//! The files that others read: written where they differ, and taken away again.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, ErrorKind, Write as _},
    os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use ballast_settings::{
    Secrets,
    render::{Change, Content, Rendered, diff, needs, render},
    write,
};
use rustix::fs::{FlockOperation, flock};

use super::{
    hostname,
    left::{Left, PendingActions},
    sysctls,
};
use crate::{
    clients::{host::Host, store},
    settings::{
        model::Settings,
        observe::{self, IN_FORCE},
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
    /// What is left for others to do; [`reported`] once they did.
    pub left: Left,
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
    if *settings == Settings::default() && !host.path(IN_FORCE).exists() && !Left::is_there(host) {
        return Ok(ApplyResult::default());
    }
    let _turn = turn(host)?;
    let now = observe::in_force(host);
    let (old, new) = (render(&now), render(settings));
    let mut left = Left::read(host)?;
    let is_in = |path: &str| host.path(path).symlink_metadata().is_ok();
    let different = new.iter().filter(|file| !is_there(&host.path(&file.path), file)).map(Change::Changed);
    let gone =
        diff(&old, &new).into_iter().filter(|change| matches!(change, Change::Removed(file) if is_in(&file.path)));
    let changes: Vec<Change<'_>> = different.chain(gone).collect();
    // What an earlier time wrote without coming to its end, and nobody says.
    let is_stray = |path: &str| !new.iter().chain(&old).any(|file| file.path == path);
    let strays: Vec<(String, PendingActions)> =
        left.files.clone().into_iter().filter(|(path, _)| is_stray(path)).collect();
    if !changes.is_empty() {
        left.add_files(&changes);
        let mut begun = left.clone();
        begun.pending.add(PendingActions::of(needs(&changes)));
        begun.keep(host)?;
    }
    let mut failures = Vec::new();
    let mut note = |done: Result<()>| {
        failures.extend(done.as_ref().err().map(|error| format!("{error:#}")));
        done.is_ok()
    };
    note(sysctls::bring(host, &now.kernel, &settings.kernel));
    for (path, pending) in strays.into_iter().filter(|(path, _)| is_in(path)) {
        if note(take_away(host, &path)) {
            left.pending.add(pending);
        }
    }
    let made = changes.iter().copied().filter(|change| {
        note(match change {
            Change::Added(file) | Change::Changed(file) => put(host, file),
            Change::Removed(file) => take_away(host, &file.path),
        })
    });
    // No unit is started again, time after time, for a file that cannot be written.
    left.pending.add(PendingActions::of(needs(&made.collect::<Vec<_>>())));
    if left.pending.hostname {
        let said = settings.hostname.as_ref().map(ToString::to_string);
        let given = || hostname::of_dhcp(host).ok().flatten();
        let named = hostname::set(host, &said.or_else(given).unwrap_or_else(|| hostname::DEFAULT.to_owned()));
        left.pending.hostname = named.is_err();
        note(named);
    }
    if failures.is_empty() && now != *settings {
        store::write(&host.path(IN_FORCE), write(settings, Secrets::Revealed).as_bytes())?;
    }
    Ok(ApplyResult { left, failures })
}

/// The units that `applied` left were reported. Its files are known by what holds, unless some could not be written.
///
/// # Errors
/// If that cannot be written down: they are reported once more.
pub fn reported(host: &Host, applied: &ApplyResult) -> Result<()> {
    if applied.left == Left::default() {
        return Ok(());
    }
    let Left { files, pending: PendingActions { hostname, .. } } = &applied.left;
    let files = if applied.failures.is_empty() { BTreeMap::new() } else { files.clone() };
    Left { files, pending: PendingActions { hostname: *hostname, ..PendingActions::default() } }.keep(host)
}

/// The agent and `ballast settings boot` may both be at it, early in the second half of the first boot.
fn turn(host: &Host) -> Result<fs::File> {
    let doing = || format!("taking the lock {LOCK}");
    let path = host.path(LOCK);
    fs::create_dir_all(path.parent().with_context(doing)?).with_context(doing)?;
    let file = fs::File::create(path).with_context(doing)?;
    flock(&file, FlockOperation::LockExclusive).with_context(doing)?;
    Ok(file)
}

/// Writes `file`.
fn put(host: &Host, file: &Rendered) -> Result<()> {
    replace(&host.path(&file.path), file).with_context(|| format!("writing {}", file.path))
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

/// Nobody ever sees half of a file, or one that is readable for a moment. It lies on a tmpfs: nothing is synced.
fn replace(path: &Path, file: &Rendered) -> io::Result<()> {
    let new = PathBuf::from(format!("{}.new", path.display()));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    match &file.content {
        Content::Link(target) => symlink(target, &new)?,
        Content::Bytes(bytes) => {
            let mut opened = fs::OpenOptions::new().write(true).create_new(true).mode(file.mode).open(&new)?;
            opened.write_all(bytes)?;
            // Whatever the umask is.
            opened.set_permissions(fs::Permissions::from_mode(file.mode))?;
        }
    }
    fs::rename(&new, path)
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
    fn applied(host: &Host, settings: &Settings) -> Left {
        let applied = bring(host, settings).unwrap();
        assert_eq!(applied.failures, [""; 0]);
        reported(host, &applied).unwrap();
        applied.left
    }

    #[test]
    fn files_are_written_where_they_differ() {
        let (_tree, host) = node();
        let wanted = settings(&format!("hostname = \"a\"\n{CERTIFICATE}{REGISTRY}"));
        let left = applied(&host, &wanted);
        assert!(left.pending.restart.contains("containerd.service"), "{left:?}");
        assert_eq!(fs::read_to_string(host.path("/etc/hostname")).unwrap(), "a\n");
        assert_eq!(fs::read_to_string(host.path(KERNEL_HOSTNAME)).unwrap(), "a");
        assert_eq!(fs::read_link(host.path("/etc/ssl/certs/ballast.pem")).unwrap(), Path::new("/etc/ballast/ca.pem"));
        let private = host.path("/run/containers/0/auth.json");
        assert_eq!(private.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(host.path(IN_FORCE).metadata().unwrap().permissions().mode() & 0o777, 0o600);

        // What is as it shall be stays untouched; what somebody opened to all is closed again.
        assert_eq!(applied(&host, &wanted), Left::default());
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
        assert_eq!(Vec::from_iter(&left.pending.restart), ["containerd.service"]);
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
        assert!(first.left.pending.restart.contains("containerd.service"), "{first:?}");
        reported(&host, &first).unwrap();
        let second = bring(&host, &wanted).unwrap();
        assert!(!second.failures.is_empty() && second.left.pending.restart.is_empty(), "{second:?}");
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
        assert!(left.pending.restart.contains("containerd.service"), "{left:?}");
        assert!(!host.path("/etc/ballast/proxy.env").exists());
        assert_eq!(applied(&host, &Settings::default()), Left::default());
    }

    #[test]
    fn units_that_were_not_reported_are_reported_the_next_time() {
        let (_tree, host) = node();
        let wanted = settings(PROXY);
        let units = ["containerd.service".to_owned()].into();
        // Whoever brought it died then, or its refresh failed.
        assert_eq!(bring(&host, &wanted).unwrap().left.pending.restart, units);
        let again = bring(&host, &wanted).unwrap();
        assert_eq!(again.left.pending.restart, units);
        reported(&host, &again).unwrap();
        assert_eq!(applied(&host, &wanted), Left::default());
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
        assert!(left.pending.restart.contains("systemd-sysctl.service"), "{left:?}");
    }

    #[test]
    fn a_node_without_settings_writes_nothing() {
        let (tree, host) = node();
        assert_eq!(bring(&host, &Settings::default()).unwrap(), ApplyResult::default());
        assert!(!host.path("/etc").exists() && !tree.path().join("run").exists());
    }
}
