//! VAR as new, if somebody ordered it (`ballast reset`): before anything on the node uses it. The order goes after all else, so that a reset
//! which the power cut off is begun again; and it goes whatever failed, so that one which was carried out is not.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::ioctl;

use crate::failure;

/// The order, on VAR: a word for each thing that stays, a line each, and [`END`].
const ORDER: &str = "lib/ballast/reset";

/// The last line of an order: one that lost it may have lost words before it.
const END: &str = "end";

/// What stays whatever is ordered: e2fsck's, and what no upgrade may go back behind (the floor, what is revoked, what failed).
const ALWAYS: [&str; 3] = [ORDER, "lost+found", "lib/ballast/update.json"];

/// What a word stands for.
const KEEP: [(&str, &[&str]); 4] = [
    (
        "settings",
        &[
            "lib/ballast/settings.toml",
            "lib/ballast/settings.trial.json",
            "lib/ballast/settings.before.toml",
            "lib/ballast/sources",
            "lib/ballast/sources.json",
            "lib/ballast/health.d",
            "lib/ballast/keys",
        ],
    ),
    ("identity", &["lib/ballast/machine-id", "lib/ballast/api", "lib/ballast/clusters"]),
    ("images", &["lib/containerd"]),
    ("pods", &["lib/ballast/pods", "lib/ballast/volumes", "lib/ballast/seccomp", "log/pods"]),
];

/// In these folders lie keys, tokens and passwords: what goes of them is overwritten first.
const SECRET: [&str; 2] = ["lib/ballast", "lib/kubelet"];

/// But for what pods keep in their volumes, which may be anything, and much.
const NOT_SECRET: &str = "lib/ballast/volumes";

/// No key is longer.
const MAX_SECRET_BYTES: u64 = 1 << 20;

/// For everything, so that the boot goes on: many millions of files, or a disk that hardly answers.
const DEADLINE: Duration = Duration::from_secs(200);

/// So many failures are reported; of the others, how many there are.
const MAX_REPORTED: usize = 3;

/// Within a longer path the standard library removes what there is, which knows how, but not the deadline.
const MAX_PATH_BYTES: usize = 1024;

/// So much is discarded at a time.
const DISCARD_BYTES: u64 = 4 << 30;

/// `struct fstrim_range` (linux/fs.h).
#[repr(C)]
struct Range {
    start: u64,
    length: u64,
    least: u64,
}

/// _IOWR('X', 121, struct fstrim_range).
const FITRIM: ioctl::Opcode = ioctl::opcode::read_write::<Range>(b'X', 121);

/// A reset under way.
struct Work<'a> {
    until: Instant,
    /// Called before each change.
    step: &'a mut dyn FnMut() -> Result<()>,
    failures: usize,
    /// The first of them.
    reported: Vec<String>,
}

impl<'a> Work<'a> {
    fn begin(within: Duration, step: &'a mut dyn FnMut() -> Result<()>) -> Self {
        Self { until: Instant::now() + within, step, failures: 0, reported: Vec::new() }
    }
}

impl Work<'_> {
    /// Before each change: whether it may be made.
    fn next(&mut self) -> Result<()> {
        ensure!(Instant::now() < self.until, "not done after {} s: order it again for the rest", DEADLINE.as_secs());
        (self.step)()
    }

    /// It goes on whatever failed.
    fn note(&mut self, done: Result<()>) {
        let Err(error) = done else { return };
        self.failures += 1;
        if self.reported.len() < MAX_REPORTED {
            self.reported.push(format!("{error:#}"));
        }
    }

    /// # Errors
    /// If anything failed.
    fn end(self) -> Result<()> {
        let reported = self.reported.join("; ");
        match self.failures - self.reported.len() {
            0 if reported.is_empty() => Ok(()),
            0 => bail!(reported),
            more => bail!("{reported}; and {more} more"),
        }
    }
}

/// Does what was ordered, if anything was, in the file system that is mounted on `var`. Whether anything was.
///
/// # Errors
/// If the order is none, or something cannot be removed: the rest is gone all the same, and so is the order. An order with a word that another
/// release wrote stays, and nothing is removed.
pub fn carry_out(var: &Path) -> Result<bool> {
    carry_out_stepwise(var, DEADLINE, &mut || Ok(()))
}

/// The same within a time; `step` is called before each change.
fn carry_out_stepwise(var: &Path, within: Duration, step: &mut dyn FnMut() -> Result<()>) -> Result<bool> {
    let doing = "resetting /var, as ballast reset ordered";
    let order = match fs::read(var.join(ORDER)) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(false),
        order => order.context("reading lib/ballast/reset").context(doing)?,
    };
    failure::allow(within);
    let mut work = Work::begin(within, step);
    let whole = words(&order);
    let emptied = match &whole {
        Some(words) => empty(var, &kept(words).context(doing)?, &mut work),
        None => Err(anyhow!("the order has no last line \"{END}\", so nothing is removed; order it again")),
    };
    work.note(emptied);
    (work.step)()?;
    let order = var.join(ORDER);
    let ended = fs::remove_file(&order).with_context(|| format!("removing {}", order.display()));
    work.note(ended.and_then(|()| sync(var)));
    // Last: a drive may take its time for this.
    if whole.is_some() {
        discard(var, work.until);
    }
    work.end().context(doing).map(|()| true)
}

