//! The tool `qemu-tests`: one file per command, each thin over the libraries.

mod bench;
mod boot;
mod budget;
mod crash_states;
mod exec;
mod fleet;
mod machine;
mod run;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Boots the Ballast image in QEMU, unchanged, and looks at it.
///
/// The image is what `make image` left under target/image; QEMU and the firmware come from the tools tree of
/// `make setup` ($BALLAST_TOOLS, target/tools), else from PATH. KVM is used where it really boots a kernel, else
/// emulation. Every machine is a throwaway copy: nothing changes the image.
#[derive(Debug, Parser)]
#[command(name = "qemu-tests", version, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Exec(exec::Exec),
    Run(run::Run),
    Boot(boot::Boot),
    Bench(bench::Bench),
    Budget(budget::BudgetArgs),
    Fleet(fleet::Fleet),
    CrashStates(crash_states::CrashStates),
}

/// What the tool itself ends with when it fails, so that it is not mistaken for the guest's command: as env(1), docker(1).
const OWN_FAILURE: u8 = 125;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome: Result<u8> = match cli.command {
        Command::Exec(command) => command.run(),
        Command::Run(command) => command.run().map(|()| 0),
        Command::Boot(command) => command.run().map(|()| 0),
        Command::Bench(command) => command.run().map(|()| 0),
        Command::Budget(command) => command.run(),
        Command::Fleet(command) => command.run().map(|()| 0),
        Command::CrashStates(command) => command.run().map(|()| 0),
    };
    match outcome {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("qemu-tests: {error:#}");
            ExitCode::from(OWN_FAILURE)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_guests_command_keeps_its_own_options() {
        let cli = Cli::try_parse_from(["qemu-tests", "exec", "--smp", "1", "--", "ls", "-l", "--smp"]).unwrap();
        let Command::Exec(exec) = cli.command else { panic!("not exec") };
        assert_eq!(exec.words(), ["ls", "-l", "--smp"]);
        assert!(Cli::try_parse_from(["qemu-tests", "exec"]).is_err(), "no command to run");
        assert!(Cli::try_parse_from(["qemu-tests", "fly"]).is_err());
    }

    #[test]
    fn what_the_readme_and_the_manual_say_can_be_typed() {
        let pages = [
            include_str!("../../README.md"),
            include_str!("../../docs/quick-start.md"),
            include_str!("../../docs/testing.md"),
            include_str!("../../docs/building.md"),
            include_str!("../../docs/design/crash-states.md"),
        ];
        let typed = |line: &'static str| line.trim().strip_prefix("cargo run ")?.split_once("-p qemu-tests -- ");
        let lines: Vec<&str> =
            pages.iter().flat_map(|page| page.lines()).filter_map(typed).map(|(_, words)| words).collect();
        assert!(lines.iter().any(|line| line.starts_with("exec --credential ballast.settings=")), "{lines:?}");
        assert!(lines.iter().any(|line| line.starts_with("crash-states ")), "{lines:?}");
        for line in lines {
            // What stands behind is a remark.
            let words = line.split("  #").next().unwrap_or(line).split_whitespace();
            let cli = Cli::try_parse_from(["qemu-tests"].into_iter().chain(words));
            cli.unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }
}
