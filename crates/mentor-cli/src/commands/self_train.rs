//! `mentor self-train`: trains a student from few labels and many unlabelled images.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::builder::PossibleValuesParser;
use mentor_run::{Config, SelfTrainConfig};
use mentor_train::{Plan, estimate_self_training};

use super::data::FORMS;
use super::train::{self, Inherited};
use crate::files::user_folders::backbone_named;
use crate::terminal::error::Failure;
use crate::terminal::output;
use crate::terminal::progress::planned;

const EXAMPLES: &str = "\
Examples:
  mentor self-train --data digits --labels-per-class 5 --out runs/five
      keep five labels of each class and hide all others, to see how much of their loss is won back
  mentor self-train --data photos/ --unlabelled more/ --dry-run
      print the stages, their updates and about how long they take, before anything is trained
  mentor self-train --data photos/ --unlabelled more/ --model cnn --student cnn:wide --out runs/ns
      use all images below more/; the names of its folders are ignored
  mentor self-train --data photos/ --unlabelled more/ --backbone lite0.pth --out runs/head
      the head of a pretrained network, and what near photos are: it names those of more/ better
  mentor self-train --data photos/ --unlabelled more/ --no-noise --out runs/calm
      an ablation: train the students without noise
  mentor self-train --data photos/ --unlabelled more/ --method pseudo-label --out runs/lee
      Lee's method of 2013: the network learns from its own predictions, with a weight that rises
  mentor self-train --data digits --labels-per-class 5 --distill-to mlp:100 --out runs/small
      end with a small model in OUT/distilled

A round has three steps. First the teacher labels every image without noise; its confidence is calibrated on \
the validation images. Then confident images are chosen, the same number for each class, the most confident \
first; they are repeated if a class has too few. Last a student with noise learns from both kinds of labels, \
with the loss mean CE(labelled) + ratio x mean CE(pseudo-labelled). The student becomes the next teacher if \
it has more validation images right and the audit raises no alarm. Otherwise the round is rolled back.

With --backbone there is one round. The head of the labels alone and the labels of near images give each \
unlabelled image its class (Zhou et al. 2004), and the head learns from both, weighed by the probability. \
Images that do not resemble the labelled ones teach nothing: the head of the labels is kept, and a warning \
says so. The gain is for the unlabelled images themselves; none was found for other new ones \
(docs/benchmarks.md).

The audit uses a held-out set: labelled images (5 %, at least five of a class, at most a fifth of few \
labels) that nobody trains on and that are pseudo-labelled like the others. Copies of validation and test \
images are left out of the unlabelled ones.

OUT holds the best model, so that eval, predict and embed work on it. OUT/baseline holds the same network, \
trained on the labels alone. If a student makes more than 600 updates, teacher and baseline make fewer: \
short trials on the labels find how many, in OUT/length.json. The test split is opened once, at the end. \
Ctrl-C stops; the same command resumes at any stage.

The weights that are judged and kept are a moving average over the updates, with the decay \
training.ema=0.999 (--set).

summary.json has, in addition to what training writes: test_accuracy, baseline (val_accuracy, test_accuracy, \
only_student, only_baseline, p_value of McNemar's test), rounds[] (round, val_accuracy, test_accuracy, \
num_pseudo_labels, mean_confidence, audit_precision, p_value, accepted, reason).";

/// Train a student from few labels and many unlabelled images
#[derive(Debug, clap::Args)]
#[command(
    about = "Train a student from few labels and many unlabelled images",
    override_usage = "mentor self-train --data <DATA> [--unlabelled <DATA>] [OPTIONS]",
    after_help = format!("{EXAMPLES}\n\n{FORMS}"),
    mut_args = show
)]
pub(crate) struct Args {
    /// Take the images without labels from here: a folder, searched with all its subfolders, or other data,
    /// whose labels are ignored
    #[arg(long, value_name = "DATA", help_heading = "Self-training")]
    unlabelled: Option<String>,

    /// Keep the labels of this many training images of each class, at least 1, and treat all others as
    /// unlabelled
    #[arg(long, value_name = "COUNT", help_heading = "Self-training")]
    labels_per_class: Option<usize>,

    /// Start the first round from these pseudo-labels of --unlabelled: a file or folder that mentor label
    /// wrote
    #[arg(long, value_name = "PATH", help_heading = "Self-training")]
    labels: Option<PathBuf>,

