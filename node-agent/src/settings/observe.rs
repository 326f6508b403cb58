//! Reads the settings file.

use std::{
    fs::File,
    io::{ErrorKind, Read},
};

use anyhow::{Context, Result, bail};
use ballast_settings::{MAX_BYTES, Rank, Source};

use super::model::{Problem, Settings};
use crate::clients::host::Host;

/// Where the operator's settings are.
pub const FILE: &str = "/var/lib/ballast/settings.toml";

/// The settings, and what is wrong with their file. Without a file all is as it is when nothing was said.
pub fn observe(host: &Host) -> (Settings, Vec<Problem>) {
    match read(host) {
        Ok(Some(bytes)) => ballast_settings::settings(&[Source::new(FILE, Rank::Node, &bytes)]),
        Ok(None) => (Settings::default(), Vec::new()),
        Err(error) => {
            let what = format!("{error:#}; no setting applies");
            let problem = Problem { file: FILE.to_owned(), place: None, key: None, what, expected: String::new() };
            (Settings::default(), vec![problem])
        }
    }
}

fn read(host: &Host) -> Result<Option<Vec<u8>>> {
    let path = host.path(FILE);
    let doing = "reading it";
    let metadata = match path.metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        metadata => metadata.context(doing)?,
    };
    // A pipe would make the agent wait for whoever writes to it.
    if !metadata.is_file() {
        bail!("it is not a regular file");
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)).context(doing)?;
    if bytes.len() > MAX_BYTES {
        bail!("it has more than {} KiB", MAX_BYTES / 1024);
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_cannot_be_read_is_named_and_nothing_applies() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        let path = host.path(FILE);
        assert_eq!(observe(&host), (Settings::default(), vec![]));

        fs::create_dir_all(&path).unwrap();
        let told = |host| observe(host).1.iter().map(Problem::to_string).collect::<Vec<_>>();
        assert_eq!(told(&host), [format!("{FILE}: it is not a regular file; no setting applies")]);

        fs::remove_dir(&path).unwrap();
        fs::write(&path, vec![b'#'; 300 * 1024]).unwrap();
        assert_eq!(told(&host), [format!("{FILE}: it has more than 256 KiB; no setting applies")]);

        fs::write(&path, "[update]\nauto = true\n").unwrap();
        let (settings, problems) = observe(&host);
        assert_eq!((settings.update.auto, problems), (true, vec![]));
    }
}
