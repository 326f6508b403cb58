//! Tables on files, made as `sfdisk` makes them.

use super::*;

const BYTES: u64 = 1 << 20;
const ESP: &str = "ba11a570-0000-4000-8000-000000000001";

/// A disk with one partition and both tables.
fn disk(block_bytes: u64) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(BYTES).unwrap();
    let mut entries = vec![0; 128 * 128];
    entries[..16].fill(0xc1);
    entries[16..32].copy_from_slice(&guid(ESP).unwrap());
    let mut header = [0; SIZE];
    header[..12].copy_from_slice(b"EFI PART\0\0\x01\0");
    header[12] = 92;
    header[80] = 128;
    header[84] = 128;
    let blocks = BYTES / block_bytes;
    let mut table = Table { block_bytes, blocks, header, entries };
    table.header = table.header_for(1, blocks - 1, 2);
    table.write(file.path()).unwrap();
    file
}

fn ids() -> impl FnMut() -> Result<Guid> {
    let mut next = 0;
    move || {
        next += 1;
        Ok([next; 16])
    }
}

/// The table as the firmware reads it if the first one is damaged.
fn second(file: &Path, block_bytes: u64) -> Table {
    let disk = File::open(file).unwrap();
    let blocks = BYTES / block_bytes;
    let mut header = [0; SIZE];
    disk.read_exact_at(&mut header, (blocks - 1) * block_bytes).unwrap();
    assert_eq!(u64::from(checksum_of(&header)), number(&header, CHECKSUM, 4));
    assert_eq!((number(&header, OWN_BLOCK, 8), number(&header, OTHER_BLOCK, 8)), (blocks - 1, 1));
    let mut entries = vec![0; 128 * 128];
    disk.read_exact_at(&mut entries, number(&header, ENTRIES_BLOCK, 8) * block_bytes).unwrap();
    assert_eq!(u64::from(crc32fast::hash(&entries)), number(&header, ENTRIES_CHECKSUM, 4));
    Table { block_bytes, blocks, header, entries }
}

#[test]
fn a_guid_is_read_as_people_write_it() {
    let bytes = guid("c12a7328-f81f-11d2-ba4b-00a0c93ec93b\n").unwrap();
    assert_eq!(bytes, *b"\x28\x73\x2a\xc1\x1f\xf8\xd2\x11\xba\x4b\x00\xa0\xc9\x3e\xc9\x3b");
    for wrong in ["", "c12a7328", "x12a7328-f81f-11d2-ba4b-00a0c93ec93b", "é12a7328-f81f-11d2-ba4b-00a0c93ec93"] {
        assert!(guid(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn both_tables_get_the_new_identities() {
    let old = [guid(ESP).unwrap()];
    for block_bytes in [512, 4096] {
        let file = disk(block_bytes);
        let table = read(file.path(), BYTES, block_bytes).unwrap();
        assert!(table.has_any(&old));
        table.renewed(&old, ids()).unwrap().write(file.path()).unwrap();
        let renewed = read(file.path(), BYTES, block_bytes).unwrap();
        assert!(!renewed.has_any(&old) && renewed.has_any(&[[2; 16]]));
        assert_eq!(renewed.header[DISK..DISK + 16], [1; 16]);
        assert_eq!(second(file.path(), block_bytes).entries, renewed.entries);
        // Others stay as they are.
        let same = renewed.renewed(&old, ids()).unwrap();
        assert_eq!(same.entries, renewed.entries);
        assert!(read(file.path(), BYTES, if block_bytes == 512 { 4096 } else { 512 }).is_err());
    }
}

#[test]
fn a_table_is_written_only_if_the_second_one_is_where_it_is_looked_for() {
    let file = disk(512);
    // As an image that was written to a larger disk.
    file.as_file().set_len(2 * BYTES).unwrap();
    let table = read(file.path(), 2 * BYTES, 512).unwrap();
    let before = std::fs::read(file.path()).unwrap();
    let error = format!("{:#}", table.write(file.path()).unwrap_err());
    assert!(error.contains("its second table is in block 2047, not in the last one, 4095"), "{error}");
    assert_eq!(std::fs::read(file.path()).unwrap(), before);
}

#[test]
fn a_damaged_table_is_no_table() {
    for at in [512 + 30, 512 + 60, 1024 + 20] {
        let file = disk(512);
        file.as_file().write_all_at(&[0x55], at).unwrap();
        assert!(read(file.path(), BYTES, 512).is_err(), "{at}");
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(BYTES).unwrap();
    assert!(format!("{:#}", read(file.path(), BYTES, 512).unwrap_err()).ends_with("there is no GUID partition table"));
}
