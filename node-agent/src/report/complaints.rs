//! What went wrong in a pass of the loop: logged when it is new, and told in the status as long as it lasts.

use anyhow::Result;

/// The troubles of this pass and of the one before.
#[derive(Debug, Default)]
pub struct Complaints {
    now: Vec<String>,
    before: Vec<String>,
}

impl Complaints {
    /// What there is; an error is kept.
    pub fn note<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.tell(format!("{error:#}"))).ok()
    }

    /// Keeps what is wrong, in one sentence.
    pub fn tell(&mut self, complaint: String) {
        if !self.before.contains(&complaint) && !self.now.contains(&complaint) {
            log::warn!("{complaint}");
        }
        self.now.push(complaint);
    }

    /// Ends a pass, and tells its troubles.
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
    fn a_trouble_is_told_as_long_as_it_lasts() {
        let mut complaints = Complaints::default();
        assert_eq!(complaints.note(Ok(1)), Some(1));
        assert_eq!(complaints.note::<()>(Err(anyhow!("a"))), None);
        assert_eq!(complaints.take(), ["a"]);
        assert_eq!(complaints.take(), [""; 0]);
    }
}
