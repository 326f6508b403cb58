//! The machine's identity: made once on VAR, shown in /etc on each boot. What is damaged is set aside and made anew: a file of 33 bytes
//! must not stop every release.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::mounts::{NEW, folder};

/// A machine-id file's content: 32 hexadecimal digits.
const LENGTH: usize = 32;
/// How many damaged ones are kept beside each other.
const SET_ASIDE: u32 = 16;

/// Who this machine is.
#[derive(Debug)]
pub struct Identity {
    /// Whether VAR had no identity.
    pub first_boot: bool,
    /// What was wrong with the one that it had, or with its place.
    pub problems: Vec<String>,
}

/// Reads the machine identity, or makes it, and puts it into /etc.
///
/// # Errors
/// If /etc cannot be written, or the kernel gives no random numbers. Whatever VAR holds is no error.
pub fn establish() -> Result<Identity> {
    let new = Path::new(NEW);
    let (machine_id, identity) = load_or_make(&new.join("var/lib/ballast"))?;
    write(&new.join("etc/machine-id"), &machine_id)?;
    Ok(identity)
}

fn load_or_make(home: &Path) -> Result<(String, Identity)> {
    let path = home.join("machine-id");
    let mut identity = Identity { first_boot: false, problems: Vec::new() };
    let damage = match load(&path) {
        Ok(Some(machine_id)) => return Ok((machine_id, identity)),
        Ok(None) => None,
        Err(error) => Some(error),
    };
    identity.first_boot = damage.is_none();
    if let Some(error) = damage {
        identity.problems.push(format!(
            "the machine-id was damaged and is set aside; this node has a new one, and is another node to its clusters: {error:#}"
        ));
    }
    let machine_id = make()?;
    if let Err(error) = keep(home, &machine_id, &mut identity.problems) {
        identity.problems.push(format!("the new machine-id is for this boot only, since it cannot be kept: {error:#}"));
    }
    Ok((machine_id, identity))
}

/// The identity in `path`; None if there is nothing.
fn load(path: &Path) -> Result<Option<String>> {
    let doing = || format!("reading {}", path.display());
    match fs::symlink_metadata(path) {
        // What stands in the way of its folder is reported when it is made.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(error).with_context(doing),
        Ok(found) if !found.is_file() => bail!("{} is no file", path.display()),
        Ok(_) => {}
    }
    let mut bytes = Vec::new();
    // A byte more than a new line needs shows that it is too long.
    File::open(path).and_then(|file| file.take(LENGTH as u64 + 2).read_to_end(&mut bytes)).with_context(doing)?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    if !is_machine_id(text) {
        bail!("{} has {text:?}, expected {LENGTH} hexadecimal digits in lower case", path.display());
    }
    Ok(Some(text.to_owned()))
}

fn is_machine_id(text: &str) -> bool {
    text.len() == LENGTH
        && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        && text.bytes().any(|b| b != b'0')
}

/// The kernel's random UUIDs are what machine-id(5) asks for, without the dashes.
fn make() -> Result<String> {
    let path = "/proc/sys/kernel/random/uuid";
    Ok(fs::read_to_string(path).with_context(|| format!("reading {path}"))?.trim_end().replace('-', ""))
}

/// It is there whole or not at all, whenever the power fails. What stands in its way is set aside.
fn keep(home: &Path, machine_id: &str, problems: &mut Vec<String>) -> Result<()> {
    for place in home.parent().into_iter().chain([home]) {
        if fs::symlink_metadata(place).is_ok_and(|found| !found.is_dir()) {
            let aside = set_aside(place)?;
            problems.push(format!("{} was no folder; what was there is {}", shown(place), shown(&aside)));
        }
        folder(place, 0o755)?;
    }
    let (path, new) = (home.join("machine-id"), home.join("machine-id.new"));
    for place in [&path, &new] {
        match fs::symlink_metadata(place) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // A cut left it there.
            Ok(found) if found.is_file() && *place == new => {
                fs::remove_file(place).with_context(|| format!("removing {}", place.display()))?;
            }
            _ => set_aside(place).map(drop)?,
        }
    }
    write(&new, machine_id)?;
    let kept = File::open(&new).and_then(|file| file.sync_all()).and_then(|()| fs::rename(&new, &path));
    kept.and_then(|()| File::open(home)?.sync_all()).with_context(|| format!("keeping {}", path.display()))
}

