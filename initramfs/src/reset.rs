//! VAR as new, if somebody ordered it (`ballast reset`): before anything on the node uses it. The order goes last, so that a reset which the
//! power cut off is begun again.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustix::ioctl;

/// The order, on VAR: a word for each thing that stays, a line each.
const ORDER: &str = "lib/ballast/reset";

/// What stays whatever is ordered: e2fsck's.
const ALWAYS: [&str; 2] = [ORDER, "lost+found"];

/// What a word stands for.
const KEEP: [(&str, &[&str]); 4] = [
    (
        "settings",
        &["lib/ballast/settings.toml", "lib/ballast/sources", "lib/ballast/sources.json", "lib/ballast/health.d"],
    ),
    ("identity", &["lib/ballast/machine-id", "lib/ballast/api", "lib/ballast/clusters"]),
    ("images", &["lib/containerd"]),
    ("pods", &["lib/ballast/pods", "lib/ballast/volumes", "log/pods"]),
];

/// In these folders lie keys, tokens and passwords: what goes of them is overwritten first.
const SECRET: [&str; 2] = ["lib/ballast", "lib/kubelet"];

/// But for what pods keep in their volumes, which may be anything, and much.
const NOT_SECRET: &str = "lib/ballast/volumes";

/// No key is longer.
const MAX_SECRET_BYTES: u64 = 1 << 20;

/// `struct fstrim_range` (linux/fs.h).
#[repr(C)]
struct Range {
    start: u64,
    length: u64,
    least: u64,
}

/// _IOWR('X', 121, struct fstrim_range).
const FITRIM: ioctl::Opcode = ioctl::opcode::read_write::<Range>(b'X', 121);

/// Does what was ordered, if anything was, in the file system that is mounted on `var`. Whether anything was.
///
/// # Errors
/// If the order is none, or something cannot be removed. The order stays, and the next boot begins again.
pub fn carry_out(var: &Path) -> Result<bool> {
    carry_out_stepwise(var, &mut || Ok(()))
}

/// The same; `step` is called before each change.
fn carry_out_stepwise(var: &Path, step: &mut impl FnMut() -> Result<()>) -> Result<bool> {
    let doing = "resetting /var, as ballast reset ordered";
    let order = match fs::read_to_string(var.join(ORDER)) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(false),
        order => order.context("reading lib/ballast/reset").context(doing)?,
    };
    let kept = kept(&order).context(doing)?;
    let gone = gone(var, Path::new(""), &kept).context(doing)?;
    for path in gone.iter().filter(|path| is_secret(path)) {
        overwrite(&var.join(path), step).context(doing)?;
    }
    sync(var).context(doing)?;
    for path in &gone {
        step()?;
        remove(&var.join(path)).context(doing)?;
    }
    sync(var).context(doing)?;
    discard(var);
    step()?;
    let order = var.join(ORDER);
    fs::remove_file(&order).with_context(|| format!("removing {}", order.display())).context(doing)?;
    sync(var).context(doing)?;
    Ok(true)
}

/// The paths that stay, by what `order` says.
fn kept(order: &str) -> Result<Vec<PathBuf>> {
    let mut kept: Vec<PathBuf> = ALWAYS.iter().map(PathBuf::from).collect();
    for word in order.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let Some((_, paths)) = KEEP.iter().find(|(known, _)| *known == word) else {
            // Another release wrote it: nothing is removed that somebody wants to keep.
            bail!("there is no {word:?} to keep, expected one of {}", KEEP.map(|(word, _)| word).join(", "));
        };
        kept.extend(paths.iter().map(PathBuf::from));
    }
    Ok(kept)
}

/// What goes of the folder `below` in `var`, by its path in `var`: neither what is kept, nor the folders that it lies in.
fn gone(var: &Path, below: &Path, kept: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let folder = var.join(below);
    let doing = || format!("reading {}", folder.display());
    let mut gone = Vec::new();
    for entry in fs::read_dir(&folder).with_context(doing)? {
        let entry = entry.with_context(doing)?;
        let path = below.join(entry.file_name());
        if kept.contains(&path) {
            continue;
        }
        let holds_some = kept.iter().any(|one| one.starts_with(&path));
        match holds_some && entry.file_type().with_context(doing)?.is_dir() {
            true => gone.extend(self::gone(var, &path, kept)?),
            false => gone.push(path),
        }
    }
    gone.sort();
    Ok(gone)
}

fn is_secret(path: &Path) -> bool {
    let below = |folder: &&str| path.starts_with(folder) || Path::new(folder).starts_with(path);
    SECRET.iter().any(below) && !path.starts_with(NOT_SECRET)
}

