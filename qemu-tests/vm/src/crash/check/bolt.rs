//! containerd's database: whether bbolt opens it. (go.etcd.io/bbolt: db.go `mmap`, `meta.Validate`; page.go)

use anyhow::{Result, bail, ensure};

const MAGIC: u32 = 0xed0c_daed;
const VERSION: u32 = 2;
/// Its header: number, flags, count, overflow.
const PAGE_HEAD: usize = 16;
const BRANCH: u16 = 1;
const LEAF: u16 = 2;
const FREELIST: u16 = 16;
/// A leaf's element that is a bucket with pages of its own.
const BUCKET: u32 = 1;
/// Deeper trees nobody has.
const DEPTH: usize = 32;

struct Meta {
    page_bytes: usize,
    root: u64,
    freelist: u64,
    pages: u64,
    transaction: u64,
}

/// Reads the newest meta page that is whole, as bbolt does, and all pages that it leads to.
pub(super) fn check(file: &[u8]) -> Result<()> {
    let first = meta(file, 0);
    // The second one lies a page behind the first; where that is damaged the machine's page size counts.
    let second = meta(file, first.as_ref().map_or(4096, |meta| meta.page_bytes));
    let newest = [first, second].into_iter().flatten().max_by_key(|meta| meta.transaction);
    let Some(meta) = newest else { bail!("neither of its meta pages is whole") };
    let length = meta.pages.saturating_mul(meta.page_bytes as u64);
    ensure!(length <= file.len() as u64, "it has {} bytes, expected {length}", file.len());
    let tree = Tree { file, page_bytes: meta.page_bytes, pages: meta.pages };
    // None while it is open, in newer versions: then it is made anew.
    if meta.freelist != u64::MAX {
        let (flags, ..) = tree.page(meta.freelist)?;
        ensure!(flags == FREELIST, "page {} is no free list", meta.freelist);
    }
    tree.walk(meta.root, 0)
}

fn meta(file: &[u8], at: usize) -> Option<Meta> {
    let meta = file.get(at + PAGE_HEAD..at + PAGE_HEAD + 64)?;
    let (short, long) = (|at: usize| u32_at(meta, at), |at: usize| u64_at(meta, at));
    let is_whole = short(0) == Some(MAGIC) && short(4) == Some(VERSION) && long(56) == Some(fnv(&meta[..56]));
    let page_bytes = usize::try_from(short(8)?).ok().filter(|bytes| bytes.is_power_of_two() && *bytes >= 1024)?;
    is_whole.then_some(Meta {
        page_bytes,
        root: long(16)?,
        freelist: long(32)?,
        pages: long(40)?,
        transaction: long(48)?,
    })
}

struct Tree<'a> {
    file: &'a [u8],
    page_bytes: usize,
    pages: u64,
}

impl<'a> Tree<'a> {
    /// Flags, number of elements, and the page with what overflows it.
    fn page(&self, number: u64) -> Result<(u16, usize, &'a [u8])> {
        ensure!((2..self.pages).contains(&number), "page {number} of {} is asked for", self.pages);
        let at = usize::try_from(number)? * self.page_bytes;
        let head = self.file.get(at..).unwrap_or_default();
        let short = |from: usize| head.get(from..from + 2).map_or(0, |bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
        ensure!(u64_at(head, 0) == Some(number), "page {number} is another one");
        let whole = (u32_at(head, 12).unwrap_or_default() as usize + 1) * self.page_bytes;
        let Some(page) = head.get(..whole) else { bail!("page {number} ends behind the file") };
        Ok((short(8), short(10).into(), page))
    }

    fn walk(&self, number: u64, depth: usize) -> Result<()> {
        ensure!(depth < DEPTH, "its pages lead to each other");
        let (flags, count, page) = self.page(number)?;
        for element in 0..count {
            let at = PAGE_HEAD + 16 * element;
            let (Some(first), Some(second)) = (u32_at(page, at), u32_at(page, at + 4)) else {
                bail!("page {number} has no room for its {count} elements");
            };
            match flags {
                BRANCH => self.walk(u64_at(page, at + 8).unwrap_or_default(), depth + 1)?,
                LEAF => {
                    let key = u32_at(page, at + 8).unwrap_or_default() as usize;
                    let value = u32_at(page, at + 12).unwrap_or_default() as usize;
                    let from = at + second as usize + key;
                    let Some(value) = page.get(from..from + value) else {
                        bail!("page {number} ends within an element")
                    };
                    // A bucket without a page of its own lies in the value.
                    if first & BUCKET != 0 {
                        match u64_at(value, 0) {
                            Some(0) => {}
                            Some(root) => self.walk(root, depth + 1)?,
                            None => bail!("page {number} has a bucket that is cut short"),
                        }
                    }
                }
                _ => bail!("page {number} has the flags {flags:#x}"),
            }
        }
        Ok(())
    }
}

/// FNV-1a, 64 bits.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).map(|bytes| bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte)))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8).map(|bytes| bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 4096;

    /// Two meta pages, a free list, a leaf with one key.
    fn database() -> Vec<u8> {
        let mut file = vec![0; 4 * PAGE];
        for (page, transaction) in [(0, 1_u64), (1, 2)] {
            let meta = &mut file[page * PAGE + PAGE_HEAD..][..64];
            meta[..4].copy_from_slice(&MAGIC.to_le_bytes());
            meta[4..8].copy_from_slice(&VERSION.to_le_bytes());
            meta[8..12].copy_from_slice(&(PAGE as u32).to_le_bytes());
            for (at, value) in [(16, 3), (32, 2), (40, 4), (48, transaction)] {
                meta[at..at + 8].copy_from_slice(&value.to_le_bytes());
            }
            let sum = fnv(&meta[..56]);
            meta[56..].copy_from_slice(&sum.to_le_bytes());
        }
        for (page, flags, count) in [(2, FREELIST, 0_u16), (3, LEAF, 1)] {
            let at = page * PAGE;
            file[at..at + 8].copy_from_slice(&(page as u64).to_le_bytes());
            file[at + 8..at + 10].copy_from_slice(&flags.to_le_bytes());
            file[at + 10..at + 12].copy_from_slice(&count.to_le_bytes());
        }
        // pos, key, value; then `key` and `value`.
        let element = &mut file[3 * PAGE + PAGE_HEAD..];
        for (at, value) in [(4, 16_u32), (8, 3), (12, 5)] {
            element[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        element[16..24].copy_from_slice(b"keyvalue");
        file
    }

    #[test]
    fn a_database_opens_with_either_meta_page() {
        check(&database()).unwrap();
        for page in [0, 1] {
            let mut torn = database();
            torn[page * PAGE + 40] ^= 1;
            check(&torn).unwrap();
        }
    }

    #[test]
    fn what_is_damaged_does_not() {
        let harm = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut file = database();
            change(&mut file);
            format!("{:#}", check(&file).unwrap_err())
        };
        assert!(
            harm(&|file| {
                file[40] ^= 1;
                file[PAGE + 40] ^= 1;
            })
            .contains("neither of its meta pages")
        );
        assert!(harm(&|file| file.truncate(3 * PAGE)).contains("expected 16384"));
        assert!(harm(&|file| file[3 * PAGE] = 9).contains("page 3 is another one"));
        assert!(harm(&|file| file[2 * PAGE + 8] = 2).contains("is no free list"));
        assert!(harm(&|file| file[3 * PAGE + 8] = 7).contains("has the flags 0x7"));
        assert!(harm(&|file| file[3 * PAGE + PAGE_HEAD + 14] = 9).contains("ends within an element"));
    }
}