/// The words of an order; None if it is not whole.
fn words(order: &[u8]) -> Option<Vec<&str>> {
    let order = std::str::from_utf8(order).ok()?.strip_suffix('\n')?;
    let mut words: Vec<&str> = order.lines().collect();
    words.pop().filter(|last| *last == END).map(|_| words)
}

/// # Errors
/// If the time is up, or the folder cannot be read.
fn empty(var: &Path, kept: &[PathBuf], work: &mut Work<'_>) -> Result<()> {
    let gone = gone(var, Path::new(""), kept)?;
    for path in gone.iter().filter(|path| is_secret(path)) {
        overwrite(&var.join(path), work)?;
    }
    work.note(sync(var));
    for path in &gone {
        remove(&var.join(path), work)?;
    }
    work.note(sync(var));
    Ok(())
}

/// The paths that stay, by the `words` of an order.
fn kept(words: &[&str]) -> Result<Vec<PathBuf>> {
    let mut kept: Vec<PathBuf> = ALWAYS.iter().map(PathBuf::from).collect();
    for word in words {
        let Some((_, paths)) = KEEP.iter().find(|(known, _)| known == word) else {
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
///
/// # Errors
/// If the time is up. What else fails is noted.
fn overwrite(path: &Path, work: &mut Work<'_>) -> Result<()> {
    let doing = || format!("overwriting {}", path.display());
    let found = match fs::symlink_metadata(path).with_context(doing) {
        Ok(found) => found,
        Err(error) => {
            work.note(Err(error));
            return Ok(());
        }
    };
    if found.is_dir() {
        each(path, work, |entry, work| if entry.ends_with(NOT_SECRET) { Ok(()) } else { overwrite(entry, work) })?;
    } else if found.is_file() && found.nlink() == 1 && (1..=MAX_SECRET_BYTES).contains(&found.len()) {
        work.next()?;
        let zeroes = vec![0; usize::try_from(found.len()).unwrap_or_default()];
        // Not truncated: the blocks are to be the same.
        let file = File::options().write(true).open(path);
        work.note(file.and_then(|mut file| file.write_all(&zeroes)).with_context(doing));
    }
    Ok(())
}

/// Calls `visit` with all that is in a folder. That it cannot be read is noted.
fn each(folder: &Path, work: &mut Work<'_>, visit: fn(&Path, &mut Work<'_>) -> Result<()>) -> Result<()> {
    let doing = || format!("reading {}", folder.display());
    let entries = match fs::read_dir(folder).with_context(doing) {
        Ok(entries) => entries,
        Err(error) => {
            work.note(Err(error));
            return Ok(());
        }
    };
    for entry in entries {
        match entry.with_context(doing) {
            Ok(entry) => visit(&entry.path(), work)?,
            Err(error) => {
                work.note(Err(error));
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Removes a file, or a folder with all that is in it.
///
/// # Errors
/// If the time is up. What else fails is noted.
fn remove(path: &Path, work: &mut Work<'_>) -> Result<()> {
    let doing = || format!("removing {}", path.display());
    let is_folder = match fs::symlink_metadata(path).with_context(doing) {
        Ok(found) => found.is_dir(),
        Err(error) => {
            work.note(Err(error));
            return Ok(());
        }
    };
    if !is_folder {
        work.next()?;
        work.note(fs::remove_file(path).with_context(doing));
    } else if path.as_os_str().len() > MAX_PATH_BYTES {
        work.next()?;
        work.note(fs::remove_dir_all(path).with_context(doing));
    } else {
        let failures = work.failures;
        each(path, work, remove)?;
        work.next()?;
        // What is in it still was reported.
        if work.failures == failures {
            work.note(fs::remove_dir(path).with_context(doing));
        }
    }
    Ok(())
}

fn sync(var: &Path) -> Result<()> {
    let folder = File::open(var).with_context(|| format!("opening {}", var.display()))?;
    rustix::fs::syncfs(&folder).context("writing to the disk")
}

/// Discards: tells the drive that what is free has nothing in it, as far as it gets in time. Not every drive wants to know.
fn discard(var: &Path, until: Instant) {
    let Ok(folder) = File::open(var) else { return };
    let mut start = 0;
    while Instant::now() < until {
        let mut range = Range { start, length: DISCARD_BYTES, least: 0 };
        #[expect(unsafe_code, reason = "rustix has no wrapper for this ioctl")]
        // SAFETY: FITRIM reads and writes a struct fstrim_range, and Range is one.
        let done = unsafe { ioctl::ioctl(&folder, ioctl::Updater::<FITRIM, Range>::new(&mut range)) };
        // EINVAL: past the end.
        if done.is_err() {
            return;
        }
        start += DISCARD_BYTES;
    }
}

#[cfg(test)]
mod tests;
