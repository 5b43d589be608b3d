//! The flags of `mentor train`.

mod configuration;

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser};
use mentor_loss::NamedLoss;

use crate::commands::data::FORMS;
use crate::commands::train::lambda::Lambda;
use crate::device::DeviceChoice;
use crate::tracking::Log;

pub(crate) use configuration::take;

const EXAMPLES: &str = "\
Examples:
  mentor train --data digits --model linear --loss svm --l2 1e-3 --optimizer gd --out runs/a
      a linear SVM by gradient descent, as in the textbook
  mentor train --data photos/ --model cnn --epochs 10 --augment standard --out runs/b
      photos/ holds a folder for each class, or train/, val/ and test/ with such folders
  mentor train photos/ --model resnet-18 --size 64
      --data may be left out before the path, and 64 is 64x64
  mentor train --data digits --loss softmax --l2 1e-3 --gap 1e-4 --out runs/c
      a linear classifier that is proven to be within 0.01 % of the optimum
  mentor train --data photos/ --backbone lite0.pth --out runs/c
      features of a pretrained network, computed once, and a head in seconds: for photographs
  mentor train --data photos/ --backbone lite0.pth --fine-tune 10 --out runs/d
      the same head, and then all layers of the network together, in minutes
  mentor train --config run.toml --set optimizer.learning_rate=0.05
      a configuration from a file, changed in one place

Ctrl-C finishes the update, writes a checkpoint and exits with status 130. The same command continues the \
run, after a power cut too. The weights are then the same, bit for bit, as those of a run that was never \
interrupted.

summary.json: val_loss, val_accuracy, train_loss and train_accuracy are those of epoch best_epoch, whose \
weights are kept. last_train_loss and last_train_accuracy are those of the last epoch. With --gap or \
--certify it has, in addition: primal (the objective), dual (a lower bound on its minimum), gap, \
relative_gap, num_iterations, reason, certified. A run that cannot prove its --gap says why, keeps its \
weights with certified = false, and exits with status 0.";

/// Train a classifier or an embedding model, or continue a run that was interrupted
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{FORMS}"))]
#[group(id = "training")]
pub(crate) struct Args {
    /// Train on this data, as with --data
    #[arg(value_name = "DATA", conflicts_with = "data")]
    pub(super) source: Option<String>,

    /// Train on this data: `digits`, an image folder, a folder of IDX files, a CSV manifest, an npz file, tar
    /// shards or Parquet files (see below)
    #[arg(long, value_name = "DATA", help_heading = "Data")]
    pub(super) data: Option<String>,

    /// Augment the training images at random: none, flip (left to right), shift or shift:N (pad and crop by
    /// up to N pixels, N from 1 to 255), shift+flip or shift:N+flip, crop (a random part, enlarged to the
    /// whole), crop+flip, standard (shifts, flips, rotations by up to 10 degrees, random erasing), or
    /// rand-augment:N,M (N operations of magnitude M, 0 to 10) [default: none]
    #[arg(long, value_name = "HOW", help_heading = "Data")]
    pub(super) augment: Option<String>,