    /// Choose the method: noisy-student (Xie et al. 2020) or pseudo-label (Lee 2013) [default: noisy-student]
    #[arg(
        long,
        value_name = "NAME",
        value_parser = PossibleValuesParser::new(["noisy-student", "pseudo-label"]),
        help_heading = "Self-training"
    )]
    method: Option<String>,

    /// Make this many rounds of labelling and learning, at least 1 [default: 3]
    #[arg(long, value_name = "COUNT", help_heading = "Self-training")]
    rounds: Option<usize>,

    /// Choose the student's network, as large as the teacher's or larger [default: that of --model]
    #[arg(long, value_name = "NAME", help_heading = "Self-training")]
    student: Option<String>,

    /// Use pseudo-labels of at least this confidence, from 0 to 1 [default: 0.3]
    #[arg(long, value_name = "P", allow_hyphen_values = true, help_heading = "Self-training")]
    threshold: Option<f64>,

    /// Choose the pseudo-labels: soft (the teacher's probabilities) or hard (its predicted class) [default:
    /// soft]
    #[arg(
        long,
        value_name = "KIND",
        value_parser = PossibleValuesParser::new(["soft", "hard"]),
        help_heading = "Self-training"
    )]
    label_kind: Option<String>,

    /// Keep the probabilities of this many classes in a soft label, at least 1, and spread the rest evenly
    /// over the others [default: all]
    #[arg(long, value_name = "COUNT", help_heading = "Self-training")]
    top_k: Option<usize>,

    /// Use every confident image once, even if some classes then have far more images than others
    #[arg(long, help_heading = "Self-training")]
    no_balance: bool,

    /// Use this many pseudo-labelled images of each class, at least 1 [default: the unlabelled images divided
    /// by the classes]
    #[arg(long, value_name = "COUNT", help_heading = "Self-training")]
    per_class: Option<usize>,

    /// Repeat an image at most this many times if its class has too few, at least 1 [default: 5]
    #[arg(long, value_name = "COUNT", help_heading = "Self-training")]
    max_copies: Option<u32>,

    /// Take this many pseudo-labelled images for each labelled one, above 0, and weigh their loss with the
    /// same number [default: 1]
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true, help_heading = "Self-training")]
    ratio: Option<f64>,

    /// Augment the student's images, with the same names as --augment [default: rand-augment:2,9]
    #[arg(long, value_name = "HOW", help_heading = "Self-training")]
    noise_augment: Option<String>,

    /// Drop each hidden unit of the student with this probability, from 0 to below 1 [default: 0.5; 0 if the
    /// network has no dropout]
    #[arg(long, value_name = "P", allow_hyphen_values = true, help_heading = "Self-training")]
    noise_dropout: Option<f64>,

    /// Drop the student's last residual block with this probability, from 0 to below 1; earlier blocks less
    /// often [default: 0.2; 0 if there are no such blocks]
    #[arg(long, value_name = "P", allow_hyphen_values = true, help_heading = "Self-training")]
    noise_stochastic_depth: Option<f64>,

    /// Train the student without any noise, to see what the noise contributes
    #[arg(
        long,
        conflicts_with_all = ["noise_augment", "noise_dropout", "noise_stochastic_depth"],
        help_heading = "Self-training"
    )]
    no_noise: bool,

    /// Hold out this share of the labelled images to audit the pseudo-labels, from 0 to below 1; 0 makes no
    /// audit [default: 0.05]
    #[arg(
        long,
        value_name = "SHARE",
        alias = "canary-fraction",
        allow_hyphen_values = true,
        help_heading = "Self-training"
    )]
    audit_fraction: Option<f64>,

    /// Do not train the student's network on the labels alone for comparison
    #[arg(long, help_heading = "Self-training")]
    no_baseline: bool,

    /// Print the stages, their updates and about how long they take, and train nothing
    #[arg(long, help_heading = "Self-training")]
    dry_run: bool,

    /// Train this small network from the final model too, in OUT/distilled
    #[arg(long, value_name = "NAME", help_heading = "Self-training")]
    distill_to: Option<String>,

    #[command(flatten)]
    train: train::Args,
}

