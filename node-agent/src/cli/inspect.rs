//! `ballast ps`, `ballast net`, `ballast disk`: what an operator inspects when a node is slow or full.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::{
    ask::{print, unexpected},
    node::Node,
    table,
};
use crate::report::{
    inspect::{
        Inspection, Subject,
        disks::{self, Disks as DisksReport},
        network::Network as NetworkReport,
        processes::Processes as ProcessesReport,
    },
    socket::{Reply, Request},
};

const EXIT_STATUS: &str = "Exit status: 0 it is printed; 1 the agent could not be asked; 2 wrong usage.";

/// Shows what pods, units and processes take of processors and memory, who takes most first
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS)]
pub(super) struct Processes {
    /// Shows so many processes
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 20)]
    lines: usize,

    /// Prints JSON with all of them, for programs
    #[arg(long)]
    json: bool,
}

/// Shows addresses, routes, name servers, who listens, and how full the firewall's table of connections is
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS)]
pub(super) struct Network {
    /// Prints JSON, for programs
    #[arg(long)]
    json: bool,
}

/// Shows disks and partitions, how full file systems are, and who uses /var
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS)]
pub(super) struct Disks {
    /// Prints JSON, for programs
    #[arg(long)]
    json: bool,
}

pub(super) fn processes(arguments: &Processes, node: &Node) -> Result<ExitCode> {
    let reply = node.open("ps", &Request::Inspect { subject: Subject::Processes })?.next()?;
    let Reply::Inspected(Inspection::Processes(found)) = reply else { bail!(unexpected(&reply)) };
    show(arguments.json, &found, |found| show_processes(found, arguments.lines), found.problem.iter())
}

pub(super) fn network(arguments: &Network, node: &Node) -> Result<ExitCode> {
    let reply = node.open("net", &Request::Inspect { subject: Subject::Network })?.next()?;
    let Reply::Inspected(Inspection::Network(found)) = reply else { bail!(unexpected(&reply)) };
    show(arguments.json, &found, show_network, found.problems.iter())
}

pub(super) fn disks(arguments: &Disks, node: &Node) -> Result<ExitCode> {
    let reply = node.open("disk", &Request::Inspect { subject: Subject::Disks })?.next()?;
    let Reply::Inspected(Inspection::Disks(found)) = reply else { bail!(unexpected(&reply)) };
    show(arguments.json, &found, show_disks, found.problems.iter())
}

