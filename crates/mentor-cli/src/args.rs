//! The commands of `mentor`; each command's own flags are beside the command.

use clap::{CommandFactory, Parser, Subcommand};

use crate::commands::{
    calibrate, completions, data, demo, distill, embed, eval, label, loss, models, predict, report, search,
    self_train, train,
};
use crate::terminal::error::Failure;

const EXAMPLES: &str = "\
Examples:
  mentor demo
      six lessons on embedded digits in about a minute, and a report
  mentor data photos/
      describe and check a data set before training on it
  mentor train --data photos/ --model cnn --epochs 10 --out runs/photos
      train a small convolutional network; the same command again continues it
  mentor eval runs/photos --split test
      measure it on images that it has never seen
  mentor predict runs/photos new.png more/
      classify files
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

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(demo::Args),
    Train(Box<train::Args>),
    Distill(Box<distill::Args>),
    SelfTrain(Box<self_train::Args>),
    Label(label::Args),
    Calibrate(calibrate::Args),
    Eval(eval::Args),
    Predict(predict::Args),
    Embed(embed::Args),
    Search(search::Args),
    Report(report::Args),
    Data(data::Args),
    Loss(loss::Args),
    Models(models::Args),
    Completions(completions::Args),
}

impl Command {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Demo(args) => demo::run(&args),
            Self::Train(args) => train::run(&args),
            Self::Distill(args) => distill::run(&args),
            Self::SelfTrain(args) => self_train::run(&args),
            Self::Label(args) => label::run(&args),
            Self::Calibrate(args) => calibrate::run(&args),
            Self::Eval(args) => eval::run(&args),
            Self::Predict(args) => predict::run(&args),
            Self::Embed(args) => embed::run(&args),
            Self::Search(args) => search::run(&args),
            Self::Report(args) => report::run(&args),
            Self::Data(args) => data::run(&args),
            Self::Loss(args) => loss::run(&args),
            Self::Models(args) => models::run(&args),
            Self::Completions(args) => completions::run(&args, Cli::command()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        super::Cli::command().debug_assert();
    }
}
