//! Settings on trial: they are taken back unless they are confirmed in time.

use serde::{Deserialize, Serialize};

/// A trial, in `/var/lib/ballast/settings.trial.json`. What held before lies beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// How long it is, in seconds. A boot begins it anew: what needs a reboot has its whole time as well.
    pub secs: u64,
    /// How many boots began with it; the second takes it back.
    #[serde(default)]
    pub boots: u32,
}

impl Trial {
    /// What the next boot makes of it: it goes on, once; None if it is to be taken back.
    #[must_use]
    pub fn booted(&self) -> Option<Self> {
        (self.boots == 0).then(|| Self { boots: 1, ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f08_the_second_boot_takes_it_back() {
        let trial = Trial { secs: 300, boots: 0 };
        let second = trial.booted().unwrap();
        assert_eq!(second, Trial { secs: 300, boots: 1 });
        assert_eq!(second.booted(), None);
        assert_eq!(serde_json::from_str::<Trial>(r#"{"secs":300}"#).unwrap(), trial);
    }
}
