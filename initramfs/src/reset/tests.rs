//! Resets of trees in memory.

use super::*;

const IDENTITY: [&str; 3] =
    ["lib/ballast/api/server.pem", "lib/ballast/clusters/prod/client.pem", "lib/ballast/machine-id"];

const SETTINGS: [&str; 5] = [
    "lib/ballast/keys/ours.pub",
    "lib/ballast/settings.before.toml",
    "lib/ballast/settings.toml",
    "lib/ballast/settings.trial.json",
    "lib/ballast/sources/credential.toml",
];

const PODS: [&str; 4] = [
    "lib/ballast/pods/web.yaml",
    "lib/ballast/seccomp/web.json",
    "lib/ballast/volumes/u/data/file",
    "log/pods/default_web_u/c/0.log",
];

const IMAGES: [&str; 1] = ["lib/containerd/io.containerd.content.v1.content/blobs/sha256/a"];

const ALWAYS_KEPT: [&str; 1] = ["lib/ballast/update.json"];

const GOES: [&str; 3] = ["lib/kubelet/pki/kubelet.key", "lib/systemd/random-seed", "log/journal/m/system.journal"];

fn all() -> Vec<&'static str> {
    [&IDENTITY[..], &SETTINGS, &PODS, &IMAGES, &ALWAYS_KEPT, &GOES].concat()
}

