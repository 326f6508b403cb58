//! Beside what was recorded, and beside the limit: a verdict, and a sentence that says what to do.

use serde::Serialize;

use super::figure::{Figure, grouped};
use super::file::{Budget, NAME};
use super::measure::Measured;

/// Figures repeat within one percent (instructions, memory) or exactly (bytes, packages): more than this was somebody.
const TOLERANCE_PERCENT: u64 = 3;

/// What a kilobyte of settings may add to READY. It was 3 until credentials of registries were bound to their host and port: containerd
/// reads those from a second configuration file (0.02 G).
pub const SETTINGS_PERCENT: u64 = 5;

/// What a cluster and they may.
pub const CLUSTER_PERCENT: u64 = 5;

/// How a figure compares with what was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As recorded
    Kept,
    /// Less than recorded: to be recorded, so that it stays so
    Fell,
    /// More than recorded: a failure, unless the commit says so in the budget
    Grew,
}

/// What is found of one figure.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// Which
    pub figure: Figure,
    /// What it is now
    pub measured: u64,
    /// What the budget says
    pub recorded: u64,
    /// What it shall never exceed
    pub limit: u64,
    /// Beside what was recorded
    pub verdict: Verdict,
    /// Whether it exceeds its limit: a failure, whatever was recorded
    pub over_limit: bool,
    /// Its line in budget.toml
    pub line: usize,
}

/// Compares each figure, in their order.
pub fn evaluate(budget: &Budget, measured: &Measured) -> Vec<Finding> {
    let find = |&figure: &Figure| {
        let (entry, measured) = (budget.entry(figure), measured.of(figure));
        let verdict = match () {
            () if measured > most(entry.recorded) => Verdict::Grew,
            () if measured < least(entry.recorded) => Verdict::Fell,
            () => Verdict::Kept,
        };
        let (recorded, limit, line) = (entry.recorded, entry.limit, entry.line);
        Finding { figure, measured, recorded, limit, verdict, over_limit: measured > limit, line }
    };
    Figure::ALL.iter().map(find).collect()
}

/// Of one image, in one go: what a kilobyte of settings adds to READY, and what a cluster besides, as a sentence each if that is too much.
/// All figures may be as recorded, and yet too far from each other.
pub fn added_costs(measured: &Measured) -> Vec<String> {
    let without = Figure::ReadyInstructions;
    let least = measured.of(without);
    let added = [
        ("a kilobyte of settings", Figure::SettingsReadyInstructions, SETTINGS_PERCENT),
        ("a kilobyte of settings and a cluster", Figure::ClusterReadyInstructions, CLUSTER_PERCENT),
    ];
    let is_too_much = |percent: u64, with: u64| with > least + least * percent / 100;
    let added = added.into_iter().filter(|(_, with, percent)| is_too_much(*percent, measured.of(*with)));
    let reported = added.map(|(what, with, percent)| {
        format!(
            "{what} make {} of the {} to READY; more than {percent} % is too much, whatever is recorded",
            with.show(measured.of(with)),
            without.show(least),
        )
    });
    reported.collect()
}

/// The most that passes as what was recorded. Whole numbers: 3 % of 120 packages are 3 of them.
fn most(recorded: u64) -> u64 {
    recorded + recorded * TOLERANCE_PERCENT / 100
}

fn least(recorded: u64) -> u64 {
    recorded - recorded * TOLERANCE_PERCENT / 100
}

impl Finding {
    /// Whether the gate stays shut.
    pub fn fails(&self) -> bool {
        self.over_limit || self.verdict == Verdict::Grew
    }

    /// A line of the table.
    pub fn row(&self) -> String {
        let show = |value| self.figure.show(value);
        let change = (self.measured as f64 / self.recorded.max(1) as f64 - 1.0) * 100.0;
        let mark = match (self.over_limit, self.verdict) {
            (true, _) => "  <-- over its limit",
            (false, Verdict::Grew) => "  <-- grew",
            (false, Verdict::Fell) => "  fell: record it",
            (false, Verdict::Kept) => "",
        };
        let (figure, measured) = (self.figure.key(), show(self.measured));
        let (recorded, limit) = (show(self.recorded), show(self.limit));
        format!("  {figure:<27} {measured:>10}   recorded {recorded:>10} ({change:+.1} %)   limit {limit:>10}{mark}")
    }

