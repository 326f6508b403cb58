//! What is mounted below a folder that is to be removed. A container may have mounted there (mountPropagation: Bidirectional), a file
//! server's data for instance: they are others' data, and go with no pod.

use std::{
    ffi::OsString,
    fs,
    io::ErrorKind,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use rustix::{
    io::Errno,
    mount::{UnmountFlags, unmount},
};

/// Our own mounts, whatever the root of the host is: they are what a removal crosses.
const TABLE: &str = "/proc/self/mountinfo";

/// One mount may hide others of the same place, and each of them comes to light when it is gone.
const ROUNDS: usize = 16;

/// Detaches all that is mounted at or below `folder`.
///
/// # Errors
/// If something stays mounted: nothing below may be removed then.
pub(super) fn detach_below(folder: &Path) -> Result<()> {
    let folder = match fs::canonicalize(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        found => found.with_context(|| format!("looking for {}", folder.display()))?,
    };
    let table = || fs::read(TABLE).with_context(|| format!("reading {TABLE}"));
    // Detached, so that a file that is still open holds nothing up.
    detach(&folder, table, |place| unmount(place, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW))
}

fn detach(
    folder: &Path,
    table: impl Fn() -> Result<Vec<u8>>,
    unmount: impl Fn(&Path) -> Result<(), Errno>,
) -> Result<()> {
    for _ in 0..ROUNDS {
        let places = below(&table()?, folder);
        if places.is_empty() {
            return Ok(());
        }
        for place in places {
            match unmount(&place) {
                // One that is propagated goes with another.
                Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
                Err(error) => return Err(error).with_context(|| format!("unmounting {}", place.display())),
            }
        }
    }
    match below(&table()?, folder).first() {
        None => Ok(()),
        Some(place) => bail!("{} stays mounted: nothing in {} is removed", place.display(), folder.display()),
    }
}

/// The mount points at or below `folder`, the deepest first, proc_pid_mountinfo(5).
fn below(table: &[u8], folder: &Path) -> Vec<PathBuf> {
    let place = |line: &[u8]| line.split(|byte| *byte == b' ').nth(4).map(plain);
    let mut places: Vec<PathBuf> = table.split(|byte| *byte == b'\n').filter_map(place).collect();
    places.retain(|place| place.starts_with(folder));
    places.sort_by_key(|place| std::cmp::Reverse(place.components().count()));
    places
}

/// A path as it is: blanks, tabs, newlines and backslashes are written in octal, as `\040`.
fn plain(written: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(written.len());
    let mut rest = written;
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.get(..3).and_then(|digits| str::from_utf8(digits).ok());
        let escaped = digits.filter(|_| *first == b'\\').and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { behind.get(3..).unwrap_or_default() } else { behind };
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn table(places: &[&str]) -> Vec<u8> {
        let line = |place: &&str| format!("30 22 0:25 / {place} rw,relatime shared:1 - nfs nas:/data rw\n");
        places.iter().map(line).collect::<String>().into_bytes()
    }

    #[test]
    fn what_is_mounted_below_is_detached_from_its_end() {
        let mounted = RefCell::new(vec![
            "/",
            "/v",
            "/v/u",
            "/v/u/e",
            "/v/u/e/nas\\0401",
            "/v/u/e/nas\\0401",
            "/v/u2/e",
            "/v/u/e/nas\\0401/x",
        ]);
        let order = RefCell::new(Vec::new());
        let unmount = |place: &Path| {
            order.borrow_mut().push(place.display().to_string());
            let mut all = mounted.borrow_mut();
            let at = all.iter().rposition(|one| plain(one.as_bytes()) == place).ok_or(Errno::INVAL)?;
            all.remove(at);
            Ok(())
        };
        detach(Path::new("/v/u"), || Ok(table(&mounted.borrow())), unmount).unwrap();
        assert_eq!(*mounted.borrow(), ["/", "/v", "/v/u2/e"]);
        assert_eq!(*order.borrow(), ["/v/u/e/nas 1/x", "/v/u/e/nas 1", "/v/u/e/nas 1", "/v/u/e", "/v/u"]);
    }

    #[test]
    fn what_stays_mounted_or_is_not_known_is_an_error() {
        let of = |answer: Result<(), Errno>| {
            let found = detach(Path::new("/v/u"), || Ok(table(&["/v/u/nas"])), |_| answer);
            format!("{:#}", found.unwrap_err())
        };
        assert_eq!(of(Ok(())), "/v/u/nas stays mounted: nothing in /v/u is removed");
        assert!(of(Err(Errno::PERM)).starts_with("unmounting /v/u/nas: "), "{}", of(Err(Errno::PERM)));
        assert!(detach(Path::new("/v/u"), || bail!("no table"), |_| Ok(())).is_err());
    }
}
