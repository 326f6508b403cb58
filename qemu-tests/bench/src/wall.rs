//! Wall seconds to READY, all in turn: what disturbs the host disturbs all of them alike.

use anyhow::{Context, Result};
use serde::Serialize;

use super::subject::{Ready, Subject};
use qemu_vm::lab::Lab;

/// CPUs of the machines of this measure.
const CPUS: u32 = 2;

/// Seconds of each round from QEMU's start to READY, and the ratio of the medians.
#[derive(Debug, Default, Serialize)]
pub(super) struct Wall {
    pub(super) ours_s: Vec<f64>,
    pub(super) stock_s: Vec<f64>,
    pub(super) floor_s: Vec<f64>,
    pub(super) stock_over_ours: f64,
    pub(super) uefi: UefiWall,
}

/// The same through UEFI, each with the boot loader of its disk.
#[derive(Debug, Default, Serialize)]
pub(super) struct UefiWall {
    pub(super) ours_s: Vec<f64>,
    pub(super) stock_s: Vec<f64>,
    /// Of ours, until the firmware started the boot loader
    pub(super) firmware_s: Vec<f64>,
    /// The same of the stock image
    pub(super) stock_firmware_s: Vec<f64>,
    /// Of the medians, each less that of its firmware, whose time is nobody's merit
    pub(super) stock_over_ours: f64,
}

/// Measures `rounds` rounds.
pub(super) fn measure(lab: &Lab, [ours, stock, floor]: [&Subject; 3], rounds: u32) -> Result<Wall> {
    let (ours_uefi, stock_uefi) = (ours.through_uefi("ours-uefi"), stock.through_uefi("stock-uefi"));
    let boot = |subject: &Subject| subject.ready(lab, lab.accelerator, CPUS);
    let mut wall = Wall::default();
    for round in 1..=rounds {
        wall.ours_s.push(seconds(&boot(ours)?));
        wall.stock_s.push(seconds(&boot(stock)?));
        wall.floor_s.push(seconds(&boot(floor)?));
        let uefi = &mut wall.uefi;
        for (subject, total, firmware) in [
            (&ours_uefi, &mut uefi.ours_s, &mut uefi.firmware_s),
            (&stock_uefi, &mut uefi.stock_s, &mut uefi.stock_firmware_s),
        ] {
            let ready = boot(subject)?;
            let handed_over = ready.firmware.context("the firmware did not say when it started the boot loader")?;
            total.push(seconds(&ready));
            firmware.push(millis(handed_over.as_secs_f64()));
        }
        let last = |all: &[f64]| all.last().copied().unwrap_or_default();
        println!(
            "bench: wall {round}/{rounds}: ours {:.1} s, stock {:.1} s, floor {:.1} s; through UEFI ours {:.1} s, stock \
             {:.1} s, of which the firmware {:.1} and {:.1} s",
            last(&wall.ours_s),
            last(&wall.stock_s),
            last(&wall.floor_s),
            last(&wall.uefi.ours_s),
            last(&wall.uefi.stock_s),
            last(&wall.uefi.firmware_s),
            last(&wall.uefi.stock_firmware_s),
        );
    }
    wall.stock_over_ours = ratio(median(&wall.stock_s), median(&wall.ours_s));
    let uefi = &mut wall.uefi;
    let own = |total: &[f64], firmware: &[f64]| median(total) - median(firmware);
    uefi.stock_over_ours = ratio(own(&uefi.stock_s, &uefi.stock_firmware_s), own(&uefi.ours_s, &uefi.firmware_s));
    Ok(wall)
}

fn seconds(ready: &Ready) -> f64 {
    millis(ready.line.at.as_secs_f64())
}

fn millis(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
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
