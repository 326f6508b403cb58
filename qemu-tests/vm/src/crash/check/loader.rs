//! Which entry systemd-boot takes, by its own rules (src/boot/boot.c of systemd 257: `boot_entry_add_type1`, `boot_entry_compare`,
//! `config_select_default_entry`). Pure.

use std::cmp::Ordering;

/// A boot entry, as far as the boot loader cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The file's name
    pub file: String,
    /// Its name without counter: what it is sorted by
    id: String,
    pub(super) tries_left: Option<u32>,
    tries_done: u32,
    /// `linux`
    pub linux: String,
    /// `initrd`, one for each line
    pub initrd: Vec<String>,
    /// `options`
    pub options: String,
}

/// The entries that the boot loader lists, first the one that it starts. `files` are all in loader/entries, with their text; `exists` tells
/// whether there is a file at a path on the partition.
pub fn order(files: &[(String, String)], exists: impl Fn(&str) -> bool) -> Vec<Entry> {
    let mut entries: Vec<Entry> = files.iter().filter_map(|(file, text)| parse(file, text)).collect();
    entries.retain(|entry| exists(&entry.linux));
    entries.sort_by(compare);
    entries
}

/// None for what the boot loader passes over: no entry, one for another machine, one without a kernel.
fn parse(file: &str, text: &str) -> Option<Entry> {
    let stem = file.strip_suffix(".conf").filter(|_| !file.starts_with("auto-"))?;
    let mut entry = Entry {
        file: file.to_owned(),
        id: file.to_owned(),
        tries_left: None,
        tries_done: 0,
        linux: String::new(),
        initrd: Vec::new(),
        options: String::new(),
    };
    if let Some((name, counter)) = stem.rsplit_once('+') {
        let (left, done) = counter.split_once('-').map_or((counter, None), |(left, done)| (left, Some(done)));
        if let (Ok(left), Ok(done)) = (left.parse(), done.unwrap_or("0").parse()) {
            entry.id = format!("{name}.conf");
            (entry.tries_left, entry.tries_done) = (Some(left), done);
        }
    }
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        let Some((key, value)) = line.split_once([' ', '\t']).map(|(key, value)| (key, value.trim())) else { continue };
        match key {
            "linux" => entry.linux = value.to_owned(),
            "initrd" => entry.initrd.push(value.to_owned()),
            "options" => entry.options = format!("{} {value}", entry.options).trim().to_owned(),
            "architecture" if !value.eq_ignore_ascii_case("x64") => return None,
            _ => {}
        }
    }
    (!entry.linux.is_empty()).then_some(entry)
}

fn compare(one: &Entry, other: &Entry) -> Ordering {
    let is_exhausted = |entry: &Entry| entry.tries_left == Some(0);
    let by_name = is_exhausted(one).cmp(&is_exhausted(other)).then_with(|| compare_versions(&other.id, &one.id));
    by_name.then_with(|| match (one.tries_left, other.tries_left) {
        (Some(left), Some(others)) => others.cmp(&left).then(one.tries_done.cmp(&other.tries_done)),
        (None, _) | (_, None) => Ordering::Equal,
    })
}