/// Gives what is at `path` another name, for somebody to look at; returns it.
fn set_aside(path: &Path) -> Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let names = (1..=SET_ASIDE).map(|number| path.with_file_name(format!("{name}.damaged-{number}")));
    let free = names.into_iter().find(|name| fs::symlink_metadata(name).is_err());
    let free = free.with_context(|| format!("{name} was damaged {SET_ASIDE} times; remove {name}.damaged-*"))?;
    fs::rename(path, &free).with_context(|| format!("renaming {} to {}", path.display(), free.display()))?;
    Ok(free)
}

/// As the path will be on the node.
fn shown(path: &Path) -> String {
    Path::new("/").join(path.strip_prefix(NEW).unwrap_or(path)).display().to_string()
}

fn write(path: &Path, machine_id: &str) -> Result<()> {
    let file = File::options().write(true).create(true).truncate(true).mode(0o444).open(path);
    file.and_then(|mut file| writeln!(file, "{machine_id}")).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(name: &str) -> PathBuf {
        let tree = std::env::temp_dir().join(format!("ballast-initramfs-identity-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&tree);
        fs::create_dir_all(&tree).unwrap();
        tree
    }

    #[test]
    fn made_once() {
        let tree = tree("once");
        let home = tree.join("lib/ballast");
        let (made, identity) = load_or_make(&home).unwrap();
        assert!(identity.first_boot && identity.problems.is_empty() && is_machine_id(&made), "{made} {identity:?}");
        let (again, identity) = load_or_make(&home).unwrap();
        assert!(!identity.first_boot && identity.problems.is_empty() && again == made, "{again} {identity:?}");
        fs::remove_dir_all(&tree).unwrap();
    }

    #[test]
    fn a_damaged_one_is_set_aside_and_made_anew() {
        type Damage = fn(&Path);
        let cases: [(&str, Damage); 7] = [
            ("empty", |path| fs::write(path, "").unwrap()),
            ("short", |path| fs::write(path, "0123456789abcdef").unwrap()),
            ("nuls", |path| fs::write(path, [0; 33]).unwrap()),
            ("bytes", |path| fs::write(path, [0xff; 33]).unwrap()),
            ("long", |path| fs::write(path, "0123456789abcdef0123456789abcdef\n\n\n").unwrap()),
            ("folder", |path| fs::create_dir(path).unwrap()),
            ("link", |path| std::os::unix::fs::symlink("/nowhere", path).unwrap()),
        ];
        for (name, damage) in cases {
            let tree = tree(name);
            let home = tree.join("lib/ballast");
            fs::create_dir_all(home.join("machine-id.new")).unwrap();
            damage(&home.join("machine-id"));
            let (made, identity) = load_or_make(&home).unwrap();
            assert!(is_machine_id(&made) && !identity.first_boot, "{name}: {made}");
            assert!(matches!(&identity.problems[..], [one] if one.contains("set aside")), "{name}: {identity:?}");
            assert!(fs::symlink_metadata(home.join("machine-id.damaged-1")).is_ok(), "{name}");
            let (again, identity) = load_or_make(&home).unwrap();
            assert!(again == made && identity.problems.is_empty(), "{name}: {again} {identity:?}");
            fs::remove_dir_all(&tree).unwrap();
        }
    }

    #[test]
    fn what_stands_in_the_folders_place_is_set_aside() {
        let tree = tree("place");
        let home = tree.join("lib/ballast");
        fs::create_dir_all(home.parent().unwrap()).unwrap();
        fs::write(&home, "no folder").unwrap();
        let (made, identity) = load_or_make(&home).unwrap();
        assert!(identity.first_boot && identity.problems.len() == 1, "{identity:?}");
        assert_eq!(fs::read_to_string(tree.join("lib/ballast.damaged-1")).unwrap(), "no folder");
        assert_eq!(load_or_make(&home).unwrap().0, made);
        fs::remove_dir_all(&tree).unwrap();
    }

    #[test]
    fn one_that_cannot_be_kept_holds_for_this_boot() {
        // A kernel file system takes no new files, from nobody.
        let (made, identity) = load_or_make(Path::new("/proc/ballast/lib")).unwrap();
        assert!(is_machine_id(&made), "{made}");
        assert!(matches!(&identity.problems[..], [one] if one.contains("cannot be kept")), "{identity:?}");
    }

    #[test]
    fn what_is_one() {
        for (text, expected) in [
            ("0123456789abcdef0123456789abcdef", true),
            ("0123456789ABCDEF0123456789abcdef", false),
            ("00000000000000000000000000000000", false),
            ("0123456789abcdef", false),
            ("", false),
        ] {
            assert_eq!(is_machine_id(text), expected, "{text}");
        }
    }
}
