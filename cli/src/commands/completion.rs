//! `orgplane completion`.

use anyhow::Result;
use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::Args;
use crate::output;

/// Writes a completion script, which offers nothing that `--help` hides.
pub(crate) fn run(shell: Shell) -> Result<()> {
    output::line(script(shell)?.trim_end())
}

pub(crate) fn script(shell: Shell) -> Result<String> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut visible(&Args::command()), "orgplane", &mut script);
    Ok(String::from_utf8(script)?)
}

/// The command without what is hidden: the generators offer that, too.
fn visible(command: &clap::Command) -> clap::Command {
    let subcommands = command.get_subcommands().filter(|one| !one.is_hide_set()).map(visible);
    let args = command.get_arguments().filter(|one| !one.is_hide_set()).cloned();
    let mut shown = clap::Command::new(command.get_name().to_owned()).args(args).subcommands(subcommands);
    shown = shown.visible_aliases(command.get_visible_aliases().map(str::to_owned).collect::<Vec<_>>());
    match command.get_about() {
        Some(about) => shown.about(about.clone()),
        None => shown,
    }
}
