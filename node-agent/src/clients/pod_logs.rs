//! What containers wrote: `/var/log/pods/NAMESPACE_NAME_UID/CONTAINER/ATTEMPT.log`, lines of `TIME STREAM TAG MESSAGE` (the CRI's format).

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, bail};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::host::Host;

/// Where they are.
const FOLDER: &str = "/var/log/pods";

/// So much is read at a time.
const PIECE: u64 = 64 << 10;

/// Whose log.
#[derive(Debug, Clone)]
pub struct Place {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The container; None if there is only one.
    pub container: Option<String>,
    /// Of the container that ran before this one.
    pub previous: bool,
}

/// How far a container's log is read.
#[derive(Debug)]
pub struct Position {
    folder: PathBuf,
    attempt: u32,
    inode: u64,
    offset: u64,
    /// The beginning of a line.
    left: Vec<u8>,
    /// Older lines are left out.
    since: Option<OffsetDateTime>,
    /// Whether that container is meant, and none that comes after it.
    is_only: bool,
}

/// The last `lines` lines at `place`, of none that is older than `since_secs`.
///
/// # Errors
/// If there is no such pod or container, or its log cannot be read.
pub fn find(host: &Host, place: &Place, lines: Option<u32>, since_secs: Option<u64>) -> Result<Position> {
    let Place { namespace, pod, container, previous } = place;
    let all = host.path(FOLDER);
    let prefix = format!("{namespace}_{pod}_");
    let mut pods = entries(&all)?;
    pods.retain(|(name, _)| name.starts_with(&prefix));
    // Of a pod that was changed the older one's may be there, too.
    let Some((_, pod_folder)) = pods.into_iter().max_by_key(|(_, path)| modified(path)) else {
        bail!("there are no logs of a pod {namespace}/{pod}; see ballast status")
    };
    let containers: Vec<String> = entries(&pod_folder)?.into_iter().map(|(name, _)| name).collect();
    let container = match (container, containers.as_slice()) {
        (Some(container), all) if all.contains(container) => container,
        (None, [only]) => only,
        (Some(container), all) => {
            bail!("pod {namespace}/{pod} has no logs of a container {container}, only of {}", all.join(", "))
        }
        (None, []) => bail!("pod {namespace}/{pod} has no logs yet"),
        (None, several) => bail!("pod {namespace}/{pod} has several containers; name one of {}", several.join(", ")),
    };
    let folder = pod_folder.join(container);
    let attempt = latest(&folder)?.with_context(|| format!("container {container} has no logs yet"))?;
    let before = || attempt.checked_sub(1).filter(|before| folder.join(format!("{before}.log")).exists());
    let attempt = match previous {
        false => attempt,
        true => before().with_context(|| format!("there are no logs of a container {container} before this one"))?,
    };
    let mut position =
        Position { folder, attempt, inode: 0, offset: 0, left: Vec::new(), since: None, is_only: *previous };
    position.since =
        since_secs.and_then(|secs| SystemTime::now().checked_sub(Duration::from_secs(secs))).map(OffsetDateTime::from);
    position.inode = fs::metadata(position.file()).context("reading the pod's log")?.ino();
    if let Some(lines) = lines {
        position.offset = tail(&position.file(), lines).context("reading the pod's log")?;
    }
    Ok(position)
}

