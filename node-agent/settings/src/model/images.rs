//! `[images]`: when unused images are removed.

use std::time::Duration;

/// `[images]`. The defaults are the kubelet's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// `gc_high_percent`: from how full /var is on unused images are removed, 1 to 95. Default 85.
    pub gc_high_percent: u32,
    /// `gc_low_percent`: until how full it is they are, below `gc_high_percent`. Default 80.
    pub gc_low_percent: u32,
    /// `gc_minimum_age`: how long an image has to be here before it is removed, 0s to 720h. Default 2min.
    pub gc_minimum_age: Duration,
}

impl Default for Images {
    fn default() -> Self {
        Self { gc_high_percent: 85, gc_low_percent: 80, gc_minimum_age: Duration::from_secs(120) }
    }
}