    /// Split by sample, or by class to test embeddings on classes that training never sees [default: sample]
    #[arg(
        long,
        value_name = "WHAT",
        value_parser = PossibleValuesParser::new(["sample", "class"]),
        help_heading = "Data"
    )]
    pub(super) split_by: Option<String>,

    /// Hold out this share of the training images for validation, from 0 to below 1, if the data has no
    /// validation split [default: 0.1]
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true, help_heading = "Data")]
    pub(super) val_fraction: Option<f64>,

    /// Hold out this share of the images for the test, from 0 to below 1, if the data has no splits [default:
    /// 0.2]
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true, help_heading = "Data")]
    pub(super) test_fraction: Option<f64>,

    /// Choose what happens to a file that cannot be decoded: error stops, skip leaves it out, quarantine
    /// leaves it out and lists it in quarantine.txt of the run [default: error]
    #[arg(
        long,
        value_name = "POLICY",
        value_parser = PossibleValuesParser::new(["error", "skip", "quarantine"]),
        help_heading = "Data"
    )]
    pub(super) on_bad_image: Option<String>,

    /// Refuse image files of more pixels than this [default: 64000000]
    #[arg(
        long,
        value_name = "COUNT",
        value_parser = clap::value_parser!(u64).range(1..),
        help_heading = "Data"
    )]
    pub(super) max_pixels: Option<u64>,

    /// Resize the images to this height and width in pixels, such as 28x28, or 28 for both [default: their
    /// own size if all agree, else 32x32]
    #[arg(long, value_name = "HxW", value_parser = size, help_heading = "Data")]
    pub(super) size: Option<[usize; 2]>,

    /// Choose how images of another size are resized: stretch changes their proportions, fit-pad adds black
    /// bars, crop-center cuts their edges off [default: stretch]
    #[arg(
        long,
        value_name = "HOW",
        value_parser = PossibleValuesParser::new(["stretch", "fit-pad", "crop-center"]),
        help_heading = "Data"
    )]
    pub(super) resize: Option<String>,

    /// Convert the images to 1 channel (gray) or 3 (colour) [default: 3 if any image is in colour, else 1]
    #[arg(
        long,
        value_name = "COUNT",
        value_parser = PossibleValuesParser::new(["1", "3"]),
        help_heading = "Data"
    )]
    pub(super) channels: Option<String>,

    /// Keep training images whose pixels are also those of a validation or test image
    #[arg(long, help_heading = "Data")]
    pub(super) keep_duplicates: bool,

    /// Keep the decoded images of a split that does not fit into memory (4 GiB) in one file in this folder,
    /// for this run and later ones; otherwise every epoch decodes them again
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    pub(super) cache: Option<PathBuf>,

    /// Replace labels by those of this CSV file with the columns path and label; mentor check-labels makes
    /// the page that writes one
    #[arg(long, value_name = "FILE", help_heading = "Data")]
    pub(super) corrections: Option<PathBuf>,

    /// Choose the network: linear, mlp:1200,1200, cnn, resnet-20, resnet-18, wrn-16-2, vit, ...; `mentor
    /// models` lists them [default: linear]
    #[arg(long, value_name = "NAME", help_heading = "Model")]
    pub(super) model: Option<String>,

    /// Train a linear head on the features of the pretrained network in this file of weights, which stays as
    /// it is; --l2 is chosen by cross-validation if it is left out. `mentor backbones` lists the networks
    #[arg(long, value_name = "FILE", help_heading = "Model")]
    pub(super) backbone: Option<PathBuf>,

    /// Train all layers of the --backbone over this many epochs, at least 1, after its head; the rest is then
    /// adamw, --batch-size 16, --layer-decay 0.75 and --augment crop+flip where nothing else is said
    #[arg(long, value_name = "EPOCHS", help_heading = "Model")]
    pub(super) fine_tune: Option<usize>,

    /// Drop each hidden unit with this probability in training, from 0 to below 1 [default: 0]
    #[arg(long, value_name = "P", allow_hyphen_values = true, help_heading = "Model")]
    pub(super) dropout: Option<f64>,

    /// Drop the last residual block with this probability in training, from 0 to below 1; earlier blocks less
    /// often [default: 0]
    #[arg(long, value_name = "P", allow_hyphen_values = true, help_heading = "Model")]
    pub(super) stochastic_depth: Option<f64>,

    /// Start from the weights of a run, or of a safetensors file with the same names; the head starts with
    /// random weights if the classes are others
    #[arg(long, value_name = "RUN|FILE", help_heading = "Model")]
    pub(super) init_from: Option<PathBuf>,

    /// Do not train the parameters whose names begin so, such as stem,blocks.0; a pretrained network has stem
    /// and stages by number, such as stem,1,2
    #[arg(long, value_name = "PREFIX,...", value_delimiter = ',', help_heading = "Model")]
    pub(super) freeze: Option<Vec<String>>,

    /// Choose the loss: softmax, svm and crammer-singer train a classifier; contrastive and triplet train an
    /// embedding model [default: softmax]
    #[arg(long, value_name = "NAME", value_parser = losses(), help_heading = "Loss and penalty")]
    pub(super) loss: Option<String>,

    /// Set the margin of the loss, at least 0; softmax has none [default: 1; triplet 0.2; contrastive with
    /// unit norm 0.5]
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true, help_heading = "Loss and penalty")]
    pub(super) margin: Option<f64>,

    /// Spread this share of the target's probability evenly over all classes, from 0 to below 1; softmax only
    /// [default: 0]
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true, help_heading = "Loss and penalty")]
    pub(super) label_smoothing: Option<f64>,

    /// Choose the triplets of a batch that count: all, the hardest of each anchor, semi-hard ones, or none
    /// but those of --triplets [default: semi-hard]
    #[arg(
        long,
        value_name = "WHICH",
        value_parser = PossibleValuesParser::new(["all", "hard", "semi-hard", "none"]),
        help_heading = "Embeddings"
    )]
    pub(super) mining: Option<String>,

    /// Divide the sum of the loss by the number of all valid pairs or triplets, or of the active ones, whose
    /// loss is above 0 [default: active; triplet valid]
    #[arg(
        long,
        value_name = "WHICH",
        value_parser = PossibleValuesParser::new(["valid", "active"]),
        help_heading = "Embeddings"
    )]
    pub(super) average: Option<String>,

    /// Choose the distance between embeddings [default: euclidean]
    #[arg(
        long,
        value_name = "NAME",
        value_parser = PossibleValuesParser::new(["euclidean", "squared", "cosine"]),
        help_heading = "Embeddings"
    )]
    pub(super) distance: Option<String>,

    /// Choose the form of the loss: contrastive has linear, y d + (1 - y) max(0, m - d), or squared, half of
    /// y d² + (1 - y) max(0, m - d)²; triplet has hinge or soft-margin [default: linear; hinge]
    #[arg(long, value_name = "NAME", value_parser = forms(), help_heading = "Embeddings")]
    pub(super) form: Option<String>,

    /// Set the dimension of the embeddings, at least 1 [default: 64]
    #[arg(long, value_name = "COUNT", help_heading = "Embeddings")]
    pub(super) embedding_size: Option<usize>,

    /// Divide each embedding by its Euclidean norm, or not [default: true; contrastive false]
    #[arg(long, value_name = "BOOL", help_heading = "Embeddings")]
    pub(super) unit_norm: Option<bool>,

    /// Draw this many classes for a batch, at least 2; all of them if the data has fewer [default: 16]
    #[arg(long, value_name = "COUNT", help_heading = "Embeddings")]
    pub(super) classes_per_batch: Option<usize>,

    /// Draw this many images of each class of a batch, at least 2; fewer if every class is smaller [default:
    /// 8]
    #[arg(long, value_name = "COUNT", help_heading = "Embeddings")]
    pub(super) samples_per_class: Option<usize>,

    /// Read triplets of training images from this CSV file with the columns anchor, positive and negative;
    /// needs --mining none
    #[arg(long, value_name = "FILE", help_heading = "Embeddings")]
    pub(super) triplets: Option<PathBuf>,

    /// Penalise λ Σ|w| with this λ, at least 0; it makes weights exactly zero; auto, or a range such as
    /// 1e-5..1e-1, chooses it as `mentor path` does [default: 0]
    #[arg(long, value_name = "LAMBDA", allow_hyphen_values = true, help_heading = "Loss and penalty")]
    pub(super) l1: Option<Lambda>,

    /// Penalise λ Σw² with this λ, at least 0; half of what others call weight decay; auto, or a range such
    /// as 1e-6..1e1, chooses it as `mentor path` does [default: 0]
    #[arg(long, value_name = "LAMBDA", allow_hyphen_values = true, help_heading = "Loss and penalty")]
    pub(super) l2: Option<Lambda>,

    /// Choose the optimiser: sgd makes an update for each batch, gd one for each epoch, from the exact
    /// gradient of all training images; adamw is sgd with a rate for each weight; auto is the solver of --gap
    /// [default: sgd; with --fine-tune adamw]
    #[arg(
        long,
        value_name = "NAME",
        value_parser = PossibleValuesParser::new(["sgd", "gd", "adamw", "auto"]),
        help_heading = "Optimiser"
    )]
    pub(super) optimizer: Option<String>,

    /// Set the step size, above 0 [default: one that suits the model and the loss, in proportion to
    /// --batch-size below 128]
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true, help_heading = "Optimiser")]
    pub(super) learning_rate: Option<f64>,

    /// Set the momentum of the optimiser, from 0 to below 1 [default: 0.9]
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true, help_heading = "Optimiser")]
    pub(super) momentum: Option<f64>,

    /// Use plain momentum instead of Nesterov's
    #[arg(long, help_heading = "Optimiser")]
    pub(super) no_nesterov: bool,

    /// Take this many images for an update of sgd, or for a part of gd's sum, at least 1; fewer need less
    /// memory [default: 128; gd 1024]
    #[arg(long, value_name = "COUNT", help_heading = "Optimiser")]
    pub(super) batch_size: Option<usize>,

    /// Scale a gradient down to this Euclidean norm if it is longer, at least 0; 0 never does [default: 0]
    #[arg(long, value_name = "NORM", allow_hyphen_values = true, help_heading = "Optimiser")]
    pub(super) clip_norm: Option<f64>,

    /// Let adamw shrink each weight by this share, times the learning rate, at an update, at least 0
    /// [default: 0.01]
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true, help_heading = "Optimiser")]
    pub(super) weight_decay: Option<f64>,

    /// Multiply the learning rate of a layer by this for each layer behind it, above 0 and at most 1, so that
    /// the first layers move least [default: 1; with --fine-tune 0.75]
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true, help_heading = "Optimiser")]
    pub(super) layer_decay: Option<f64>,

    /// Stop once the weights are proven to be optimal up to this share of the objective, above 0, such as
    /// 1e-4 for 0.01 %; linear classifiers only
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true, help_heading = "Optimiser")]
    pub(super) gap: Option<f64>,

    /// Stop the solver of --gap after this many iterations, at least 1 [default: 1000]
    #[arg(long, value_name = "COUNT", help_heading = "Optimiser")]
    pub(super) max_iterations: Option<u64>,

    /// Prove at the end of a run of sgd or gd how far its weights are from the optimum; linear classifiers
    /// with --l2 or --l1 only
    #[arg(long, help_heading = "Optimiser")]
    pub(super) certify: bool,

    /// Choose how the learning rate falls over the run: constant does not, step by a factor, cosine to 0
    /// [default: cosine; gd constant]
    #[arg(
        long,
        value_name = "NAME",
        value_parser = PossibleValuesParser::new(["constant", "step", "cosine"]),
        help_heading = "Length"
    )]
    pub(super) schedule: Option<String>,

    /// Raise the learning rate linearly over this many epochs, at least 0; fractions are allowed [default: a
    /// tenth of the run, at most 5 of the --epochs given, for convolutional networks and transformers; else
    /// 0]
    #[arg(long, value_name = "EPOCHS", allow_hyphen_values = true, help_heading = "Length")]
    pub(super) warmup_epochs: Option<f64>,

    /// Pass this many times over the training images, at least 1 [default: 20; on few images as many as make
    /// 300 updates; gd 300]
    #[arg(long, value_name = "COUNT", help_heading = "Length")]
    pub(super) epochs: Option<usize>,

    /// Stop after this many epochs without a better validation accuracy; 0 never stops [default: 0]
    #[arg(long, value_name = "EPOCHS", help_heading = "Length")]
    pub(super) patience: Option<usize>,

    /// Seed the first weights, the order of images, augmentation and dropout with this number [default: 0]
    #[arg(long, value_name = "NUMBER", help_heading = "Length")]
    pub(super) seed: Option<u64>,

    /// Read the configuration from this TOML file; --set and the other flags win over it
    #[arg(long, value_name = "FILE", help_heading = "Configuration and output")]
    pub(super) config: Option<PathBuf>,

    /// Set one field of the configuration, such as optimizer.learning_rate=0.05; repeat for more
    #[arg(long, value_name = "KEY=VALUE", help_heading = "Configuration and output")]
    pub(super) set: Vec<String>,

    /// Compute on this device: cpu, wgpu[:i], vulkan[:i] or cuda[:i]; all but cpu need a mentor built with
    /// the feature of that name
    #[arg(long, value_name = "DEVICE", default_value = "cpu", help_heading = "Configuration and output")]
    pub(crate) device: DeviceChoice,

    /// Write the run to this directory, or continue the one that is there [default: runs/ and a name made
    /// from the configuration]
    #[arg(long, value_name = "DIR", help_heading = "Configuration and output")]
    pub(super) out: Option<PathBuf>,

    /// Write the scalars of metrics.jsonl here too: tensorboard (event files in the run's folder
    /// tensorboard), mlflow (a run of a server); both, separated by a comma
    #[arg(
        long,
        value_name = "WHERE",
        value_enum,
        value_delimiter = ',',
        hide_possible_values = true,
        help_heading = "Configuration and output"
    )]
    pub(super) log: Vec<Log>,

    /// Send to the MLflow server at this address, http://HOST:PORT [default: MLFLOW_TRACKING_URI]
    #[arg(long, value_name = "URI", requires = "log", help_heading = "Configuration and output")]
    pub(super) mlflow_uri: Option<String>,

    /// Show only warnings and the result
    #[arg(long, short, help_heading = "Configuration and output")]
    pub(super) quiet: bool,

    /// Print summary.json on standard output when the run is complete
    #[arg(long, help_heading = "Configuration and output")]
    pub(super) json: bool,
}

/// The losses on scores and those on distances, with the earlier name of one.
fn losses() -> PossibleValuesParser {
    let names = NamedLoss::all().iter().map(|loss| loss.name).chain(["contrastive", "triplet"]);
    PossibleValuesParser::new(names.map(|name| match name {
        "contrastive" => PossibleValue::new(name).alias("pairwise"),
        name => PossibleValue::new(name),
    }))
}

/// The forms of the losses of embeddings, with the earlier names of two.
fn forms() -> PossibleValuesParser {
    PossibleValuesParser::new([
        PossibleValue::new("linear").alias("lecture"),
        PossibleValue::new("squared").alias("hadsell"),
        PossibleValue::new("hinge"),
        PossibleValue::new("soft-margin"),
    ])
}

/// Reads `HxW`, or the side of a square.
fn size(text: &str) -> Result<[usize; 2], String> {
    let side = |text: &str| text.parse::<usize>().ok().filter(|&side| side > 0);
    let (height, width) = text.split_once('x').unwrap_or((text, text));
    let sides = side(height).zip(side(width)).map(|(height, width)| [height, width]);
    sides.ok_or_else(|| "write height and width in pixels, such as 28x28, or 28 for both".to_owned())
}
