//! QEMU's arguments, as text and as a list.

/// The words of a text in which one space stands between them.
pub(super) fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}
