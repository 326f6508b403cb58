//! Whether /var has to grow: a pure function of the sizes.

use super::model::{Observed, Step};

/// Less room than this is alignment and the second copy of the partition table, and never worth growing for.
const WORTHWHILE_BYTES: u64 = 16 << 20;

/// What `observed` calls for, if anything.
pub fn plan(observed: &Observed) -> Option<Step> {
    if observed.slack_bytes >= WORTHWHILE_BYTES {
        return Some(Step::GrowBoth { disk: observed.disk.clone() });
    }
    let unused = observed.partition_bytes.saturating_sub(observed.file_system_bytes);
    (unused >= WORTHWHILE_BYTES).then_some(Step::GrowFileSystem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_once_and_an_interrupted_growing_is_finished() {
        const MIB: u64 = 1 << 20;
        let both = Some(Step::GrowBoth { disk: "/dev/vda".to_owned() });
        for (slack, partition, file_system, expected) in [
            (1024 * MIB, 64 * MIB, 64 * MIB, both),
            (MIB, 1088 * MIB, 64 * MIB, Some(Step::GrowFileSystem)),
            (MIB, 1088 * MIB, 1088 * MIB, None),
            (MIB, 1088 * MIB, 1087 * MIB, None),
            (0, 64 * MIB, 128 * MIB, None),
        ] {
            let observed = Observed {
                disk: "/dev/vda".to_owned(),
                slack_bytes: slack,
                partition_bytes: partition,
                file_system_bytes: file_system,
            };
            assert_eq!(plan(&observed), expected, "{observed:?}");
        }
    }
}
