//! `ballast clusters`: to which clusters the node belongs, and how it stands there.

use std::{
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};

use super::{
    ask::{print, status},
    node::Node,
};
use crate::report::status::Cluster;

/// Shows the clusters that this node belongs to, and its state in each
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit status: 0 they are printed; 1 the agent could not be asked; 2 wrong usage.")]
pub(super) struct Arguments {
    /// Prints JSON, for programs
    #[arg(long)]
    json: bool,
}

/// As kubectl's tables.
const COLUMNS: [&str; 6] = ["NAME", "ROLE", "STATE", "SERVER", "CERTIFICATE", "UPGRADE"];

pub(super) fn run(arguments: &Arguments, node: &Node) -> Result<ExitCode> {
    let clusters = status(node, "clusters")?.clusters;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    print(&match arguments.json {
        true => serde_json::to_string_pretty(&clusters).context("encoding the clusters")? + "\n",
        false => render(&clusters, now),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn render(clusters: &[Cluster], now: u64) -> String {
    if clusters.is_empty() {
        return "This node belongs to no cluster; [[cluster]] in the settings names one.\n".to_owned();
    }
    let mut rows = vec![COLUMNS.map(str::to_owned)];
    rows.extend(clusters.iter().map(|cluster| row(cluster, now)));
    let mut out: String = rows.iter().map(|row| line(row, &rows)).collect();
    let reasons = clusters.iter().filter_map(|cluster| Some((&cluster.name, cluster.reason.as_ref()?)));
    let reasons: String = reasons.map(|(name, reason)| format!("  ! {name}: {reason}\n")).collect();
    if !reasons.is_empty() {
        out.push('\n');
        out.push_str(&reasons);
    }
    out
}

fn row(cluster: &Cluster, now: u64) -> [String; 6] {
    let none = || "-".to_owned();
    let since = cluster.since.map(|since| format!(" {}", age(now.saturating_sub(since)))).unwrap_or_default();
    let until = |until: u64| if until > now { age(until - now) } else { "ended".to_owned() };
    [
        cluster.name.clone(),
        cluster.role.clone(),
        format!("{}{since}", cluster.state),
        cluster.server.clone().unwrap_or_else(none),
        cluster.certificate_until.map_or_else(none, until),
        cluster.rollout.clone().unwrap_or_else(none),
    ]
}

/// A row, each cell as wide as the widest of its column in `rows`.
fn line(row: &[String; 6], rows: &[[String; 6]]) -> String {
    let cells = row.iter().enumerate().map(|(column, cell)| {
        let width = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        format!("{cell:<width$}")
    });
    format!("{}\n", cells.collect::<Vec<_>>().join("   ").trim_end())
}

/// A time as kubectl shows it: in one unit, so that two times are distinguished.
fn age(secs: u64) -> String {
    match secs {
        0..120 => format!("{secs}s"),
        120..10_800 => format!("{}m", secs / 60),
        10_800..172_800 => format!("{}h", secs / 3600),
        172_800.. => format!("{}d", secs / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_as_wide_as_its_cells() {
        let connected = Cluster {
            name: "prod".to_owned(),
            role: "node".to_owned(),
            state: "connected".to_owned(),
            server: Some("https://10.0.0.1:6443".to_owned()),
            certificate_until: Some(364 * 86_400 + 1000),
            rollout: Some("Draining: 3 pods are left".to_owned()),
            ..Cluster::default()
        };
        let unreachable = Cluster {
            name: "lab".to_owned(),
            role: "report-only".to_owned(),
            state: "unreachable".to_owned(),
            since: Some(400),
            reason: Some("connecting to https://lab.example: refused".to_owned()),
            certificate_until: Some(1000),
            ..Cluster::default()
        };
        let expected = "\
NAME   ROLE          STATE             SERVER                  CERTIFICATE   UPGRADE
prod   node          connected         https://10.0.0.1:6443   364d          Draining: 3 pods are left
lab    report-only   unreachable 10m   -                       ended         -

  ! lab: connecting to https://lab.example: refused
";
        assert_eq!(render(&[connected, unreachable], 1000), expected);
        assert!(render(&[], 0).starts_with("This node belongs to no cluster"));
    }

    #[test]
    fn times_are_reported_in_one_unit() {
        for (secs, expected) in [(0, "0s"), (119, "119s"), (120, "2m"), (10_800, "3h"), (172_800, "2d")] {
            assert_eq!(age(secs), expected);
        }
    }
}
