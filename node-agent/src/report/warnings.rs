//! What went wrong in a pass of the loop: logged when it is new, and reported in the status as long as it lasts.

use anyhow::Result;

/// The troubles of this pass and of the one before.
#[derive(Debug, Default)]
pub struct Warnings {
    now: Vec<String>,
    before: Vec<String>,
}

impl Warnings {
    /// What there is; an error is kept.
    pub fn note<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.report(format!("{error:#}"))).ok()
    }

    /// Keeps what is wrong, in one sentence.
    pub fn report(&mut self, warning: String) {
        if !self.before.contains(&warning) && !self.now.contains(&warning) {
            log::warn!("{warning}");
        }
        self.now.push(warning);
    }

    /// Ends a pass, and returns its troubles.
    pub fn take(&mut self) -> Vec<String> {
        self.before = std::mem::take(&mut self.now);
        self.before.clone()
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_trouble_is_reported_as_long_as_it_lasts() {
        let mut warnings = Warnings::default();
        assert_eq!(warnings.note(Ok(1)), Some(1));
        assert_eq!(warnings.note::<()>(Err(anyhow!("a"))), None);
        assert_eq!(warnings.take(), ["a"]);
        assert_eq!(warnings.take(), [""; 0]);
    }
}
