//! How much may be said: settings are what a person can oversee, and reading them must not cost a boot its time or memory.

/// Of one source, in bytes: a hundred times what all keys together take, and room for manifests and certificates.
pub const MAX_BYTES: usize = 256 * 1024;

/// How deep tables and lists may lie in each other; the schema needs five.
pub(crate) const MAX_DEPTH: usize = 8;

/// How many keys and list items all sources together may have.
pub(crate) const MAX_ITEMS: usize = 1000;

/// What is left of [`MAX_ITEMS`].
#[derive(Debug)]
pub(crate) struct Budget {
    left: usize,
    /// Whether it has been reported that nothing is left.
    is_reported: bool,
}

impl Budget {
    pub(crate) const fn new() -> Self {
        Self { left: MAX_ITEMS, is_reported: false }
    }

    /// Takes one; false if there is none left.
    pub(crate) fn take(&mut self) -> bool {
        let is_left = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_left
    }

    /// The sentence that it is used up, the first time.
    pub(crate) fn report_once(&mut self) -> Option<String> {
        let is_first = !std::mem::replace(&mut self.is_reported, true);
        let reported =
            || format!("there are more than {MAX_ITEMS} keys and list items in all; from here on nothing applies");
        is_first.then(reported)
    }
}
