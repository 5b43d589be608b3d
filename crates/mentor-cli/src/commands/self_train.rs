//! `mentor self-train`: few labels and many images become a student.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use mentor_run::{Config, SelfTrainConfig};
use mentor_train::{Plan, estimate_self_training};

use super::train::{self, Inherited};
use crate::terminal::error::Failure;
use crate::terminal::output;
use crate::terminal::progress::planned;

const EXAMPLES: &str = "\
Examples:
  mentor self-train --data digits --labels-per-class 5 --out runs/five
      keep five labels a class, take all others away, and see what the images without labels give back
  mentor self-train --data photos/ --unlabelled more/ --dry-run
      the stages, their updates and about how long they take, before anything is trained
  mentor self-train --data photos/ --unlabelled more/ --rounds 3 --model cnn --student cnn:wide --out runs/ns
      more/ is searched through for images; folder names mean nothing there
  mentor self-train --data photos/ --unlabelled more/ --no-noise --out runs/calm
      the ablation: without noise a student only repeats its teacher; --noise-augment none and the like switch off one noise
  mentor self-train --data photos/ --unlabelled more/ --method pseudo-label --out runs/lee
      Lee's method of 2013: the network learns from its own classes, with a weight that rises
  mentor self-train --data digits --labels-per-class 5 --distill-to mlp:100 --out runs/small
      end with a small model in OUT/distilled

A round: the teacher, its confidence calibrated on validation, labels every image without noise; confident labels are kept, the same number \
for each class, the most confident first, repeated where a class is short; a student with noise learns from both, with the loss \
mean CE(labelled) + ratio x mean CE(pseudo-labelled). It becomes the next teacher if it has more validation images right and \
the audit raises no alarm; else the round is rolled back. The audit is a canary: labelled images (5 %, at least five of a class, at most a \
fifth of few labels) that nobody trains on and that go the way of the unlabelled ones. Copies of validation and test images are left out.

The model of OUT is the best one, so that eval, predict and embed work on it. The same network on labels alone is in \
OUT/baseline. If a student makes more than 600 updates, teacher and baseline make fewer: short trials on the labels find how many, in OUT/length.json. The test split is opened once, at the end. Ctrl-C and the same command again go on, whatever the stage.

The weights that are judged and kept are an average over the updates, with the decay training.ema=0.999 (--set).

summary.json, beside what training writes: test_accuracy, baseline (val_accuracy, test_accuracy, only_student, only_baseline, p_value of \
McNemar's test), rounds[] (round, val_accuracy, test_accuracy, num_pseudo_labels, mean_confidence, audit_precision, p_value, accepted, reason).";

/// Train a student from few labels and many images without
#[derive(Debug, clap::Args)]
#[command(
    about = "Train a student from few labels and many images without",
    after_help = EXAMPLES,
    mut_args = show
)]
pub(crate) struct Args {
    /// Images without labels: a folder that is searched through, or other data whose labels are not looked at
    #[arg(long, value_name = "DATA", help_heading = "Self-training")]
    unlabelled: Option<String>,

    /// Keep the labels of this many training images of each class, and take those of all others away
    #[arg(long, value_name = "COUNT", help_heading = "Self-training")]
    labels_per_class: Option<usize>,

    /// Pseudo-labels of --unlabelled for the first round: a file or folder that mentor label wrote
    #[arg(long, value_name = "PATH", help_heading = "Self-training")]
    labels: Option<PathBuf>,

