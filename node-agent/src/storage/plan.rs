//! What to do about the disk: a pure function of its sizes and identities.

use super::model::{Observed, Step};

/// Less room than this is alignment and the second copy of the partition table, and never worth growing for.
const WORTHWHILE_BYTES: u64 = 16 << 20;

/// What `observed` calls for, in this order: growing puts the second partition table at the disk's end, and only with that one in its place
/// can the first be written without a risk.
pub fn plan(observed: &Observed) -> Vec<Step> {
    let mut steps = Vec::new();
    let unused = observed.partition_bytes.saturating_sub(observed.file_system_bytes);
    if observed.slack_bytes >= WORTHWHILE_BYTES {
        steps.extend([Step::GrowPartition { disk: observed.disk.clone() }, Step::GrowFileSystem]);
    } else if unused >= WORTHWHILE_BYTES {
        // An earlier growing was interrupted between the two.
        steps.push(Step::GrowFileSystem);
    }
    if observed.has_image_ids {
        steps.push(Step::Identify);
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_once_and_what_was_interrupted_is_finished() {
        const MIB: u64 = 1 << 20;
        let both = || vec![Step::GrowPartition { disk: "/dev/vda".to_owned() }, Step::GrowFileSystem];
        for (slack, partition, file_system, has_image_ids, expected) in [
            (1024 * MIB, 64 * MIB, 64 * MIB, false, both()),
            (1024 * MIB, 64 * MIB, 64 * MIB, true, [both(), vec![Step::Identify]].concat()),
            (MIB, 1088 * MIB, 64 * MIB, true, vec![Step::GrowFileSystem, Step::Identify]),
            (MIB, 1088 * MIB, 64 * MIB, false, vec![Step::GrowFileSystem]),
            (MIB, 1088 * MIB, 1088 * MIB, true, vec![Step::Identify]),
            (MIB, 1088 * MIB, 1088 * MIB, false, vec![]),
            (MIB, 1088 * MIB, 1087 * MIB, false, vec![]),
            (0, 64 * MIB, 128 * MIB, false, vec![]),
        ] {
            let observed = Observed {
                disk: "/dev/vda".to_owned(),
                slack_bytes: slack,
                partition_bytes: partition,
                file_system_bytes: file_system,
                has_image_ids,
            };
            assert_eq!(plan(&observed), expected, "{observed:?}");
        }
    }
}
