//! Epochs and cuts of logs that are made here.

use std::collections::HashSet;

use proptest::prelude::*;

use super::super::log::Kind;
use super::*;

fn write(length: u64, is_durable: bool) -> Write {
    Write { offset: 0, length, kind: Kind::Discard, is_durable }
}

fn log(entries: Vec<Entry>) -> Log {
    Log { path: "/log".into(), sector_bytes: 512, entries }
}

/// `w` a write, `d` one with FUA, `F` a flush, `m` a mark.
fn log_of(text: &str) -> Log {
    let entry = |sign| match sign {
        'w' => Entry::Write(write(8192, false)),
        'd' => Entry::Write(write(512, true)),
        'm' => Entry::Mark("m".into()),
        _ => Entry::Flush,
    };
    log(text.chars().map(entry).collect())
}

fn whole(cut: &Cut, epoch: &Epoch) -> Vec<usize> {
    cut.pieces(epoch).iter().map(|piece| piece.write).collect()
}

#[test]
fn a_flush_ends_an_epoch_and_empty_ones_are_none() {
    let epochs = epochs(&log_of("wwFFmwFw"));
    let shape: Vec<_> = epochs.iter().map(|epoch| (epoch.writes.len(), epoch.entries.clone())).collect();
    assert_eq!(shape, [(2, 0..2), (1, 4..6), (1, 7..8)]);
}

#[test]
fn each_choice_is_what_it_is_called() {
    let epochs = epochs(&log_of("wwww"));
    let there = |choice| whole(&Cut { epoch: 0, choice }, &epochs[0]);
    assert_eq!(there(Choice::Prefix(0)), [0; 0]);
    assert_eq!(there(Choice::Prefix(2)), [0, 1]);
    assert_eq!(there(Choice::Without(1)), [0, 2, 3]);
    assert_eq!(there(Choice::Only(2)), [2]);
    let torn = |side| Cut { epoch: 0, choice: Choice::Torn { write: 2, at: 512, side } }.pieces(&epochs[0]);
    assert_eq!(torn(Side::Front)[2], Piece { write: 2, from: 0, to: 512 });
    assert_eq!(torn(Side::Back)[2], Piece { write: 2, from: 512, to: 8192 });
}

#[test]
fn a_durable_write_is_there_if_anything_behind_it_is() {
    let epochs = epochs(&log_of("wdww"));
    let there = |choice| whole(&Cut { epoch: 0, choice }, &epochs[0]);
    assert_eq!(there(Choice::Only(3)), [1, 3]);
    assert_eq!(there(Choice::Only(0)), [0]);
    assert_eq!(there(Choice::Without(1)), [0, 1, 2, 3]);
    // It was not done: so the power failed before the guest was told that it is.
    assert_eq!(Cut { epoch: 0, choice: Choice::Only(0) }.latest(&epochs[0]), 1);
    assert_eq!(Cut { epoch: 0, choice: Choice::Only(3) }.latest(&epochs[0]), 4);
}

#[test]
fn what_was_flushed_is_there_at_any_cut_behind_it() {
    let log = log_of("wwFwww");
    let epochs = epochs(&log);
    // The last epoch was never flushed: even at the end of the log none of it need be there.
    let nothing = Cut { epoch: 1, choice: Choice::Prefix(0) };
    assert_eq!(nothing.latest(&epochs[1]), log.entries.len());
    assert!(nothing.pieces(&epochs[1]).is_empty());
}

#[test]
fn small_epochs_are_cut_in_every_way() {
    // Of three writes, all eight subsets.
    let epochs = epochs(&log_of("ddd"));
    let plain = Epoch { writes: vec![write(512, false); 3], ..epochs[0].clone() };
    let cuts = cuts_of(0, &plain, &mut Random::new(1));
    let states: HashSet<Vec<usize>> = cuts.iter().map(|cut| whole(cut, &plain)).collect();
    assert_eq!((cuts.len(), states.len()), (8, 8));
    // With FUA each was done before the next: nothing but prefixes.
    let cuts = cuts_of(0, &epochs[0], &mut Random::new(1));
    let states: HashSet<Vec<usize>> = cuts.iter().map(|cut| whole(cut, &epochs[0])).collect();
    assert_eq!(states.len(), 4);
}

#[test]
fn a_name_names_one_cut() {
    let epochs = epochs(&log_of("wdwwFwww"));
    for (number, epoch) in epochs.iter().enumerate() {
        for cut in cuts_of(number, epoch, &mut Random::new(7)) {
            assert_eq!(cut.to_string().parse::<Cut>().unwrap(), cut);
        }
    }
    for wrong in ["", "1", "1:prefix", "x:prefix:1", "1:torn:1:2", "1:torn:1:2:left", "1:all:1"] {
        assert!(wrong.parse::<Cut>().unwrap_err().to_string().contains("is no state"), "{wrong}");
    }
}

proptest! {
    #[test]
    fn any_cut_of_any_log_is_one_that_a_disk_can_leave(text in "[wdFm]{0,40}", seed: u64) {
        let log = log_of(&text);
        let epochs = epochs(&log);
        let writes: usize = epochs.iter().map(|epoch| epoch.writes.len()).sum();
        prop_assert_eq!(writes, text.matches(['w', 'd']).count());
        for (number, epoch) in epochs.iter().enumerate() {
            for cut in cuts_of(number, epoch, &mut Random::new(seed)) {
                let pieces = cut.pieces(epoch);
                prop_assert!(pieces.windows(2).all(|pair| pair[0].write < pair[1].write), "in order, each once");
                prop_assert!(pieces.iter().all(|piece| piece.from < piece.to && piece.to <= epoch.writes[piece.write].length));
                let last = pieces.last().map_or(0, |piece| piece.write);
                let mut durable = (0..last).filter(|write| epoch.writes[*write].is_durable);
                prop_assert!(durable.all(|write| pieces.iter().any(|piece| piece.write == write)), "FUA holds");
                prop_assert_eq!(cut.pieces(epoch), cut.to_string().parse::<Cut>().unwrap().pieces(epoch));
                prop_assert!(cut.latest(epoch) <= log.entries.len());
            }
        }
    }
}
