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
mod terminal;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

/// Runs the command that `arguments` (the program's name first) ask for, and gives the exit status.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let result = match args::Cli::try_parse_from(arguments) {
        Ok(cli) => cli.command.run(),
        // Help and the version are "errors" of the parser too; it knows where each goes, and with which status.
        Err(error) => return usage_status(&error),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(text) = failure.render() {
                terminal::output::note(&text);
            }
            ExitCode::from(failure.status())
        }
    }
}

fn usage_status(error: &clap::Error) -> ExitCode {
    // A reader that has gone away is nothing to complain about.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(terminal::error::USAGE))
}
