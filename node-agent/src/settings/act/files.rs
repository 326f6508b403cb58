//! The files that others read: written where they differ, and taken away again.

use std::{
    fs,
    io::{self, ErrorKind, Write as _},
    os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use ballast_settings::{
    Secrets,
    render::{Change, Content, Needs, Rendered, diff, needs, render},
    write,
};
use rustix::fs::{FlockOperation, flock};

use super::sysctls;
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

/// The machine's name, for the kernel (sethostname(2)).
const KERNEL_HOSTNAME: &str = "/proc/sys/kernel/hostname";

/// The image's name for a machine without one (`DEFAULT_HOSTNAME` in os-release(5)).
const DEFAULT_HOSTNAME: &str = "ballast";

/// Makes the files what `settings` say, gives the machine its name, and tells what else it takes for them to hold. One file that
/// cannot be written keeps no other from it.
///
/// # Errors
/// If a file cannot be written or removed; doing it once more goes on from there.
pub fn bring(host: &Host, settings: &Settings) -> Result<Needs> {
    if *settings == Settings::default() && !host.path(IN_FORCE).exists() {
        return Ok(Needs::default());
    }
    let _turn = turn(host)?;
    let now = observe::in_force(host);
    let (old, new) = (render(&now), render(settings));
    let mut changes = Vec::new();
    let mut failures: Vec<String> = Vec::new();
    failures.extend(sysctls::bring(host, &now.kernel, &settings.kernel).err().map(|error| format!("{error:#}")));
    let mut note = |change, done: Result<bool>| match done {
        Ok(true) => changes.push(change),
        Ok(false) => {}
        Err(error) => failures.push(format!("{error:#}")),
    };
    for file in &new {
        note(Change::Changed(file), put(host, file));
    }
    for change in diff(&old, &new) {
        if let Change::Removed(file) = change {
            note(change, take_away(host, &file.path));
        }
    }
    let needs = needs(&changes);
    if needs.hostname {
        let name = settings.hostname.as_ref().map_or(DEFAULT_HOSTNAME, |name| name.as_str());
        fs::write(host.path(KERNEL_HOSTNAME), name).with_context(|| format!("naming the machine {name}"))?;
    }
    if !failures.is_empty() {
        bail!("{}", failures.join("; "));
    }
    if now != *settings {
        store::write(&host.path(IN_FORCE), write(settings, Secrets::Revealed).as_bytes())?;
    }
    Ok(needs)
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

/// Writes `file`, unless it is as it shall be already.
fn put(host: &Host, file: &Rendered) -> Result<bool> {
    let path = host.path(&file.path);
    if is_there(&path, file) {
        return Ok(false);
    }
    replace(&path, file).map(|()| true).with_context(|| format!("writing {}", file.path))
}

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
fn take_away(host: &Host, path: &str) -> Result<bool> {
    let doing = || format!("removing {path}");
    match fs::remove_file(host.path(path)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        removed => removed.with_context(doing)?,
    }
    let image = path.strip_prefix("/etc/").map(|name| host.path(format!("{IMAGE_ETC}/{name}")));
    let Some(image) = image.filter(|image| image.symlink_metadata().is_ok()) else { return Ok(true) };
    let place = host.path(path);
    let back = match fs::read_link(&image) {
        Ok(target) => symlink(target, place),
        Err(_) => fs::copy(&image, place).map(drop),
    };
    back.map(|()| true).with_context(|| format!("putting the image's {path} back"))
}

#[cfg(test)]
mod tests {
    use ballast_settings::{Rank, Source};

    use super::*;

    const CERTIFICATE: &str =
        "network.certificates = [\"\"\"\n-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\"\"\"]\n";
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

    #[test]
    fn files_are_written_where_they_differ() {
        let (_tree, host) = node();
        let wanted = settings(&format!("hostname = \"a\"\n{CERTIFICATE}{REGISTRY}"));
        let needs = bring(&host, &wanted).unwrap();
        assert!(needs.hostname && needs.restart.contains("containerd.service"), "{needs:?}");
        assert_eq!(fs::read_to_string(host.path("/etc/hostname")).unwrap(), "a\n");
        assert_eq!(fs::read_to_string(host.path(KERNEL_HOSTNAME)).unwrap(), "a");
        assert_eq!(fs::read_link(host.path("/etc/ssl/certs/ballast.pem")).unwrap(), Path::new("/etc/ballast/ca.pem"));
        let private = host.path("/run/containers/0/auth.json");
        assert_eq!(private.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(host.path(IN_FORCE).metadata().unwrap().permissions().mode() & 0o777, 0o600);

        // What is as it shall be stays untouched; what somebody opened to all is closed again.
        assert_eq!(bring(&host, &wanted).unwrap(), Needs::default());
        fs::set_permissions(&private, fs::Permissions::from_mode(0o644)).unwrap();
        bring(&host, &wanted).unwrap();
        assert_eq!(private.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_is_not_said_any_more_goes_and_the_image_s_comes_back() {
        let (_tree, host) = node();
        fs::create_dir_all(host.path("/usr/etc")).unwrap();
        fs::write(host.path("/usr/etc/hostname"), "image\n").unwrap();
        fs::create_dir_all(host.path("/etc")).unwrap();
        fs::write(host.path("/etc/hostname"), "image\n").unwrap();
        bring(&host, &settings(&format!("hostname = \"a\"\n{REGISTRY}"))).unwrap();
        let needs = bring(&host, &settings("log.level = \"warn\"")).unwrap();
        assert!(needs.hostname && needs.restart.is_empty(), "{needs:?}");
        assert_eq!(fs::read_to_string(host.path("/etc/hostname")).unwrap(), "image\n");
        assert_eq!(fs::read_to_string(host.path(KERNEL_HOSTNAME)).unwrap(), DEFAULT_HOSTNAME);
        assert!(!host.path("/etc/containerd/certs.d/r.example/hosts.toml").exists());
    }

    #[test]
    fn one_file_that_cannot_be_written_keeps_no_other() {
        let (_tree, host) = node();
        fs::create_dir_all(host.path("/run/containers")).unwrap();
        fs::write(host.path("/run/containers/0"), "not a folder").unwrap();
        let wanted = settings(&format!("hostname = \"a\"\n{REGISTRY}"));
        let error = bring(&host, &wanted).unwrap_err().to_string();
        assert!(error.starts_with("writing /run/containers/0/auth.json: ") && !error.contains("s3cret"), "{error}");
        assert!(host.path("/etc/hostname").exists());
        fs::remove_file(host.path("/run/containers/0")).unwrap();
        bring(&host, &wanted).unwrap();
    }

    #[test]
    fn f08_a_sysctl_that_is_taken_out_is_as_it_was() {
        let (_tree, host) = node();
        let file = host.path("/proc/sys/net/core/somaxconn");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "4096\n").unwrap();
        bring(&host, &settings("kernel.sysctl.net.core.somaxconn = 1")).unwrap();
        fs::write(&file, "1\n").unwrap();
        let needs = bring(&host, &Settings::default()).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "4096\n");
        assert!(needs.restart.contains("systemd-sysctl.service"), "{needs:?}");
    }

    #[test]
    fn a_node_without_settings_writes_nothing() {
        let (tree, host) = node();
        assert_eq!(bring(&host, &Settings::default()).unwrap(), Needs::default());
        assert!(!host.path("/etc").exists() && !tree.path().join("run").exists());
    }
}
