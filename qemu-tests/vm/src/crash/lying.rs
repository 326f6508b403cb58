//! A disk that lies: it answers a flush at once, and writes what it was given when it comes to it. The same recording, as if most of its
//! flushes were none.
//!
//! ```text
//!  w w F w F w w F w F …     honest: what stands before a flush is on the disk when the next write is sent
//!  w w · w · w w · w F …     lying, 4 flushes long: any of these may be missing
//! ```

use super::log::{Entry, Log};

/// The `log` of a disk that heeds each `every`-th flush only: so long is what its cache may lose. Marks count entries: what is left out
/// leaves one that does nothing.
pub fn drops_flushes(log: &Log, every: usize) -> Log {
    let mut flushes = 0;
    let heeded = |entry: &Entry| {
        flushes += usize::from(*entry == Entry::Flush);
        let is_dropped = *entry == Entry::Flush && !flushes.is_multiple_of(every.max(1));
        if is_dropped { Entry::Mark("a flush that was dropped".to_owned()) } else { entry.clone() }
    };
    Log { entries: log.entries.iter().map(heeded).collect(), ..log.clone() }
}

#[cfg(test)]
mod tests {
    use super::super::cut::epochs;
    use super::super::log::Writer;
    use super::*;

    #[test]
    fn what_is_written_between_flushes_that_are_dropped_is_one_epoch() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut writer = Writer::create(&path).unwrap();
        for number in 0..5 {
            writer.write(number * 512, &[1; 512], false).unwrap();
            writer.flush().unwrap();
        }
        let log = Log::read(&path).unwrap();
        let writes =
            |every| epochs(&drops_flushes(&log, every)).iter().map(|epoch| epoch.writes.len()).collect::<Vec<_>>();
        assert_eq!((writes(1), writes(2), writes(9)), (vec![1, 1, 1, 1, 1, 0], vec![2, 2, 1], vec![5]));
        assert_eq!(drops_flushes(&log, 2).entries.len(), log.entries.len());
    }
}