/// What `train` has, with the defaults for few labels.
const INHERITED: Inherited = Inherited {
    help: &[
        (
            "backbone",
            "Keep the pretrained network in this file as it is, and train its head: label spreading over the \
             features gives pseudo-labels. Of the other flags of training only --l2 and --seed go with it",
        ),
        (
            "augment",
            "Augment the labelled images at random, for teacher and baseline: none, flip (left to right), \
             shift or shift:N (pad and crop by up to N pixels, N from 1 to 255), shift+flip or shift:N+flip, \
             crop (a random part, enlarged to the whole), crop+flip, standard (shifts, flips, rotations by \
             up to 10 degrees, random erasing), or rand-augment:N,M (N operations of magnitude M, 0 to 10) \
             [default: shift]",
        ),
        (
            "model",
            "Choose the teacher's network: linear, mlp:1200,1200, cnn, resnet-20, resnet-18, wrn-16-2, vit, \
             ...; `mentor models` lists them [default: cnn]",
        ),
        (
            "dropout",
            "Drop each hidden unit of teacher and baseline with this probability, from 0 to below 1 \
             [default: 0]",
        ),
        (
            "stochastic_depth",
            "Drop the last residual block of teacher and baseline with this probability, from 0 to below 1; \
             earlier blocks less often [default: 0]",
        ),
        (
            "l2",
            "Penalise λ Σw² with this λ, at least 0; half of what others call weight decay [default: 0.0005]",
        ),
        (
            "learning_rate",
            "Set the step size, above 0 [default: one that suits the model, in proportion to --batch-size \
             below 32]",
        ),
        (
            "batch_size",
            "Take this many labelled images for an update, at least 1; --ratio adds pseudo-labelled ones \
             [default: 32]",
        ),
        (
            "clip_norm",
            "Scale a gradient down to this Euclidean norm if it is longer, at least 0; 0 never does \
             [default: 0; 5 of --distill-to]",
        ),
        (
            "schedule",
            "Choose how the learning rate falls over each stage: constant does not, step by a factor, cosine \
             to 0 [default: cosine]",
        ),
        (
            "epochs",
            "Let a student pass this many times over the larger of labelled and unlabelled images, at least \
             1 [default: 6]",
        ),
    ],
    hidden: &[
        "fine_tune",
        "weight_decay",
        "layer_decay",
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
        "gap",
        "max_iterations",
        "certify",
    ],
    shown_values: &[],
};

fn show(arg: clap::Arg) -> clap::Arg {
    INHERITED.show(arg)
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let config = args.configuration()?;
    if args.dry_run && config.model.backbone.is_some() {
        return Err(Failure::usage(anyhow!(
            "--dry-run estimates updates, and the head of --backbone makes none"
        )));
    }
    if !args.dry_run {
        return train::run_with(&args.train, config);
    }
    let plan = Plan::try_from(config).map_err(Failure::usage)?;
    let device = args.train.device.open()?;
    output::text(&planned(&estimate_self_training(&plan, &device.execution())?))
}

impl Args {
    /// What `train` has.
    pub(crate) fn train(&self) -> &train::Args {
        &self.train
    }

    pub(crate) fn configuration(&self) -> Result<Config, Failure> {
        let mut config = self.train.configuration()?;
        if let Some(named) = &config.model.backbone {
            config.model.backbone = Some(backbone_named(named));
        }
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
        train::take(&self.audit_fraction, &mut config.audit_fraction);
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
        let flags = "--data digits --unlabelled u --labels l --method pseudo-label --rounds 2 --student cnn \
                     --threshold 0.4 --label-kind soft --top-k 3 --per-class 7 --max-copies 2 --ratio 3 \
                     --noise-augment shift --noise-dropout 0.1 \
            --noise-stochastic-depth 0.3 --audit-fraction 0.2 --no-baseline --distill-to linear";
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
            audit_fraction = 0.2
            baseline = false
            distill_to = 'linear'";
        assert_eq!(config(flags), Config::from_toml(expected, "test", &[]).unwrap());
        let earlier = flags.replace("--audit-fraction", "--canary-fraction");
        assert_eq!(config(&earlier), config(flags));
        let calm = config("--no-noise --no-balance").self_train.unwrap();
        assert_eq!((calm.augment, calm.dropout), (Some(mentor_data::Augment::None), Some(0.0)));
        assert_eq!((calm.stochastic_depth, calm.balance), (Some(0.0), Some(false)));
    }
}
