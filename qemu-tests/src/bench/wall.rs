//! Wall seconds to READY, the three in turn: what disturbs the host disturbs all of them alike.

use anyhow::Result;
use serde::Serialize;

use super::subject::Subject;
use crate::lab::Lab;

/// CPUs of the machines of this measure.
const CPUS: u32 = 2;

/// Seconds of each round, and the ratio of the medians.
#[derive(Debug, Default, Serialize)]
pub(super) struct Wall {
    pub(super) ours_s: Vec<f64>,
    pub(super) stock_s: Vec<f64>,
    pub(super) floor_s: Vec<f64>,
    pub(super) stock_over_ours: f64,
}

/// Measures `rounds` rounds.
pub(super) fn measure(lab: &Lab, [ours, stock, floor]: [&Subject; 3], rounds: u32) -> Result<Wall> {
    let mut wall = Wall::default();
    for round in 1..=rounds {
        let seconds = |subject: &Subject| -> Result<f64> {
            let line = subject.ready(lab, lab.accelerator, CPUS)?;
            Ok((line.at.as_secs_f64() * 1000.0).round() / 1000.0)
        };
        wall.ours_s.push(seconds(ours)?);
        wall.stock_s.push(seconds(stock)?);
        wall.floor_s.push(seconds(floor)?);
        let last = |all: &[f64]| all.last().copied().unwrap_or_default();
        let (ours, stock, floor) = (last(&wall.ours_s), last(&wall.stock_s), last(&wall.floor_s));
        println!("bench: wall {round}/{rounds}: ours {ours:.1} s, stock {stock:.1} s, floor {floor:.1} s");
    }
    wall.stock_over_ours = ratio(median(&wall.stock_s), median(&wall.ours_s));
    Ok(wall)
}

/// The middle value; of an even number, the mean of the middle two.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

fn ratio(above: f64, below: f64) -> f64 {
    if below > 0.0 { (above / below * 100.0).round() / 100.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_stand_in_the_middle() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median(&[]).abs() < 1e-9);
        assert!((ratio(33.0, 6.0) - 5.5).abs() < 1e-9);
    }
}