impl Position {
    fn file(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.attempt))
    }

    /// The lines that come next, not more than fit into a piece; none at the end.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn read_on(mut self) -> Result<(Self, Vec<String>)> {
        loop {
            let path = self.file();
            let doing = || format!("reading {}", path.display());
            let Some(mut file) = self.open(&path).with_context(doing)? else { return Ok((self, Vec::new())) };
            let now = file.metadata().with_context(doing)?.ino();
            if now != self.inode {
                // Begun anew more than once since: what is lost is lost.
                (self.offset, self.inode) = (0, now);
            }
            file.seek(SeekFrom::Start(self.offset)).with_context(doing)?;
            let mut piece = Vec::new();
            self.offset += file.take(PIECE).read_to_end(&mut piece).with_context(doing)? as u64;
            if piece.is_empty() {
                if self.is_only {
                    return Ok((self, Vec::new()));
                }
                match latest(&self.folder)? {
                    // The container was started again.
                    Some(latest) if latest > self.attempt => self.attempt = latest,
                    // The log was begun anew.
                    Some(_) if fs::metadata(&path).is_ok_and(|now| now.ino() != self.inode) => {}
                    Some(_) | None => return Ok((self, Vec::new())),
                }
                (self.offset, self.inode) = (0, fs::metadata(self.file()).with_context(doing)?.ino());
                continue;
            }
            self.left.append(&mut piece);
            let lines = self.lines();
            if !lines.is_empty() {
                return Ok((self, lines));
            }
        }
    }

    /// The file that was read last, whatever it is called now.
    fn open(&self, path: &Path) -> std::io::Result<Option<File>> {
        for candidate in [path.to_owned(), PathBuf::from(format!("{}.1", path.display()))] {
            match File::open(&candidate) {
                Ok(file) if file.metadata()?.ino() == self.inode => return Ok(Some(file)),
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        match File::open(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    }

    fn lines(&mut self) -> Vec<String> {
        let Some(end) = self.left.iter().rposition(|byte| *byte == b'\n') else {
            // A container may write without an end.
            return if self.left.len() as u64 >= PIECE { self.pieces(self.left.len()) } else { Vec::new() };
        };
        self.pieces(end + 1)
    }

    fn pieces(&mut self, end: usize) -> Vec<String> {
        let whole: Vec<u8> = self.left.drain(..end).collect();
        let text = String::from_utf8_lossy(&whole);
        text.lines().filter_map(|line| message(line, self.since)).map(str::to_owned).collect()
    }
}

/// What a container wrote, without time, stream and tag; None if it is older than `since`.
fn message(line: &str, since: Option<OffsetDateTime>) -> Option<&str> {
    let mut parts = line.splitn(4, ' ');
    let (Some(time), Some("stdout" | "stderr"), Some(_), Some(message)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Some(line);
    };
    match (since, OffsetDateTime::parse(time, &Rfc3339)) {
        (Some(since), Ok(time)) if time < since => None,
        (_, _) => Some(message),
    }
}

fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let doing = || format!("reading {}", folder.display());
    let read = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.with_context(doing)?,
    };
    let mut all = Vec::new();
    for entry in read {
        let entry = entry.with_context(doing)?;
        all.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
    }
    all.sort();
    Ok(all)
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// The last attempt that has a log.
fn latest(folder: &Path) -> Result<Option<u32>> {
    let attempt = |(name, _): (String, PathBuf)| name.strip_suffix(".log")?.parse().ok();
    Ok(entries(folder)?.into_iter().filter_map(attempt).max())
}

/// Where the last `lines` lines begin.
fn tail(file: &Path, lines: u32) -> std::io::Result<u64> {
    let mut file = File::open(file)?;
    let mut begin = file.metadata()?.len();
    let mut ends = 0;
    while begin > 0 {
        let from = begin.saturating_sub(PIECE);
        file.seek(SeekFrom::Start(from))?;
        let mut piece = Vec::new();
        (&mut file).take(begin - from).read_to_end(&mut piece)?;
        for (at, byte) in piece.iter().enumerate().rev() {
            if *byte == b'\n' {
                ends += 1;
                if ends > lines {
                    return Ok(from + at as u64 + 1);
                }
            }
        }
        begin = from;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Logs {
        _tree: tempfile::TempDir,
        host: Host,
    }

    impl Logs {
        fn new() -> Self {
            let tree = tempfile::tempdir().unwrap();
            let host = Host::new(tree.path());
            Self { _tree: tree, host }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.host.path(FOLDER).join(name)
        }

        fn write(&self, name: &str, text: &str) {
            let path = self.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn append(&self, name: &str, text: &str) {
            let old = fs::read_to_string(self.path(name)).unwrap();
            // In place: the same file.
            fs::write(self.path(name), old + text).unwrap();
        }

        fn find(&self, container: Option<&str>, lines: Option<u32>, since_secs: Option<u64>) -> Result<Position> {
            let place = Place {
                namespace: "default".to_owned(),
                pod: "web".to_owned(),
                container: container.map(str::to_owned),
                previous: false,
            };
            find(&self.host, &place, lines, since_secs)
        }
    }

    fn line(time: &str, text: &str) -> String {
        format!("{time} stdout F {text}\n")
    }

    const TIME: &str = "2026-11-30T10:00:00.000000001Z";

    #[test]
    fn the_log_is_followed_over_rotation_and_restart() {
        let logs = Logs::new();
        logs.write(
            "default_web_u1/c/0.log",
            &(line(TIME, "one") + &line(TIME, "two") + "2026-11-30T10:00:00Z stdout F thr"),
        );
        let position = logs.find(None, None, None).unwrap();
        let (position, read) = position.read_on().unwrap();
        assert_eq!(read, ["one", "two"]);
        let (position, read) = position.read_on().unwrap();
        assert_eq!(read, [""; 0]);
        logs.append("default_web_u1/c/0.log", "ee\n");
        let (position, read) = position.read_on().unwrap();
        assert_eq!(read, ["three"]);
        // Begun anew, after a last line in the old file.
        logs.append("default_web_u1/c/0.log", &line(TIME, "four"));
        fs::rename(logs.path("default_web_u1/c/0.log"), logs.path("default_web_u1/c/0.log.1")).unwrap();
        logs.write("default_web_u1/c/0.log", &line(TIME, "five"));
        let (position, read) = position.read_on().unwrap();
        assert_eq!(read, ["four"]);
        let (position, read) = position.read_on().unwrap();
        assert_eq!(read, ["five"]);
        // Started again.
        logs.write("default_web_u1/c/1.log", &line(TIME, "six"));
        let (_, read) = position.read_on().unwrap();
        assert_eq!(read, ["six"]);
        // What ran before it, and not on.
        let place = |previous| Place {
            namespace: "default".to_owned(),
            pod: "web".to_owned(),
            container: Some("c".to_owned()),
            previous,
        };
        let (position, read) = find(&logs.host, &place(true), None, None).unwrap().read_on().unwrap();
        assert_eq!(read, ["five"]);
        assert_eq!(position.read_on().unwrap().1, [""; 0]);
        assert_eq!(find(&logs.host, &place(false), None, None).unwrap().read_on().unwrap().1, ["six"]);
        fs::remove_file(logs.path("default_web_u1/c/0.log")).unwrap();
        let message = format!("{:#}", find(&logs.host, &place(true), None, None).unwrap_err());
        assert_eq!(message, "there are no logs of a container c before this one");
    }

    #[test]
    fn the_last_lines_and_the_latest_ones() {
        let logs = Logs::new();
        let now = OffsetDateTime::now_utc().format(&Rfc3339).unwrap();
        let many: String = (0..5000).map(|number| line(TIME, &format!("{number} {}", "x".repeat(40)))).collect();
        logs.write("default_web_u1/c/0.log", &(many + &line(&now, "last")));
        let read = |position: Position| position.read_on().unwrap().1;
        let two = read(logs.find(None, Some(2), None).unwrap());
        assert!(two.len() == 2 && two[0].starts_with("4999 ") && two[1] == "last", "{two:?}");
        assert_eq!(read(logs.find(None, Some(0), None).unwrap()), [""; 0]);
        // Longer than a piece from the end.
        let many = logs.find(None, Some(3000), None).unwrap();
        assert!(read(many)[0].starts_with("2001 "));
        assert_eq!(read(logs.find(None, None, Some(3600)).unwrap()), ["last"]);
        assert_eq!(message("no such format", None), Some("no such format"));
    }

    #[test]
    fn what_is_not_there_is_named() {
        let logs = Logs::new();
        let message = |container| format!("{:#}", logs.find(container, None, None).unwrap_err());
        assert_eq!(message(None), "there are no logs of a pod default/web; see ballast status");
        logs.write("default_web_u1/a/0.log", "");
        logs.write("default_web_u1/b/0.log", "");
        logs.write("default_webber_u1/z/0.log", "");
        assert_eq!(message(None), "pod default/web has several containers; name one of a, b");
        assert_eq!(message(Some("c")), "pod default/web has no logs of a container c, only of a, b");
        assert!(logs.find(Some("a"), None, None).is_ok());
    }
}
