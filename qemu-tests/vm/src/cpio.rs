//! An initramfs of one file: the "newc" archive that the kernel unpacks (Documentation/driver-api/early-userspace).

/// Regular file, executable by all.
const MODE: u32 = 0o100_755;

/// An archive with `content` as `/init`.
pub fn with_init(content: &[u8]) -> Vec<u8> {
    let mut archive = Vec::with_capacity(content.len() + 512);
    entry(&mut archive, 1, MODE, "init", content);
    entry(&mut archive, 0, 0, "TRAILER!!!", &[]);
    archive
}

fn entry(archive: &mut Vec<u8>, inode: u32, mode: u32, name: &str, content: &[u8]) {
    let (name_size, size) = (name.len() as u32 + 1, content.len() as u32);
    // magic, then: ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
    let fields = [inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
    archive.extend_from_slice(b"070701");
    for field in fields {
        archive.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    archive.extend_from_slice(name.as_bytes());
    archive.push(0);
    pad(archive);
    archive.extend_from_slice(content);
    pad(archive);
}

/// Headers and contents start at multiples of four.
fn pad(archive: &mut Vec<u8>) {
    archive.resize(archive.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_is_what_cpio_reads() {
        let archive = with_init(b"hello");
        assert_eq!(archive.len() % 4, 0);
        assert!(archive.starts_with(b"07070100000001000081ed"));
        let text = String::from_utf8(archive).unwrap();
        assert!(text.contains("init\0\0hello\0\0\x00070701"), "{text:?}");
        assert!(text.contains("TRAILER!!!\0"));
    }
}
