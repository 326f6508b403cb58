//! Who has a saved node: many that restore it, or one that makes or removes it. A lock (flock(2)), between threads and between processes.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::deadline::Deadline;

/// A boot on a busy host, and those before it that failed.
const TIMEOUT: Duration = Duration::from_secs(1800);
const PAUSE: Duration = Duration::from_millis(200);

/// Held until it is dropped, or its process ends.
pub(super) struct Hold {
    _file: File,
}

impl Hold {
    /// Together with others.
    pub(super) fn shared(lock: &Path) -> Result<Self> {
        Self::of(lock, FlockOperation::NonBlockingLockShared)
    }

    /// With nobody else.
    pub(super) fn alone(lock: &Path) -> Result<Self> {
        Self::of(lock, FlockOperation::NonBlockingLockExclusive)
    }

    fn of(lock: &Path, operation: FlockOperation) -> Result<Self> {
        let what = || format!("locking {}", lock.display());
        let file = File::create(lock).with_context(what)?;
        let deadline = Deadline::after(TIMEOUT);
        let held = deadline.poll(PAUSE, || match flock(&file, operation) {
            Ok(()) => Ok(Some(())),
            Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(None),
            Err(error) => Err(error),
        });
        held.with_context(what)?.with_context(|| format!("{} was not free within {deadline}", lock.display()))?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_hold_together_and_one_alone() {
        let place = tempfile::tempdir().unwrap();
        let lock = place.path().join("lock");
        let together = [Hold::shared(&lock).unwrap(), Hold::shared(&lock).unwrap()];
        let file = File::create(&lock).unwrap();
        assert!(flock(&file, FlockOperation::NonBlockingLockExclusive).is_err());
        drop(together);
        let alone = Hold::alone(&lock).unwrap();
        assert!(flock(&file, FlockOperation::NonBlockingLockShared).is_err());
        drop(alone);
        Hold::shared(&lock).unwrap();
    }
}
