//! The command line as a page: each command with its help.

/// One section a command, depth first.
pub(crate) fn page(command: &clap::Command) -> String {
    let mut page = "# Command line\n\nEvery command has `--help`.\n".to_owned();
    for command in visible(command) {
        section(command, "ballast", &mut page);
    }
    page
}

fn visible(command: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    command.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help")
}

fn section(command: &clap::Command, parent: &str, page: &mut String) {
    let name = format!("{parent} {}", command.get_name());
    let help = command.clone().bin_name(&name).render_long_help().to_string();
    let help: String = help.trim_end().lines().map(|line| format!("{}\n", line.trim_end())).collect();
    page.push_str(&format!("\n## {name}\n\n```text\n{help}```\n"));
    for command in visible(command) {
        section(command, &name, page);
    }
}
