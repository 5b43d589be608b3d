//! `mentor distill`: trains a student from one or several teachers.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use mentor_run::{Config, DistillConfig};

use super::data::FORMS;
use super::train::{self, Inherited};
use crate::terminal::error::Failure;

const EXAMPLES: &str = "\
Examples:
  mentor train --data DIR --model mlp:1200,1200 --dropout 0.5 --augment shift --epochs 60 --out runs/big
      first train the teacher
  mentor distill --preset hinton --teacher runs/big --data DIR --epochs 40 --out runs/small
      then train the student, here mlp:800,800 at temperature 20
  mentor distill --teacher runs/a --teacher runs/b --data DIR --model cnn --temperature 4 --out runs/c
      learn the mean of the probabilities of two teachers
  mentor distill --teacher runs/big --data unlabelled/ --hard-weight 0 --model mlp:32 --out runs/d
      learn from images without labels; the result is the agreement with the teacher
  mentor distill --teacher runs/faces --data DIR --mode relational --model mlp:32 --embedding-size 16 \
--out runs/e
      an embedding model learns its teacher's distances, up to a factor, in fewer dimensions

The loss is soft-weight · T² · KL(teacher ‖ student) at temperature T, plus hard-weight · cross-entropy of \
the labels. The teacher scores each image once, into a file in --out. The same network is also trained from \
scratch, in OUT/baseline with the same plan, so that the result says what distillation gained. Ctrl-C stops; \
the same command resumes. Gradients are clipped to norm 5 by default (--clip-norm), because the first steps \
towards a confident teacher can be very large.

A teacher that is an embedding model needs a student that is one. --mode relational matches the distances \
within a batch, divided by their mean, so that student and teacher may differ in --embedding-size. --mode \
cosine matches directions and needs the teacher's size. The labels' part of the loss is then --loss triplet \
or contrastive, and --hard-weight is 0 by default. The teacher's classes may differ from those of the data. \
With several teachers, the mean of their losses is minimised.

summary.json has, in addition to what training writes: agreement, mean_kl, teacher (val_accuracy, \
num_params), baseline (val_accuracy, only_student, only_baseline, p_value). For embeddings it has \
val_map_at_r, val_precision_at_1 and val_r_precision, in teacher (the best of several) and baseline too. \
only_student and only_baseline then count the samples whose nearest other one is of their class.";

/// Train a small student from a large teacher
#[derive(Debug, clap::Args)]
#[command(
    about = "Train a small student from a large teacher",
    override_usage = "mentor distill --teacher <RUN> --data <DATA> [OPTIONS]",
    after_help = format!("{EXAMPLES}\n\n{FORMS}"),
    mut_args = show
)]
pub(crate) struct Args {
    /// Learn from the model of this complete run; repeat the flag for an ensemble, whose mean is learned
    #[arg(long, value_name = "RUN", help_heading = "Distillation")]
    teacher: Vec<PathBuf>,

    /// Start from values that suit together: hinton (mlp:800,800, T = 20), conv (cnn, T = 4) or tiny (mlp:32,
    /// T = 3); other flags win over them
    #[arg(
        long,
        value_name = "NAME",
        value_parser = PossibleValuesParser::new(["hinton", "conv", "tiny"]),
        help_heading = "Distillation"
    )]
    preset: Option<String>,

    /// Soften the probabilities of teacher and student with the temperature T, above 0 [default: 4; 20 for
    /// mlp students]
    #[arg(long, value_name = "T", allow_hyphen_values = true, help_heading = "Distillation")]
    temperature: Option<f64>,

    /// Weigh the teacher's part of the loss with this factor, at least 0 (alpha, or the KD weight) [default:
    /// 0.9; 1 for embeddings]
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true, help_heading = "Distillation")]
    soft_weight: Option<f64>,

    /// Weigh the labels' part of the loss with this factor, at least 0 (the cross-entropy weight) [default:
    /// 0.1; 0 for embeddings; 1 with --soft-weight 0]
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true, help_heading = "Distillation")]
    hard_weight: Option<f64>,

    /// Choose what the student learns from the teacher: soft (its probabilities) or hard-labels (its
    /// predicted class); from an embedding model, relational (its distances) or cosine (its directions)
    /// [default: soft]
    #[arg(
        long,
        value_name = "MODE",
        value_parser = PossibleValuesParser::new(["soft", "hard-labels", "relational", "cosine"]),
        help_heading = "Distillation"
    )]
    mode: Option<String>,

    /// Augment each image in this many fixed ways, at least 1; the teacher scores each once; needs --augment
    /// [default: 8; at most --epochs]
    #[arg(long, value_name = "COUNT", alias = "views", help_heading = "Distillation")]
    augmentations: Option<u64>,

    /// Do not train the same network from scratch for comparison
    #[arg(long, help_heading = "Distillation")]
    no_baseline: bool,

    /// Let the teacher score every batch anew instead of once into a file; slower, and the student is the
    /// same
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
            "Choose the student's network: linear, mlp:1200,1200, cnn, resnet-20, resnet-18, wrn-16-2, vit, \
             ...; `mentor models` lists them [default: linear; that of --preset]",
        ),
        (
            "loss",
            "Choose the loss of the labels: softmax for a classifier, triplet or contrastive for an \
             embedding model [default: softmax; triplet with --mode relational or cosine]",
        ),
        (
            "margin",
            "Set the margin of triplet or contrastive, at least 0 [default: 0.2; contrastive 1, with unit \
             norm 0.5]",
        ),
        ("batch_size", "Take this many images for an update, at least 1 [default: 128]"),
        (
            "clip_norm",
            "Scale a gradient down to this Euclidean norm if it is longer, at least 0; 0 never does \
             [default: 5; 0 without soft targets]",
        ),
        (
            "schedule",
            "Choose how the learning rate falls over the run: constant does not, step by a factor, cosine to \
             0 [default: cosine]",
        ),
        (
            "epochs",
            "Pass this many times over the training images, at least 1 \
             [default: 20; on few images as many as make 300 updates]",
        ),
    ],
    hidden: &[
        "optimizer",
        "gap",
        "max_iterations",
        "certify",
        "backbone",
        "fine_tune",
        "weight_decay",
        "layer_decay",
    ],
    shown_values: &[("loss", &["softmax", "contrastive", "triplet"])],
};

fn show(arg: clap::Arg) -> clap::Arg {
    INHERITED.show(arg)
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    train::run_with(&args.train, args.configuration()?)
}

impl Args {
    /// What `train` has.
    pub(crate) fn train(&self) -> &train::Args {
        &self.train
    }

    pub(crate) fn configuration(&self) -> Result<Config, Failure> {
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
        train::take(&self.augmentations, &mut distill.augmentations);
        if self.no_baseline {
            distill.baseline = Some(false);
        }
        if self.no_cache {
            distill.cache = Some(false);
        }
        Ok(config)
    }
}