/// Zeroes in place of what is in a file, or in all files below a folder.
fn overwrite(path: &Path, step: &mut impl FnMut() -> Result<()>) -> Result<()> {
    let doing = || format!("overwriting {}", path.display());
    let found = fs::symlink_metadata(path).with_context(doing)?;
    if found.is_dir() {
        for entry in fs::read_dir(path).with_context(doing)? {
            let entry = entry.with_context(doing)?.path();
            if !entry.ends_with(NOT_SECRET) {
                overwrite(&entry, step)?;
            }
        }
    } else if found.is_file() && found.nlink() == 1 && (1..=MAX_SECRET_BYTES).contains(&found.len()) {
        step()?;
        let zeroes = vec![0; usize::try_from(found.len()).unwrap_or_default()];
        // Not truncated: the blocks are to be the same.
        let file = File::options().write(true).open(path);
        file.and_then(|mut file| file.write_all(&zeroes)).with_context(doing)?;
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    let doing = || format!("removing {}", path.display());
    match fs::symlink_metadata(path).with_context(doing)?.is_dir() {
        true => fs::remove_dir_all(path).with_context(doing),
        false => fs::remove_file(path).with_context(doing),
    }
}

fn sync(var: &Path) -> Result<()> {
    let folder = File::open(var).with_context(|| format!("opening {}", var.display()))?;
    rustix::fs::syncfs(&folder).context("writing to the disk")
}

/// Tells the drive that what is free has nothing in it. Not every drive wants to know.
fn discard(var: &Path) {
    let Ok(folder) = File::open(var) else { return };
    let mut range = Range { start: 0, length: u64::MAX, least: 0 };
    #[expect(unsafe_code, reason = "rustix has no wrapper for this ioctl")]
    // SAFETY: FITRIM reads and writes a struct fstrim_range, and Range is one.
    let _ = unsafe { ioctl::ioctl(&folder, ioctl::Updater::<FITRIM, Range>::new(&mut range)) };
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [&str; 13] = [
        "lib/ballast/api/server.pem",
        "lib/ballast/clusters/prod/client.pem",
        "lib/ballast/machine-id",
        "lib/ballast/pods/web.yaml",
        "lib/ballast/settings.toml",
        "lib/ballast/sources/credential.toml",
        "lib/ballast/update.json",
        "lib/ballast/volumes/u/data/file",
        "lib/containerd/io.containerd.content.v1.content/blobs/sha256/a",
        "lib/kubelet/pki/kubelet.key",
        "lib/systemd/random-seed",
        "log/journal/m/system.journal",
        "log/pods/default_web_u/c/0.log",
    ];

    fn var(name: &str, order: &str) -> PathBuf {
        // In memory: each step waits for the disk.
        let var = Path::new("/dev/shm").join(format!("ballast-initramfs-reset-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&var);
        for file in FILES {
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
            ("", &[][..]),
            ("identity\n", &FILES[..3]),
            ("settings\n", &["lib/ballast/settings.toml", "lib/ballast/sources/credential.toml"]),
            ("images\n", &[FILES[8]]),
            ("pods\n", &[FILES[3], FILES[7], FILES[12]]),
        ] {
            let var = var("kept", order);
            assert!(carry_out(&var).unwrap(), "{order}");
            assert_eq!(files(&var, &var), kept, "{order}");
            assert!(var.join("lost+found").is_dir());
            // Once.
            assert!(!carry_out(&var).unwrap());
            fs::remove_dir_all(&var).unwrap();
        }
    }

    #[test]
    fn one_that_was_cut_off_anywhere_is_begun_again() {
        for cut in 0.. {
            let var = var("cut", "identity\nimages\n");
            let mut steps = 0;
            let ended = carry_out_stepwise(&var, &mut || {
                steps += 1;
                if steps > cut { bail!("the power fails") } else { Ok(()) }
            });
            let expected = [&FILES[..3], &FILES[8..9]].concat();
            if ended.is_ok() {
                assert_eq!(files(&var, &var), expected);
                // As many cuts as there are changes: seven files are overwritten.
                assert!(cut > 10, "{cut}");
                return fs::remove_dir_all(&var).unwrap();
            }
            assert!(var.join(ORDER).is_file(), "{cut}: nobody would know of it");
            assert!(carry_out(&var).unwrap());
            assert_eq!(files(&var, &var), expected, "{cut}");
            fs::remove_dir_all(&var).unwrap();
        }
    }

    #[test]
    fn secrets_are_overwritten_before_they_go() {
        let var = var("secret", "identity\n");
        let mut steps = 0;
        // Up to the first removal.
        let gone = gone(&var, Path::new(""), &kept("identity").unwrap()).unwrap();
        for path in gone.iter().filter(|path| is_secret(path)) {
            overwrite(&var.join(path), &mut || {
                steps += 1;
                Ok(())
            })
            .unwrap();
        }
        let read = |file: &str| fs::read(var.join(file)).unwrap();
        for file in ["lib/ballast/settings.toml", "lib/ballast/sources/credential.toml", "lib/kubelet/pki/kubelet.key"]
        {
            assert_eq!(read(file), [0; 6], "{file}");
        }
        // What stays, and what is no secret.
        for file in
            ["lib/ballast/machine-id", "lib/ballast/api/server.pem", "lib/ballast/volumes/u/data/file", FILES[8]]
        {
            assert_eq!(read(file), b"secret", "{file}");
        }
        assert!(steps >= 5, "{steps}");
        fs::remove_dir_all(&var).unwrap();
    }

    #[test]
    fn an_order_that_nobody_understands_removes_nothing() {
        let var = var("unknown", "identity\nphotos\n");
        let told = format!("{:#}", carry_out(&var).unwrap_err());
        assert!(
            told.ends_with("there is no \"photos\" to keep, expected one of settings, identity, images, pods"),
            "{told}"
        );
        assert_eq!(files(&var, &var).len(), FILES.len() + 2);
        fs::remove_dir_all(&var).unwrap();
    }
}
