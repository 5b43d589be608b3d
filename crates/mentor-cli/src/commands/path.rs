//! `mentor path`: chooses the penalty of a linear classifier by cross-validation.

use clap::builder::PossibleValuesParser;
use mentor_run::{Config, PathConfig};

use super::data::FORMS;
use super::train::{self, Inherited};
use crate::terminal::error::Failure;

const EXAMPLES: &str = "\
Examples:
  mentor path --data digits --loss softmax --l2 1e-6..1e1 --steps 20 --folds 5 --out runs/path
      try 20 λ from 1e-6 to 10 and keep the one with the least validation loss
  mentor path --data digits --l1 1e-5..1e-1 --rule one-standard-error --out runs/sparse
      keep the largest λ that is as good up to one standard error: more weights are 0
  mentor eval runs/path --split test
      the result is a run like any other

The folds divide the training images, each class evenly. For each fold and λ a linear classifier is trained \
on the other folds, from the strongest penalty to the weakest, each beginning with the weights of the one \
before. The run that is kept is trained on all training images with the chosen λ, to the --gap. The \
validation split takes no part in the choice.

path.json has, for each λ: val_loss (the mean over the folds), fold_losses, standard_deviation, \
standard_error, val_accuracy, num_nonzero_weights, relative_gap.";

/// Choose the penalty of a linear classifier by cross-validation
#[derive(Debug, clap::Args)]
#[command(
    about = "Choose the penalty of a linear classifier by cross-validation",
    override_usage = "mentor path --data <DATA> [OPTIONS]",
    after_help = format!("{EXAMPLES}\n\n{FORMS}"),
    mut_args = show
)]
pub(crate) struct Args {
    /// Try this many λ in equal ratios, from 2 to 1000 [default: 20]
    #[arg(long, value_name = "COUNT", help_heading = "Path")]
    steps: Option<u64>,

    /// Divide the training images into this many folds, at least 2; as many as images leave one out at a
    /// time [default: 5]
    #[arg(long, value_name = "COUNT", help_heading = "Path")]
    folds: Option<u64>,

    /// Take the λ with the least validation loss (min), or the largest whose loss is within one standard
    /// error of it (one-standard-error) [default: min]
    #[arg(
        long,
        value_name = "RULE",
        value_parser = PossibleValuesParser::new(["min", "one-standard-error"]),
        help_heading = "Path"
    )]
    rule: Option<String>,

    #[command(flatten)]
    train: train::Args,
}

/// What `train` has for a linear classifier that is trained to a gap.
const INHERITED: Inherited = Inherited {
    help: &[
        (
            "l2",
            "Try λ of λ Σw² in this range, such as 1e-6..1e1; or penalise by one number beside a range of \
             --l1 [default: 1e-6..1e1; without a range of --l1]",
        ),
        (
            "l1",
            "Try λ of λ Σ|w| in this range, such as 1e-5..1e-1, softmax only; or penalise by one number \
             beside a range of --l2 [default: 0]",
        ),
        (
            "gap",
            "Stop the training with the chosen λ once the weights are proven to be optimal up to this share \
             of the objective, above 0 [default: 1e-4]",
        ),
        ("seed", "Seed the division into folds with this number [default: 0]"),
        ("loss", "Choose the loss [default: softmax]"),
        ("margin", "Set the margin of svm or crammer-singer, above 0 [default: 1]"),
    ],
    hidden: &[
        "augment",
        "split_by",
        "model",
        "backbone",
        "fine_tune",
        "weight_decay",
        "layer_decay",
        "dropout",
        "stochastic_depth",
        "init_from",
        "freeze",
        "label_smoothing",
        "mining",
        "average",
        "distance",
        "form",
        "embedding_size",
        "unit_norm",
        "classes_per_batch",
        "samples_per_class",
        "triplets",
        "optimizer",
        "learning_rate",
        "momentum",
        "no_nesterov",
        "batch_size",
        "clip_norm",
        "certify",
        "schedule",
        "warmup_epochs",
        "epochs",
        "patience",
    ],
    shown_values: &[("loss", &["softmax", "svm", "crammer-singer"])],
};

fn show(arg: clap::Arg) -> clap::Arg {
    INHERITED.show(arg)
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    train::run_with(&args.train, args.configuration()?)
}

impl Args {
    pub(super) fn configuration(&self) -> Result<Config, Failure> {
        let mut config = self.train.configuration()?;
        let path = config.path.get_or_insert_with(PathConfig::default);
        train::take(&self.steps, &mut path.steps);
        train::take(&self.folds, &mut path.folds);
        train::take(&self.rule, &mut path.rule);
        Ok(config)
    }
}