    /// noisy-student (Xie et al. 2020) or pseudo-label (Lee 2013) [default: noisy-student]
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(["noisy-student", "pseudo-label"]), help_heading = "Self-training")]
    method: Option<String>,

    /// Rounds of labelling and learning [default: 3]
    #[arg(long, value_name = "COUNT", help_heading = "Self-training")]
    rounds: Option<usize>,

    /// The student's network, as large as the teacher's or larger [default: that of --model]
    #[arg(long, value_name = "NAME", help_heading = "Self-training")]
    student: Option<String>,

    /// Least confidence of a pseudo-label, from 0 to 1 [default: 0.3]
    #[arg(long, value_name = "P", allow_hyphen_values = true, help_heading = "Self-training")]
    threshold: Option<f64>,

    /// soft (the teacher's probabilities) or hard (its class) [default: soft]
    #[arg(long, value_name = "KIND", value_parser = PossibleValuesParser::new(["soft", "hard"]), help_heading = "Self-training")]
    label_kind: Option<String>,

    /// Classes that a soft label keeps; the others share the rest of its probability [default: all]
    #[arg(long, value_name = "COUNT", help_heading = "Self-training")]
    top_k: Option<usize>,

    /// Take every confident image once, however uneven the classes become
    #[arg(long, help_heading = "Self-training")]
    no_balance: bool,

    /// Pseudo-labelled images of each class [default: the unlabelled images divided by the classes]
    #[arg(long, value_name = "COUNT", help_heading = "Self-training")]
    per_class: Option<usize>,

    /// How often an image may be repeated where its class is short [default: 5]
    #[arg(long, value_name = "COUNT", help_heading = "Self-training")]
    max_copies: Option<u32>,

    /// Pseudo-labelled images beside each labelled one, and the weight of their loss [default: 1]
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true, help_heading = "Self-training")]
    ratio: Option<f64>,

    /// Noise of the student: how its images are changed, as --augment [default: rand-augment:2,9]
    #[arg(long, value_name = "HOW", help_heading = "Self-training")]
    noise_augment: Option<String>,

    /// Noise of the student: probability of dropping a hidden unit [default: 0.5; 0 if the network has no
    /// place for it]
    #[arg(long, value_name = "P", allow_hyphen_values = true, help_heading = "Self-training")]
    noise_dropout: Option<f64>,

    /// Noise of the student: probability of dropping the last residual block [default: 0.2; 0 if there are no
    /// such blocks]
    #[arg(long, value_name = "P", allow_hyphen_values = true, help_heading = "Self-training")]
    noise_stochastic_depth: Option<f64>,

    /// No noise at all: what a student is without it
    #[arg(long, conflicts_with_all = ["noise_augment", "noise_dropout", "noise_stochastic_depth"], help_heading = "Self-training")]
    no_noise: bool,

    /// Share of the labels that audit the pseudo-labels and teach nobody; 0 for no audit [default: 0.05]
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true, help_heading = "Self-training")]
    canary_fraction: Option<f64>,

    /// Do not train the student's network on labels alone
    #[arg(long, help_heading = "Self-training")]
    no_baseline: bool,

    /// Print the stages, their updates and about how long they take, and train nothing
    #[arg(long, help_heading = "Self-training")]
    dry_run: bool,

    /// A small network that the final model teaches, into OUT/distilled
    #[arg(long, value_name = "NAME", help_heading = "Self-training")]
    distill_to: Option<String>,

    #[command(flatten)]
    train: train::Args,
}

/// What `train` has, with the defaults for few labels.
const INHERITED: Inherited = Inherited {
    help: &[
        (
            "augment",
            "Change the labelled images at random, for teacher and baseline: none, flip (left to right), shift or shift:N (by up to N \
             pixels), shift+flip or shift:N+flip, standard (shifts, flips, small rotations, erased patches), or rand-augment:N,M (N \
             operations of magnitude M, 0 to 10) [default: shift]",
        ),
        (
            "model",
            "The teacher: linear, mlp:1200,1200, cnn, resnet-20, resnet-18, wrn-16-2, vit, ...; see `mentor models` [default: cnn]",
        ),
        ("dropout", "Probability of dropping a hidden unit in training teacher and baseline [default: 0]"),
        (
            "stochastic_depth",
            "Probability of dropping the last residual block in training teacher and baseline, less for earlier ones [default: 0]",
        ),
        ("l2", "λ of the penalty λ Σw² (half of a weight decay) [default: 0.0005]"),
        (
            "learning_rate",
            "Step size [default: one that suits the model, in proportion to --batch-size below 32]",
        ),
        ("batch_size", "Labelled images of one update; --ratio adds pseudo-labelled ones [default: 32]"),
        (
            "clip_norm",
            "Largest norm of a gradient, longer ones are scaled down; 0 leaves all as they are [default: 0; 5 of --distill-to]",
        ),
        ("schedule", "How the learning rate changes over each stage [default: cosine]"),
        ("epochs", "Passes of a student over the larger of labelled and unlabelled images [default: 6]"),
    ],
    hidden: &[
        "init_from",
        "freeze",
        "split_by",
        "loss",
        "margin",
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
    ],
    shown_values: &[],
};