/// `strverscmp_improved` of systemd (src/fundamental/string-util-fundamental.c).
fn compare_versions(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    let is_valid = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'~' | b'-' | b'^' | b'.');
    let skip = |text: &mut &[u8]| *text = &text[text.iter().position(is_valid).unwrap_or(text.len())..];
    let cut = |text: &mut &[u8]| *text = &text[1..];
    loop {
        skip(&mut a);
        skip(&mut b);
        // A tilde is before everything, even the end.
        match (a.first() == Some(&b'~'), b.first() == Some(&b'~')) {
            (true, true) => {
                cut(&mut a);
                cut(&mut b);
                continue;
            }
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            (false, false) => {}
        }
        if a.is_empty() || b.is_empty() {
            return a.is_empty().cmp(&b.is_empty()).reverse();
        }
        // Then these, the first of them lowest.
        for sign in [b'-', b'^', b'.'] {
            match (a[0] == sign, b[0] == sign) {
                (false, false) => continue,
                (true, true) => {
                    cut(&mut a);
                    cut(&mut b);
                }
                (true, false) => return Ordering::Less,
                (false, true) => return Ordering::Greater,
            }
            break;
        }
        let (Some(first), Some(second)) = (a.first(), b.first()) else { continue };
        if first.is_ascii_digit() || second.is_ascii_digit() {
            let (left, right) = (take(&mut a, u8::is_ascii_digit), take(&mut b, u8::is_ascii_digit));
            // A number is more than none.
            let by_number = left.is_empty().cmp(&right.is_empty()).reverse().then_with(|| {
                let strip = |text: &[u8]| {
                    text.iter().position(|byte| *byte != b'0').map_or(Vec::new(), |at| text[at..].to_vec())
                };
                let (left, right) = (strip(left), strip(right));
                left.len().cmp(&right.len()).then(left.cmp(&right))
            });
            if by_number != Ordering::Equal {
                return by_number;
            }
        } else {
            let (left, right) = (take(&mut a, u8::is_ascii_alphabetic), take(&mut b, u8::is_ascii_alphabetic));
            if left != right {
                return left.cmp(right);
            }
        }
    }
}

fn take<'a>(text: &mut &'a [u8], is_it: impl Fn(&u8) -> bool) -> &'a [u8] {
    let end = text.iter().position(|byte| !is_it(byte)).unwrap_or(text.len());
    let (taken, rest) = text.split_at(end);
    *text = rest;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "title x\nlinux /k\ninitrd /i\noptions a\noptions b\n";

    fn listed(files: &[&str]) -> Vec<String> {
        let files: Vec<_> = files.iter().map(|file| ((*file).to_owned(), TEXT.to_owned())).collect();
        order(&files, |_| true).into_iter().map(|entry| entry.file).collect()
    }

    #[test]
    fn versions_are_compared_as_systemd_says() {
        // The table of test-string-util-fundamental.c, from the lowest to the highest, as far as names of entries go.
        for rising in [
            &["", "0"][..],
            &["~", "", "1", "2", "10"],
            &["1~rc1", "1", "1^post", "1.1"],
            &["ballast-1-20261121.1-ab", "ballast-2-20261121.1-ab", "ballast-10-20261121.1-ab"],
            &["a-1-20261121.9", "a-1-20261121.10", "a-1-20261122.1"],
            &[
                "122.1",
                "123~rc1-1",
                "123",
                "123-a",
                "123-a.1",
                "123-a1",
                "123-3",
                "123-3.1",
                "123^patch1",
                "123^1",
                "123.a-1",
                "123.1-1",
                "123a-1",
                "124",
            ],
        ] {
            for (low, first) in rising.iter().enumerate() {
                for (high, second) in rising.iter().enumerate() {
                    assert_eq!(compare_versions(first, second), low.cmp(&high), "{first:?} {second:?}");
                }
            }
        }
        assert_eq!(compare_versions("a_1", "a1"), Ordering::Equal);
    }

    #[test]
    fn the_highest_number_with_tries_left_is_first() {
        assert_eq!(
            listed(&["b-2-x.conf", "b-10-x+3.conf", "b-9-x+0-3.conf", "b-3-x+1-2.conf", "notes.txt"]),
            ["b-10-x+3.conf", "b-3-x+1-2.conf", "b-2-x.conf", "b-9-x+0-3.conf"]
        );
        assert_eq!(listed(&["b-1+1-2.conf", "b-1+2-1.conf"]), ["b-1+2-1.conf", "b-1+1-2.conf"]);
    }

    #[test]
    fn what_has_no_kernel_is_not_listed() {
        let files = |text: &str| vec![("a.conf".to_owned(), text.to_owned())];
        assert_eq!(order(&files(""), |_| true), []);
        assert_eq!(order(&files("linux /k\narchitecture aa64\n"), |_| true), []);
        assert_eq!(order(&files(TEXT), |path| path == "/other"), []);
        let [entry] = &order(&files(TEXT), |path| path == "/k")[..] else { panic!("not listed") };
        assert_eq!((entry.initrd.as_slice(), entry.options.as_str()), (&["/i".to_owned()][..], "a b"));
    }
}
