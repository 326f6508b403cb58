//! Deadlines: every wait in this crate takes one, so nothing here can hang.

use std::fmt;
use std::time::{Duration, Instant};

/// A point in time after which a wait gives up, and how long it was given.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    end: Instant,
    allowed: Duration,
}

impl Deadline {
    /// A deadline `allowed` from now.
    pub fn after(allowed: Duration) -> Self {
        Self { end: Instant::now() + allowed, allowed }
    }

    /// A deadline `secs` seconds from now.
    pub fn secs(secs: u64) -> Self {
        Self::after(Duration::from_secs(secs))
    }

    /// What is left, or `None` when the time is over.
    pub fn remaining(&self) -> Option<Duration> {
        self.end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    /// Whether the time is over.
    pub fn is_over(&self) -> bool {
        self.remaining().is_none()
    }

    /// Asks `probe` every `pause` until it gives a value; `None` when the time is over.
    ///
    /// # Errors
    /// Whatever `probe` returns as an error ends the wait at once.
    pub fn poll<T, E>(&self, pause: Duration, mut probe: impl FnMut() -> Result<Option<T>, E>) -> Result<Option<T>, E> {
        loop {
            if let Some(found) = probe()? {
                return Ok(Some(found));
            }
            match self.remaining() {
                Some(left) => std::thread::sleep(pause.min(left)),
                None => return Ok(None),
            }
        }
    }
}

impl fmt::Display for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} s", self.allowed.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_ends() {
        let over = Deadline::after(Duration::ZERO);
        assert!(over.is_over());
        assert!(!Deadline::secs(60).is_over());
        assert_eq!(Deadline::secs(60).to_string(), "60 s");
    }

    #[test]
    fn polling_asks_until_there_is_an_answer_or_no_time() {
        let mut asked = 0;
        let answer: Result<_, ()> = Deadline::secs(5).poll(Duration::from_millis(1), || {
            asked += 1;
            Ok((asked == 3).then_some(asked))
        });
        assert_eq!(answer, Ok(Some(3)));
        let none: Result<Option<()>, ()> =
            Deadline::after(Duration::from_millis(3)).poll(Duration::from_millis(1), || Ok(None));
        assert_eq!(none, Ok(None));
    }
}