fn show(arg: clap::Arg) -> clap::Arg {
    INHERITED.show(arg)
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let config = args.configuration()?;
    if !args.dry_run {
        return train::run_with(&args.train, config);
    }
    let plan = Plan::try_from(config).map_err(Failure::usage)?;
    let device = args.train.device.open()?;
    output::text(&planned(&estimate_self_training(&plan, &device.execution())?))
}

impl Args {
    pub(super) fn configuration(&self) -> Result<Config, Failure> {
        let mut config = self.train.configuration()?;
        self.overlay(config.self_train.get_or_insert_with(SelfTrainConfig::default))?;
        Ok(config)
    }

    fn overlay(&self, config: &mut SelfTrainConfig) -> Result<(), Failure> {
        train::take(&self.unlabelled, &mut config.unlabelled);
        train::take(&self.labels_per_class, &mut config.labels_per_class);
        train::take(&self.labels, &mut config.labels);
        train::take(&self.method, &mut config.method);
        train::take(&self.rounds, &mut config.rounds);
        train::take(&self.student, &mut config.student);
        train::take(&self.threshold, &mut config.threshold);
        train::take(&self.label_kind, &mut config.label_kind);
        train::take(&self.top_k, &mut config.top_k);
        train::take(&self.per_class, &mut config.per_class);
        train::take(&self.max_copies, &mut config.max_copies);
        train::take(&self.ratio, &mut config.ratio);
        train::take(&self.noise_dropout, &mut config.dropout);
        train::take(&self.noise_stochastic_depth, &mut config.stochastic_depth);
        train::take(&self.canary_fraction, &mut config.canary_fraction);
        train::take(&self.distill_to, &mut config.distill_to);
        if let Some(name) = &self.noise_augment {
            config.augment = Some(name.parse()?);
        }
        if self.no_noise {
            config.augment = Some(mentor_data::Augment::None);
            (config.dropout, config.stochastic_depth) = (Some(0.0), Some(0.0));
        }
        if self.no_balance {
            config.balance = Some(false);
        }
        if self.no_baseline {
            config.baseline = Some(false);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        args: Args,
    }

    fn config(flags: &str) -> Config {
        let only = Only::try_parse_from(["self-train"].into_iter().chain(flags.split_whitespace())).unwrap();
        only.args.configuration().unwrap()
    }

    #[test]
    fn every_flag_reaches_the_configuration() {
        let flags = "--data digits --unlabelled u --labels l --method pseudo-label --rounds 2 --student cnn --threshold 0.4 \
            --label-kind soft --top-k 3 --per-class 7 --max-copies 2 --ratio 3 --noise-augment shift --noise-dropout 0.1 \
            --noise-stochastic-depth 0.3 --canary-fraction 0.2 --no-baseline --distill-to linear";
        let expected = "data.source = 'digits'
            [self_train]
            unlabelled = 'u'
            labels = 'l'
            method = 'pseudo-label'
            rounds = 2
            student = 'cnn'
            threshold = 0.4
            label_kind = 'soft'
            top_k = 3
            per_class = 7
            max_copies = 2
            ratio = 3.0
            augment = 'shift'
            dropout = 0.1
            stochastic_depth = 0.3
            canary_fraction = 0.2
            baseline = false
            distill_to = 'linear'";
        assert_eq!(config(flags), Config::from_toml(expected, "test", &[]).unwrap());
        let calm = config("--no-noise --no-balance").self_train.unwrap();
        assert_eq!((calm.augment, calm.dropout), (Some(mentor_data::Augment::None), Some(0.0)));
        assert_eq!((calm.stochastic_depth, calm.balance), (Some(0.0), Some(false)));
    }
}