fn show<'a, T: Serialize>(
    is_json: bool,
    found: &T,
    for_people: impl FnOnce(&T) -> String,
    problems: impl Iterator<Item = &'a String>,
) -> Result<ExitCode> {
    if is_json {
        print(&(serde_json::to_string_pretty(found).context("encoding what was found")? + "\n"))?;
    } else {
        print(&for_people(found))?;
        problems.for_each(|problem| eprintln!("ballast: {problem}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// As 250m for a quarter of a processor.
fn cpu(millis: u64) -> String {
    format!("{millis}m")
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

fn percent(used: u64, of: u64) -> String {
    let percent = used.saturating_mul(100).checked_div(of);
    percent.map_or("-".to_owned(), |percent| format!("{percent} %"))
}

fn show_processes(found: &ProcessesReport, lines: usize) -> String {
    let owners: Vec<_> = found
        .owners
        .iter()
        .map(|one| [one.name.clone(), cpu(one.cpu_millis), size(one.memory_bytes), one.processes.to_string()])
        .collect();
    let processes: Vec<_> = found
        .processes
        .iter()
        .take(lines)
        .map(|one| {
            [one.pid.to_string(), one.name.clone(), one.owner.clone(), cpu(one.cpu_millis), size(one.memory_bytes)]
        })
        .collect();
    let owners = table::render(&["POD OR UNIT", "CPU", "MEMORY", "PROCESSES"], &owners);
    let left = found.processes.len().saturating_sub(lines);
    let left = if left > 0 { format!("and {left} more (-n)\n") } else { String::new() };
    owners + "\n" + &table::render(&["PID", "PROCESS", "OF", "CPU", "MEMORY"], &processes) + &left
}

fn show_network(found: &NetworkReport) -> String {
    let or_none = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let interfaces: Vec<_> = found
        .interfaces
        .iter()
        .map(|one| {
            let addresses = one.addresses.join(" ");
            [one.name.clone(), one.state.clone(), or_none(&one.hardware), one.mtu.to_string(), or_none(&addresses)]
        })
        .collect();
    let routes: Vec<_> = found
        .routes
        .iter()
        .map(|one| {
            let metric = one.metric.map_or("-".to_owned(), |metric| metric.to_string());
            [one.to.clone(), one.via.clone().unwrap_or("-".to_owned()), one.interface.clone(), metric]
        })
        .collect();
    let listening: Vec<_> = found
        .listening
        .iter()
        .map(|one| [one.protocol.clone(), one.address.clone(), or_none(&one.processes.join(", "))])
        .collect();
    let mut out = table::render(&["INTERFACE", "STATE", "HARDWARE", "MTU", "ADDRESSES"], &interfaces);
    out += &("\n".to_owned() + &table::render(&["ROUTE", "VIA", "INTERFACE", "METRIC"], &routes));
    out += &("\n".to_owned() + &table::render(&["LISTENS", "AT", "PROCESS"], &listening));
    out += &format!("\nName servers  {}\n", or_none(&found.name_servers.join(" ")));
    out += &format!("Search        {}\n", or_none(&found.search.join(" ")));
    if let Some(table) = &found.conntrack {
        out += &format!("Connections   {} of {} ({})\n", table.count, table.max, percent(table.count, table.max));
    }
    out
}

fn show_disks(found: &DisksReport) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or("-".to_owned());
    let block = |one: &disks::Block| {
        [
            one.name.clone(),
            one.kind.clone(),
            size(one.size_bytes),
            text(&one.label),
            text(&one.file_system),
            text(&one.model),
        ]
    };
    let file_system = |one: &disks::FileSystem| {
        let used = one.bytes.saturating_sub(one.available_bytes);
        let files = one.inodes.saturating_sub(one.available_inodes);
        [
            one.mounted_at.clone(),
            size(one.bytes),
            size(one.available_bytes),
            percent(used, one.bytes),
            percent(files, one.inodes),
        ]
    };
    let user = |one: &disks::User| {
        let more = if one.is_complete { "" } else { "at least " };
        [one.name.clone(), format!("{more}{}", size(one.bytes)), one.files.to_string(), one.folder.clone()]
    };
    let blocks: Vec<_> = found.blocks.iter().map(block).collect();
    let file_systems: Vec<_> = found.file_systems.iter().map(file_system).collect();
    let mut users = found.var.clone();
    users.sort_by_key(|one| std::cmp::Reverse(one.bytes));
    let users: Vec<_> = users.iter().map(user).collect();
    [
        table::render(&["DISK", "TYPE", "SIZE", "LABEL", "HOLDS", "MODEL"], &blocks),
        table::render(&["MOUNTED AT", "SIZE", "FREE", "USED", "FILES"], &file_systems),
        table::render(&["WHO USES /VAR", "SIZE", "FILES", "WHERE"], &users),
    ]
    .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::inspect::{
        network::{Conntrack, Interface},
        processes::{Owner, Process},
    };

    #[test]
    fn people_read_tables() {
        let owner = Owner { name: "default/web/c".to_owned(), cpu_millis: 250, memory_bytes: 12_345_678, processes: 2 };
        let process = |pid| Process {
            pid,
            name: "nginx".to_owned(),
            owner: "default/web/c".to_owned(),
            cpu_millis: 125,
            memory_bytes: 2_000_000_000,
        };
        let found = ProcessesReport { owners: vec![owner], processes: vec![process(7), process(8)], problem: None };
        let expected = "POD OR UNIT     CPU    MEMORY    PROCESSES\ndefault/web/c   250m   12.3 MB   2\n\n\
                        PID   PROCESS   OF              CPU    MEMORY\n7     nginx     default/web/c   125m   2.0 GB\nand 1 more (-n)\n";
        assert_eq!(show_processes(&found, 1), expected);

        let interface =
            Interface { name: "ens3".to_owned(), state: "UP".to_owned(), mtu: 1500, ..Interface::default() };
        let conntrack = Some(Conntrack { count: 5, max: 20 });
        let found = NetworkReport { interfaces: vec![interface], conntrack, ..NetworkReport::default() };
        let shown = show_network(&found);
        assert!(
            shown.starts_with(
                "INTERFACE   STATE   HARDWARE   MTU    ADDRESSES\nens3        UP      -          1500   -\n"
            ),
            "{shown}"
        );
        assert!(shown.ends_with("Connections   5 of 20 (25 %)\n"), "{shown}");

        let user = |bytes, is_complete| disks::User {
            name: "x".to_owned(),
            folder: "/var/x".to_owned(),
            bytes,
            files: 3,
            is_complete,
        };
        let shown = show_disks(&DisksReport {
            var: vec![user(1_000_000, true), user(2_000_000, false)],
            ..DisksReport::default()
        });
        assert!(
            shown.ends_with(
                "x               at least 2.0 MB   3       /var/x\nx               1.0 MB            3       /var/x\n"
            ),
            "{shown}"
        );
        assert_eq!((percent(1, 0), percent(1, 3)), ("-".to_owned(), "33 %".to_owned()));
    }
}
