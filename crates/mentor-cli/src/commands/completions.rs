//! `mentor completions`: prints scripts that complete commands and flags in a shell.

use clap_complete::Shell;

use crate::terminal::error::Failure;
use crate::terminal::output;

const EXAMPLES: &str = "\
Examples:
  mentor completions bash > ~/.local/share/bash-completion/completions/mentor
  mentor completions zsh > ~/.zfunc/_mentor
  mentor completions fish > ~/.config/fish/completions/mentor.fish";

/// Print a script that completes commands and flags in a shell
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Write the script for this shell
    shell: Shell,
}

/// Writes the script for `command`, the whole command line.
pub(crate) fn run(args: &Args, mut command: clap::Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "mentor", &mut script);
    output::bytes(&script)
}
