//! The commands of `mentor`; each command's own flags are beside the command.

use clap::{CommandFactory, Parser, Subcommand};

#[cfg(feature = "serve")]
use crate::commands::serve;
use crate::commands::{
    annotate, backbones, calibrate, check_labels, completions, data, demo, distill, embed, eval, export,
    label, loss, models, next, path, predict, report, search, self_train, train,
};
use crate::terminal::error::Failure;

const EXAMPLES: &str = "\
Examples:
  mentor demo
      train six models on embedded digits in about a minute, and write a report
  mentor data photos/
      describe and check a data set before training on it
  mentor train --data photos/ --model cnn --epochs 10 --out runs/photos
      train a small convolutional network; the same command again continues it
  mentor eval runs/photos --split test
      evaluate it on images that training never saw
  mentor predict runs/photos new.png more/
      classify image files
  mentor report runs/photos runs/digits
      compare runs in one HTML file

Exit status: 0 done, 1 ran and failed, 2 usage or configuration, 3 bad data, 4 training diverged,
130 or 143 interrupted with a checkpoint written.";

/// Train image classifiers and embedding models from few labels, and make them small.
#[derive(Debug, Parser)]
#[command(
    name = "mentor",
    version,
    about,
    long_about = "Train image classifiers from folders, IDX files, CSV manifests or npz files.\n\n\
        Every run is a directory with its configuration, metrics, weights and an HTML report. A run that was \
        interrupted, even by a power cut, continues with the same command and ends in the same weights.",
    after_help = EXAMPLES,
    max_term_width = 100,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(demo::Args),
    Train(Box<train::Args>),
    Distill(Box<distill::Args>),
    SelfTrain(Box<self_train::Args>),
    Path(Box<path::Args>),
    Annotate(annotate::Args),
    Next(next::Args),
    CheckLabels(check_labels::Args),
    Label(label::Args),
    Calibrate(calibrate::Args),
    Eval(eval::Args),
    Predict(predict::Args),
    Embed(embed::Args),
    Search(search::Args),
    Export(export::Args),
    #[cfg(feature = "serve")]
    Serve(serve::Args),
    Report(report::Args),
    Data(data::Args),
    Loss(loss::Args),
    Models(models::Args),
    Backbones(backbones::Args),
    Completions(completions::Args),
}

impl Command {
    /// Runs the command.
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Demo(args) => demo::run(&args),
            Self::Train(args) => train::run(&args),
            Self::Distill(args) => distill::run(&args),
            Self::SelfTrain(args) => self_train::run(&args),
            Self::Path(args) => path::run(&args),
            Self::Annotate(args) => annotate::run(&args),
            Self::Next(args) => next::run(&args),
            Self::CheckLabels(args) => check_labels::run(&args),
            Self::Label(args) => label::run(&args),
            Self::Calibrate(args) => calibrate::run(&args),
            Self::Eval(args) => eval::run(&args),
            Self::Predict(args) => predict::run(&args),
            Self::Embed(args) => embed::run(&args),
            Self::Search(args) => search::run(&args),
            Self::Export(args) => export::run(&args),
            #[cfg(feature = "serve")]
            Self::Serve(args) => serve::run(&args),
            Self::Report(args) => report::run(&args),
            Self::Data(args) => data::run(&args),
            Self::Loss(args) => loss::run(&args),
            Self::Models(args) => models::run(&args),
            Self::Backbones(args) => backbones::run(&args),
            Self::Completions(args) => completions::run(&args, Cli::command()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// The commands in a text: its lines that begin with `mentor`, also after a prompt, or within a line's
    /// quotes.
    fn commands(text: &str) -> Vec<String> {
        let line = |line: &str| {
            let line = line.trim_start().trim_start_matches("$ ");
            let line = line
                .strip_prefix("cargo run --release -- ")
                .map_or(line.to_owned(), |rest| format!("mentor {rest}"));
            let quoted = line
                .split_once("'mentor ")
                .and_then(|(_, rest)| Some(format!("mentor {}", rest.split_once('\'')?.0)));
            quoted.into_iter().chain(line.split(" && ").map(str::to_owned)).collect::<Vec<_>>()
        };
        text.lines().flat_map(line).filter(|line| line.starts_with("mentor ")).collect()
    }

    /// The words of a command as a shell divides it, up to a comment or where its output goes.
    fn words(command: &str) -> Vec<String> {
        let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
        for letter in command.chars() {
            match (quote, letter) {
                (None, '#' | '>' | '|') if word.is_none() => break,
                (None, '"' | '\'') => {
                    quote = Some(letter);
                    word.get_or_insert_default();
                }
                (Some(open), letter) if open == letter => quote = None,
                (None, letter) if letter.is_whitespace() => words.extend(word.take()),
                (_, letter) => word.get_or_insert_default().push(letter),
            }
        }
        words.extend(word);
        words
    }

    #[track_caller]
    fn assert_runs(command: &str, place: &str) {
        if let Err(error) = Cli::try_parse_from(words(command)) {
            assert!(!error.use_stderr(), "{place}: {command}\n{error}");
        }
    }

    #[test]
    fn examples_of_the_help_can_be_run_and_each_command_shows_its_own() {
        fn check(command: &mut clap::Command, path: &str) {
            let help = command.render_long_help().to_string();
            // Lines of the help are wrapped; its examples are not.
            let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let found = commands(&examples);
            found.iter().for_each(|example| assert_runs(example, path));
            let own = found.iter().any(|example| example.starts_with(path));
            assert!(own, "{path} shows no example of itself:\n{help}");
            if path.starts_with("mentor loss ") {
                assert!(found.iter().all(|example| example.starts_with(path)), "{path}: {found:?}");
            }
            for command in command.get_subcommands_mut().filter(|command| command.get_name() != "help") {
                let path = format!("{path} {}", command.get_name());
                check(command, &path);
            }
        }
        let mut command = Cli::command();
        command.build();
        check(&mut command, "mentor");
    }

    #[test]
    fn examples_of_the_documents_can_be_run() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for name in [
            "README.md",
            "docs/definitions.md",
            "docs/benchmarks.md",
            "docs/export.md",
            "docs/server.md",
            "docs/labels.md",
            "bench/README.md",
        ] {
            let text = std::fs::read_to_string(root.join(name)).unwrap();
            // Every second part between fences is code.
            let code: String = text.split("```").skip(1).step_by(2).collect();
            let found = commands(&code);
            assert!(name != "README.md" || found.len() > 20, "{found:?}");
            found.iter().for_each(|command| assert_runs(command, name));
        }
    }

    #[test]
    fn a_command_is_divided_as_by_a_shell() {
        assert_eq!(words("mentor a \"b c\" --d='e'f > g # h"), ["mentor", "a", "b c", "--d=ef"]);
        assert_eq!(
            commands("x\n  $ mentor a && mentor b\n sbatch --wrap 'mentor c d'"),
            ["mentor a", "mentor b", "mentor c d"]
        );
    }

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
