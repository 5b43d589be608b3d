//! The command line of mentor: arguments, progress, the report, exit status.
//!
//! The only crate of the workspace that prints or decides an exit status. Everything else it does is
//! in the libraries: a command reads arguments, calls them, and shows what came back.
//!
//! | exit status | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | ran and failed |
//! | 2 | usage or configuration |
//! | 3 | bad data |
//! | 4 | training diverged |
//! | 130, 143 | interrupted by SIGINT or SIGTERM, with a checkpoint written |

mod args;
mod commands;
mod device;
mod files;
pub mod keywords;
mod terminal;
mod tracking;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

/// Runs the command that `arguments` (the program's name first) ask for, and gives the exit status.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    ExitCode::from(status(arguments))
}

/// As [`run`], and gives the exit status as a number, for programs that end by other means.
pub fn status(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let mut command = args::Cli::command();
    let matches = command.try_get_matches_from_mut(arguments);
    let parsed = matches.and_then(|matches| Ok((args::Cli::from_arg_matches(&matches)?, matches)));
    let (cli, matches) = match parsed {
        Ok(parsed) => parsed,
        // Help and the version are "errors" of the parser too; it knows where each goes, and with which
        // status.
        Err(error) => return usage_status(&error),
    };
    match cli.command.run() {
        Ok(()) => 0,
        Err(failure) => {
            let failed = matches.subcommand_name().and_then(|name| command.find_subcommand(name));
            if let Some(text) = failure.render(failed.unwrap_or(&command)) {
                terminal::output::note(&text);
            }
            failure.status()
        }
    }
}

fn usage_status(error: &clap::Error) -> u8 {
    let (plain, status) =
        (error.to_string(), u8::try_from(error.exit_code()).unwrap_or(terminal::error::USAGE));
    let shown = terminal::output::printable(plain.trim_end(), terminal::output::MAX_LINE);
    if error.use_stderr() && shown != plain.trim_end() {
        // It echoes an argument that a terminal should not see.
        terminal::output::note(&shown);
    } else {
        // A reader that has gone away is nothing to complain about.
        let _ = error.print();
    }
    status
}