    /// What there is to say and do: a sentence for each thing that is not as recorded.
    pub fn sentences(&self) -> Vec<String> {
        let show = |value| self.figure.show(value);
        let (name, measured, line) = (self.figure.key(), show(self.measured), self.line);
        let (recorded, limit, now) = (show(self.recorded), show(self.limit), grouped(self.measured));
        let mut sentences = Vec::new();
        match self.verdict {
            Verdict::Kept => {}
            Verdict::Grew => sentences.push(format!(
                "{name} is {measured}; recorded are {recorded}, so at most {} pass (limit {limit}): save it again, or say \
                 that it is meant by setting `recorded = {now}` in line {line} of {NAME}",
                show(most(self.recorded)),
            )),
            Verdict::Fell => sentences.push(format!(
                "{name} fell to {measured}; recorded are {recorded} (limit {limit}): keep the saving by setting \
                 `recorded = {now}` in line {line} of {NAME}",
            )),
        }
        if self.over_limit {
            sentences.push(format!(
                "{name} is {measured}; recorded are {recorded}, but its limit is {limit} (line {line} of {NAME}): no \
                 change of `recorded` helps, {} must go",
                show(self.measured - self.limit),
            ));
        }
        sentences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One figure measured, recorded 1000 in line 5, limited to 2000.
    fn packages(measured: u64) -> Finding {
        let budget = Budget::parse(super::super::file::tests::text()).unwrap();
        let measured = Measured::with(|figure| if figure == Figure::Packages { measured } else { 1_000 });
        let mut findings = evaluate(&budget, &measured);
        assert!(findings.iter().all(|finding| finding.figure == Figure::Packages || !finding.fails()));
        findings.remove(3)
    }

    #[test]
    fn three_percent_pass_and_no_more() {
        for (measured, verdict, over_limit, fails) in [
            (1_000, Verdict::Kept, false, false),
            (1_030, Verdict::Kept, false, false),
            (1_031, Verdict::Grew, false, true),
            (970, Verdict::Kept, false, false),
            (969, Verdict::Fell, false, false),
            (2_000, Verdict::Grew, false, true),
            (2_001, Verdict::Grew, true, true),
        ] {
            let finding = packages(measured);
            assert_eq!((finding.verdict, finding.over_limit, finding.fails()), (verdict, over_limit, fails));
        }
    }

    #[test]
    fn settings_and_a_cluster_may_not_cost_more_than_their_share() {
        let with = |settings, cluster| {
            let reported = [(Figure::SettingsReadyInstructions, settings), (Figure::ClusterReadyInstructions, cluster)];
            let of = |figure| reported.into_iter().find(|(one, _)| *one == figure).map_or(1_000_000_000, |(_, of)| of);
            added_costs(&Measured::with(of))
        };
        assert_eq!(with(1_050_000_000, 1_050_000_000), [""; 0]);
        let reported = with(1_070_000_000, 1_060_000_000);
        assert_eq!(reported.len(), 2);
        assert!(reported[0].contains("settings make 1.070 G of the 1.000 G"), "{reported:?}");
        assert!(reported[1].contains("cluster make 1.060 G of the 1.000 G"), "{reported:?}");
    }

    #[test]
    fn sentences_name_figure_recorded_limit_and_line() {
        assert!(packages(1_000).sentences().is_empty());
        assert_eq!(
            packages(1_040).sentences(),
            [
                "packages is 1040; recorded are 1000, so at most 1030 pass (limit 2000): save it again, or say that it is \
              meant by setting `recorded = 1_040` in line 5 of qemu-tests/bench/budget.toml"
            ]
        );
        assert_eq!(
            packages(900).sentences(),
            ["packages fell to 900; recorded are 1000 (limit 2000): keep the saving by setting `recorded = 900` in \
              line 5 of qemu-tests/bench/budget.toml"]
        );
        let both = packages(2_100).sentences();
        assert_eq!(both.len(), 2);
        assert!(both[1].contains("its limit is 2000 (line 5") && both[1].ends_with("100 must go"), "{}", both[1]);
    }

    #[test]
    fn rows_mark_what_fails() {
        assert!(packages(2_100).row().ends_with("<-- over its limit"));
        assert!(packages(1_040).row().contains("recorded       1000 (+4.0 %)"), "{}", packages(1_040).row());
    }
}
