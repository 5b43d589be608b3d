//! `mentor distill`: teachers and a configuration become a student.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use mentor_run::{Config, DistillConfig};

use super::train::{self, Inherited};
use crate::terminal::error::Failure;

const EXAMPLES: &str = "\
Examples:
  mentor train --data DIR --model mlp:1200,1200 --dropout 0.5 --augment shift --epochs 60 --out runs/big
  mentor distill --preset hinton --teacher runs/big --data DIR --epochs 40 --out runs/small
      the preset makes it mlp:800,800 at temperature 20; what a flag says wins over it
  mentor distill --teacher runs/a --teacher runs/b --data DIR --model cnn --temperature 4 --out runs/c
      an ensemble: the mean of the teachers' probabilities
  mentor distill --teacher runs/big --data unlabelled/ --hard-weight 0 --model mlp:32 --out runs/d
      images without labels, judged by agreement with the teacher
  mentor distill --teacher runs/faces --data DIR --mode relational --model mlp:32 --embedding-size 16 --out runs/e
      an embedding model learns the proportions of its teacher's distances, in fewer dimensions

The loss is soft-weight · T² · KL(teacher ‖ student) at temperature T + hard-weight · cross-entropy of the labels. The \
teacher scores each image once, into a file in --out. The same network is trained from scratch in OUT/baseline with the same \
plan, so that the result says what distillation gained. Ctrl-C and the same command again go on. Soft targets are learned with \
--clip-norm 5 unless you say otherwise: the first steps towards a confident teacher are long.

An embedding model teaches one: mode relational compares the distances within a batch, each over their mean, and any --embedding-size \
will do; mode cosine compares directions, and needs the teacher's size. The labels' part is then --loss triplet or pairwise, \
with --hard-weight 0 unless you say more; the teacher's classes need not be the data's. Of several teachers the mean of the losses counts.

summary.json, beside what training writes: agreement, mean_kl, teacher (val_accuracy, num_params), baseline (val_accuracy, \
only_student, only_baseline, p_value). Of embeddings: val_map_at_r, val_precision_at_1 and val_r_precision, in teacher (the best of \
several) and baseline too; right is then a sample whose nearest other one is of its class.";

/// Train a small student from a large teacher
#[derive(Debug, clap::Args)]
#[command(about = "Train a small student from a large teacher", after_help = EXAMPLES, mut_args = show)]
pub(crate) struct Args {
    /// Directory of a complete run; repeat for an ensemble
    #[arg(long, value_name = "RUN", help_heading = "Distillation")]
    teacher: Vec<PathBuf>,

    /// Values that suit together: hinton (wide perceptrons, T 20), conv (cnn, T 4), tiny (mlp:32, T 3)
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(["hinton", "conv", "tiny"]), help_heading = "Distillation")]
    preset: Option<String>,

    /// T, which softens both probabilities [default: 4; 20 for mlp students]
    #[arg(long, value_name = "T", allow_hyphen_values = true, help_heading = "Distillation")]
    temperature: Option<f64>,

    /// Factor of the teacher's part of the loss [default: 0.9; 1 for embeddings]
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true, help_heading = "Distillation")]
    soft_weight: Option<f64>,

    /// Factor of the labels' part of the loss [default: 0.1; 0 for embeddings; 1 with --soft-weight 0]
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true, help_heading = "Distillation")]
    hard_weight: Option<f64>,

    /// What the teacher gives: soft (probabilities) or hard-labels (its class); of an embedding model relational (its
    /// distances) or cosine (its directions) [default: soft]
    #[arg(long, value_name = "MODE", help_heading = "Distillation")]
    mode: Option<String>,

    /// Versions of each image with --augment, each scored once by the teacher [default: 8; at most --epochs]
    #[arg(long, value_name = "COUNT", help_heading = "Distillation")]
    views: Option<u64>,

    /// Do not train the same network from scratch
    #[arg(long, help_heading = "Distillation")]
    no_baseline: bool,

    /// Let the teacher score every batch anew instead of keeping its scores in a file; the same student, more slowly
    #[arg(long, help_heading = "Distillation")]
    no_cache: bool,

    #[command(flatten)]
    train: train::Args,
}

/// What `train` has, with the defaults of a student.
const INHERITED: Inherited = Inherited {
    help: &[
        (
            "model",
            "The student: linear, mlp:1200,1200, cnn, resnet-20, resnet-18, wrn-16-2, vit, ...; see `mentor models` [default: linear; \
             that of --preset]",
        ),
        (
            "loss",
            "Loss of the labels: softmax of a classifier, triplet or pairwise of an embedding model [default: softmax; triplet with \
             --mode relational or cosine]",
        ),
        ("margin", "Margin of triplet and pairwise [default: 0.2; pairwise 1, with unit norm 0.5]"),
        ("batch_size", "Images of one update [default: 128]"),
        (
            "clip_norm",
            "Largest norm of a gradient, longer ones are scaled down; 0 leaves all as they are [default: 5; 0 without soft targets]",
        ),
        ("schedule", "How the learning rate changes over the run [default: cosine]"),
        (
            "epochs",
            "Passes over the training images [default: 20; on few images as many as make 300 updates]",
        ),
    ],
    hidden: &["optimizer"],
    shown_values: &[("loss", &["softmax", "pairwise", "triplet"])],
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
        let distill = config.distill.get_or_insert_with(DistillConfig::default);
        if !self.teacher.is_empty() {
            distill.teachers.clone_from(&self.teacher);
        }
        train::take(&self.preset, &mut distill.preset);
        train::take(&self.mode, &mut distill.mode);
        train::take(&self.temperature, &mut distill.temperature);
        train::take(&self.soft_weight, &mut distill.soft_weight);
        train::take(&self.hard_weight, &mut distill.hard_weight);
        train::take(&self.views, &mut distill.views);
        if self.no_baseline {
            distill.baseline = Some(false);
        }
        if self.no_cache {
            distill.cache = Some(false);
        }
        Ok(config)
    }
}
