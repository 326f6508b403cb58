//! A small disk with three partitions, and logs of writes to it.

use super::super::cut::{Choice, Cut, cuts_of, epochs};
use super::super::log::{Log, Writer};
use super::super::random::Random;
use super::*;

const MIB: u64 = 1 << 20;

/// A disk with the three partitions of a node, each of one MiB, filled with its number.
fn disk(folder: &Path) -> PathBuf {
    let path = folder.join("base");
    let file = File::create(&path).unwrap();
    file.set_len(8 * MIB).unwrap();
    let mut header = [0; 512];
    header[..8].copy_from_slice(b"EFI PART");
    header[72..80].copy_from_slice(&2_u64.to_le_bytes());
    header[80..84].copy_from_slice(&128_u32.to_le_bytes());
    header[84..88].copy_from_slice(&128_u32.to_le_bytes());
    file.write_all_at(&header, 512).unwrap();
    for (number, label) in (0_u8..).zip(["ballast-esp", "ballast-root", "ballast-var"]) {
        let start = u64::from(number + 1) * MIB;
        let mut entry = [0; 128];
        entry[..16].fill(1);
        entry[16..32].fill(number + 1);
        entry[32..40].copy_from_slice(&(start / 512).to_le_bytes());
        entry[40..48].copy_from_slice(&((start + MIB) / 512 - 1).to_le_bytes());
        for (pair, unit) in entry[56..].chunks_mut(2).zip(label.encode_utf16()) {
            pair.copy_from_slice(&unit.to_le_bytes());
        }
        file.write_all_at(&entry, 1024 + 128 * u64::from(number)).unwrap();
        file.write_all_at(&vec![number + 1; 4096], start).unwrap();
    }
    path
}

fn saved(scratch: &Scratch, folder: &Path) -> Vec<u8> {
    let path = folder.join("saved");
    scratch.save(&path).unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn a_copy_is_whole_and_what_is_taken_back_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let base = disk(folder.path());
    let log = folder.path().join("log");
    let mut writer = Writer::create(&log).unwrap();
    // Over the border of two partitions, then over some of the same again, then away.
    writer.write(2 * MIB - 512, &[7; 1024], false).unwrap();
    writer.write(2 * MIB, &[8; 512], false).unwrap();
    writer.discard(MIB, 4096).unwrap();
    let log = Log::read(&log).unwrap();
    let epoch = &epochs(&log)[0];
    let mut scratch = Scratch::of(&base, &log.path).unwrap();
    let before = std::fs::read(&base).unwrap();
    assert_eq!(saved(&scratch, folder.path()), before);
    let mut want = before.clone();
    want[2 * MIB as usize - 512..][..512].fill(7);
    want[2 * MIB as usize..][..512].fill(8);
    want[MIB as usize..][..4096].fill(0);
    scratch.apply(&epoch.writes, &Cut { epoch: 0, choice: Choice::Prefix(3) }.pieces(epoch)).unwrap();
    assert_eq!(saved(&scratch, folder.path()), want);
    assert_ne!(scratch.fingerprint(Region::Esp), 0);
    assert_eq!(scratch.fingerprint(Region::Var), 0);
    assert_eq!(scratch.regions_of(&epoch.writes[0]), [Region::Esp, Region::Root]);
    scratch.take_back().unwrap();
    assert_eq!(saved(&scratch, folder.path()), before);
    assert!(REGIONS.iter().all(|region| scratch.fingerprint(*region) == 0));
}

#[test]
fn every_cut_is_as_if_its_pieces_were_written_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let base = disk(folder.path());
    let log = folder.path().join("log");
    let mut writer = Writer::create(&log).unwrap();
    let mut random = Random::new(3);
    for number in 0..40_u8 {
        let length = 512 * (1 + random.below(20));
        writer.write(MIB + 512 * random.below(5000), &vec![number; length as usize], random.below(5) == 0).unwrap();
        if random.below(6) == 0 {
            writer.flush().unwrap();
        }
    }
    let log = Log::read(&log).unwrap();
    let mut scratch = Scratch::of(&base, &log.path).unwrap();
    let bytes = std::fs::read(&log.path).unwrap();
    let mut want = std::fs::read(&base).unwrap();
    for (number, epoch) in epochs(&log).iter().enumerate() {
        for cut in cuts_of(number, epoch, &mut Random::new(9)) {
            let mut here = want.clone();
            apply(&mut here, epoch, &cut, &bytes);
            scratch.apply(&epoch.writes, &cut.pieces(epoch)).unwrap();
            assert!(saved(&scratch, folder.path()) == here, "{cut}");
            scratch.take_back().unwrap();
        }
        let all = Cut { epoch: number, choice: Choice::Prefix(epoch.writes.len()) };
        apply(&mut want, epoch, &all, &bytes);
        scratch.apply(&epoch.writes, &all.pieces(epoch)).unwrap();
        scratch.keep();
    }
    assert!(saved(&scratch, folder.path()) == want);
}

fn apply(disk: &mut [u8], epoch: &super::super::cut::Epoch, cut: &Cut, log: &[u8]) {
    for piece in cut.pieces(epoch) {
        let write = &epoch.writes[piece.write];
        let Kind::Data { at } = write.kind else { panic!("no discards here") };
        let data = &log[(at + piece.from) as usize..(at + piece.to) as usize];
        disk[(write.offset + piece.from) as usize..][..data.len()].copy_from_slice(data);
    }
}
