//! The little of GVariant's serialisation that an `a{sv}` of fixed-size values needs, little-endian.
//!
//! See <https://docs.gtk.org/glib/gvariant-specification-1.0.html>. The tests' bytes were made by GLib itself.

/// A value of a dictionary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `b`
    Bool(bool),
    /// `s`; must hold no NUL.
    Str(String),
    /// `(tt)`
    U64Pair(u64, u64),
}

/// Everything that holds a variant is aligned to this.
const ALIGNMENT: usize = 8;

/// Serialises an `a{sv}`, in the given order.
pub fn dictionary(entries: &[(&str, Value)]) -> Vec<u8> {
    let (mut out, mut ends) = (Vec::new(), Vec::new());
    for (key, value) in entries {
        pad(&mut out);
        out.extend(entry(key, value));
        ends.push(out.len());
    }
    with_offsets(out, &ends)
}

/// `{sv}`: the key, the variant, and where the key ends (the last child's end needs no offset).
fn entry(key: &str, value: &Value) -> Vec<u8> {
    let mut out = string(key);
    let key_end = out.len();
    pad(&mut out);
    out.extend(variant(value));
    with_offsets(out, &[key_end])
}

/// `v`: the value, a NUL, its type.
fn variant(value: &Value) -> Vec<u8> {
    let (mut out, kind) = match value {
        Value::Bool(value) => (vec![u8::from(*value)], "b"),
        Value::Str(value) => (string(value), "s"),
        Value::U64Pair(a, b) => ([a.to_le_bytes(), b.to_le_bytes()].concat(), "(tt)"),
    };
    out.push(0);
    out.extend(kind.bytes());
    out
}

fn string(text: &str) -> Vec<u8> {
    let mut out = text.as_bytes().to_vec();
    out.push(0);
    out
}

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
}

/// Appends the offsets in the smallest width that can address the whole container, themselves included.
fn with_offsets(mut out: Vec<u8>, ends: &[usize]) -> Vec<u8> {
    let fits = |width: &usize| out.len() + ends.len() * width < 1 << (8 * width);
    let width = [1, 2, 4].into_iter().find(fits).unwrap_or(8);
    for end in ends {
        out.extend(&end.to_le_bytes()[..width]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn same_bytes_as_glib() {
        let cases: &[(&[(&str, Value)], String)] = &[
            (&[], String::new()),
            (&[("composefs", Value::Bool(true))], "636f6d706f73656673000000000000000100620a14".into()),
            (
                &[("a", Value::Bool(false)), ("name", Value::Str("x y".into()))],
                "610000000000000000006202000000006e616d6500000000782079000073050c1f".into(),
            ),
            (
                &[("backing-root-device-inode", Value::U64Pair(65026, 1_234_567_890_123))],
                concat!(
                    "6261636b696e672d726f6f742d6465766963652d696e6f646500000000000000",
                    "02fe000000000000cb04fb711f01000000287474291a36"
                )
                .into(),
            ),
            (&[("long", Value::Str("x".repeat(300)))], format!("6c6f6e6700000000{}00007305003901", "78".repeat(300))),
        ];
        for (entries, expected) in cases {
            assert_eq!(hex(&dictionary(entries)), *expected, "{entries:?}");
        }
    }
}