/// What is there after a reset that kept `kept`.
fn left(kept: &[&[&'static str]]) -> Vec<&'static str> {
    let mut left = [&kept.concat()[..], &ALWAYS_KEPT].concat();
    left.sort_unstable();
    left
}

fn var(name: &str, order: &str) -> PathBuf {
    // In memory: each step waits for the disk.
    let var = Path::new("/dev/shm").join(format!("ballast-initramfs-reset-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&var);
    for file in all() {
        write(&var.join(file), "secret");
    }
    std::os::unix::fs::symlink("/etc", var.join("lib/link")).unwrap();
    fs::create_dir(var.join("lost+found")).unwrap();
    write(&var.join(ORDER), order);
    var
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn files(folder: &Path, var: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => all.extend(files(&entry.path(), var)),
            false => all.push(entry.path().strip_prefix(var).unwrap().display().to_string()),
        }
    }
    all.sort();
    all
}

#[test]
fn what_is_kept_stays_and_all_else_goes() {
    for (order, kept) in [
        ("end\n", &[][..]),
        ("identity\nend\n", &[&IDENTITY[..]]),
        ("settings\nend\n", &[&SETTINGS]),
        ("images\nend\n", &[&IMAGES]),
        ("pods\nidentity\nend\n", &[&PODS, &IDENTITY]),
    ] {
        let var = var("kept", order);
        assert!(carry_out(&var).unwrap(), "{order}");
        assert_eq!(files(&var, &var), left(kept), "{order}");
        assert!(var.join("lost+found").is_dir());
        // Once.
        assert!(!carry_out(&var).unwrap());
        fs::remove_dir_all(&var).unwrap();
    }
}

#[test]
fn one_that_was_cut_off_anywhere_is_begun_again() {
    for cut in 0.. {
        let var = var("cut", "identity\nimages\nend\n");
        let mut steps = 0;
        let ended = carry_out_stepwise(&var, DEADLINE, &mut || {
            steps += 1;
            if steps > cut { bail!("the power fails") } else { Ok(()) }
        });
        let expected = left(&[&IDENTITY, &IMAGES]);
        if ended.is_ok() {
            assert_eq!(files(&var, &var), expected);
            // As many cuts as there are changes: eight files are overwritten.
            assert!(cut > 20, "{cut}");
            return fs::remove_dir_all(&var).unwrap();
        }
        assert!(var.join(ORDER).is_file(), "{cut}: nobody would know of it");
        assert!(carry_out(&var).unwrap());
        assert_eq!(files(&var, &var), expected, "{cut}");
        fs::remove_dir_all(&var).unwrap();
    }
}

#[test]
fn what_cannot_be_removed_stops_nothing_and_is_not_tried_at_each_boot() {
    let var = var("fails", "identity\nend\n");
    // A file comes under the reset's hands: its folder cannot be removed.
    let folder = var.join("lib/kubelet/pki");
    let ended = carry_out_stepwise(&var, DEADLINE, &mut || {
        let is_emptied = folder.is_dir() && !folder.join("kubelet.key").exists();
        if is_emptied { fs::write(folder.join("late"), "").context("in the way") } else { Ok(()) }
    });
    let message = format!("{:#}", ended.unwrap_err());
    assert!(
        message.contains("resetting /var") && message.contains("lib/kubelet/pki: Directory not empty"),
        "{message}"
    );
    assert_eq!(files(&var, &var), left(&[&IDENTITY, &["lib/kubelet/pki/late"]]));
    assert!(!carry_out(&var).unwrap());
    fs::remove_dir_all(&var).unwrap();
}

#[test]
fn one_that_takes_too_long_lets_the_boot_go_on_and_is_not_begun_again() {
    let var = var("late", "identity\nend\n");
    let message = format!("{:#}", carry_out_stepwise(&var, Duration::ZERO, &mut || Ok(())).unwrap_err());
    assert!(message.ends_with("not done after 200 s: order it again for the rest"), "{message}");
    assert!(var.join(GOES[0]).exists() && !carry_out(&var).unwrap());
    fs::remove_dir_all(&var).unwrap();
}

#[test]
fn a_path_of_any_length_goes() {
    let var = var("deep", "end\n");
    let mut deep = var.join("lib/deep");
    while deep.as_os_str().len() < 3900 {
        deep.push("d".repeat(100));
    }
    fs::create_dir_all(&deep).unwrap();
    assert!(carry_out(&var).unwrap());
    assert!(!var.join("lib/deep").exists());
    fs::remove_dir_all(&var).unwrap();
}

#[test]
fn many_failures_are_counted() {
    let mut step = || Ok(());
    let mut work = Work::begin(DEADLINE, &mut step);
    (0..5).for_each(|number| work.note(Err(anyhow!("{number}"))));
    assert_eq!(work.end().unwrap_err().to_string(), "0; 1; 2; and 2 more");
}

#[test]
fn secrets_are_overwritten_before_they_go() {
    let var = var("secret", "identity\nend\n");
    let mut steps = 0;
    let mut step = || {
        steps += 1;
        Ok(())
    };
    // Up to the first removal.
    let mut work = Work::begin(DEADLINE, &mut step);
    let gone = gone(&var, Path::new(""), &kept(&["identity"]).unwrap()).unwrap();
    for path in gone.iter().filter(|path| is_secret(path)) {
        overwrite(&var.join(path), &mut work).unwrap();
    }
    work.end().unwrap();
    let read = |file: &str| fs::read(var.join(file)).unwrap();
    for file in ["lib/ballast/settings.toml", "lib/ballast/sources/credential.toml", "lib/kubelet/pki/kubelet.key"] {
        assert_eq!(read(file), [0; 6], "{file}");
    }
    // What stays, and what is no secret.
    for file in ["lib/ballast/machine-id", "lib/ballast/api/server.pem", "lib/ballast/volumes/u/data/file", IMAGES[0]] {
        assert_eq!(read(file), b"secret", "{file}");
    }
    assert!(steps >= 5, "{steps}");
    fs::remove_dir_all(&var).unwrap();
}

#[test]
fn an_order_that_nobody_understands_removes_nothing() {
    let var = var("unknown", "identity\nphotos\nend\n");
    let message = format!("{:#}", carry_out(&var).unwrap_err());
    assert!(
        message.ends_with("there is no \"photos\" to keep, expected one of settings, identity, images, pods"),
        "{message}"
    );
    assert_eq!(files(&var, &var).len(), all().len() + 2);
    fs::remove_dir_all(&var).unwrap();
}

#[test]
fn an_order_that_is_not_whole_removes_itself_alone() {
    for order in ["", "\n", "identity\n", "identity\nend", "identity\nen", "end\nidentity\n", "identity\0end\n"] {
        let var = var("torn", order);
        let message = format!("{:#}", carry_out(&var).unwrap_err());
        assert!(message.contains("no last line \"end\", so nothing is removed"), "{order:?}: {message}");
        assert_eq!(files(&var, &var).len(), all().len() + 1, "{order:?}");
        assert!(!carry_out(&var).unwrap());
        fs::remove_dir_all(&var).unwrap();
    }
}
