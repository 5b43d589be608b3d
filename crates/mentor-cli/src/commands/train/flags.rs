//! The flags of `mentor train`, and the configuration that they make.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::builder::PossibleValuesParser;
use mentor_data::shown_path;
use mentor_loss::NamedLoss;
use mentor_run::Config;

use crate::commands::data::FORMS;
use crate::device::DeviceChoice;
use crate::terminal::error::Failure;

const EXAMPLES: &str = "\
Examples:
  mentor train --data digits --model linear --loss svm --l2 1e-3 --optimizer gd --out runs/a
      a linear SVM by gradient descent, as in the textbook
  mentor train --data photos/ --model cnn --epochs 10 --augment standard --out runs/b
      photos/ holds one folder a class, or train/, val/ and test/ with one folder a class each
  mentor train photos/ --model resnet-18 --size 64
      the data may stand alone, and 64 is 64x64
  mentor train --config run.toml --set optimizer.learning_rate=0.05
      a configuration from a file, changed in one place

Ctrl-C finishes the update, writes a checkpoint and exits with status 130. The same command continues, and \
ends in the same weights as if nothing had happened; that holds after a power cut too.

summary.json: val_loss, val_accuracy, train_loss and train_accuracy are of epoch best_epoch, whose weights \
are kept; last_train_loss and last_train_accuracy are of the last one.";

/// Train a classifier or an embedding model, or continue a run that was interrupted
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{FORMS}"))]
#[group(id = "training")]
pub(crate) struct Args {
    /// The data, as --data names it
    #[arg(value_name = "DATA", conflicts_with = "data")]
    pub(super) source: Option<String>,

    /// `digits`, or an image folder, a folder of IDX files, a CSV manifest or an npz file; see below
    #[arg(long, value_name = "DATA", help_heading = "Data")]
    pub(super) data: Option<String>,

    /// Change the training images at random: none, flip (left to right), shift or shift:N (by up to N
    /// pixels), shift+flip or shift:N+flip, standard (shifts, flips, small rotations, erased patches), or
    /// rand-augment:N,M (N operations of magnitude M, 0 to 10) [default: none]
    #[arg(long, value_name = "HOW", help_heading = "Data")]
    pub(super) augment: Option<String>,

    /// Divide images, or whole classes, so that embeddings are tested on classes never seen [default: sample]
    #[arg(long, value_name = "WHAT", value_parser = PossibleValuesParser::new(["sample", "class"]), help_heading = "Data")]
    pub(super) split_by: Option<String>,

    /// Share of the training images kept for validation, where the data has none of its own [default: 0.1]
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true, help_heading = "Data")]
    pub(super) val_fraction: Option<f64>,

    /// Share of the images kept for testing, where the data has no splits [default: 0.2]
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true, help_heading = "Data")]
    pub(super) test_fraction: Option<f64>,

    /// What to do with a file that cannot be decoded: stop, leave it out, or leave it out and list it
    /// in quarantine.txt of the run [default: error]
    #[arg(long, value_name = "POLICY", value_parser = PossibleValuesParser::new(["error", "skip", "quarantine"]), help_heading = "Data")]
    pub(super) on_bad_image: Option<String>,

    /// Pixels of the largest image file that is read [default: 64000000]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Data")]
    pub(super) max_pixels: Option<u64>,

    /// Size that images are brought to; one number for both sides [default: theirs if all agree, else 32x32]
    #[arg(long, value_name = "HxW", value_parser = size, help_heading = "Data")]
    pub(super) size: Option<[usize; 2]>,

    /// How images of another size are brought to it [default: stretch]
    #[arg(long, value_name = "HOW", value_parser = PossibleValuesParser::new(["stretch", "fit-pad", "crop-center"]), help_heading = "Data")]
    pub(super) resize: Option<String>,

    /// 1 for gray, 3 for colour [default: what the images are]
    #[arg(long, value_name = "COUNT", value_parser = PossibleValuesParser::new(["1", "3"]), help_heading = "Data")]
    pub(super) channels: Option<String>,

    /// Keep training images whose pixels validation or test has too
    #[arg(long, help_heading = "Data")]
    pub(super) keep_duplicates: bool,

    /// linear, mlp:1200,1200, cnn, resnet-20, resnet-18, wrn-16-2, vit, ...; see `mentor models` [default:
    /// linear]
    #[arg(long, value_name = "NAME", help_heading = "Model")]
    pub(super) model: Option<String>,

    /// Probability of dropping a hidden unit in training [default: 0]
    #[arg(long, value_name = "P", allow_hyphen_values = true, help_heading = "Model")]
    pub(super) dropout: Option<f64>,

    /// Probability of dropping the last residual block in training, less for earlier ones [default: 0]
    #[arg(long, value_name = "P", allow_hyphen_values = true, help_heading = "Model")]
    pub(super) stochastic_depth: Option<f64>,

    /// Start from the weights of a run, or of a safetensors file with the same names; the head starts with random
    /// weights if the classes are others
    #[arg(long, value_name = "RUN|FILE", help_heading = "Model")]
    pub(super) init_from: Option<PathBuf>,

    /// Do not train the parameters whose names begin so, such as stem,blocks.0
    #[arg(long, value_name = "PREFIX,...", value_delimiter = ',', help_heading = "Model")]
    pub(super) freeze: Option<Vec<String>>,

    /// softmax, svm and crammer-singer train a classifier; pairwise and triplet an embedding model
    /// [default: softmax]
    #[arg(long, value_name = "NAME", value_parser = losses(), help_heading = "Loss and penalty")]
    pub(super) loss: Option<String>,

    /// Margin of all losses but softmax [default: 1; triplet 0.2; pairwise with unit norm 0.5]
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true, help_heading = "Loss and penalty")]
    pub(super) margin: Option<f64>,

    /// Share of the target's probability given to all classes alike; softmax only [default: 0]
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true, help_heading = "Loss and penalty")]
    pub(super) label_smoothing: Option<f64>,

    /// Which triplets of a batch count: all, the hardest of each image, semi-hard ones, or none but those of
    /// --triplets [default: semi-hard]
    #[arg(long, value_name = "WHICH", value_parser = PossibleValuesParser::new(["all", "hard", "semi-hard", "none"]), help_heading = "Embeddings")]
    pub(super) mining: Option<String>,

    /// What the sum of a ranking loss is divided by: all valid pairs or triplets, or those with a loss
    /// [default: active; triplet valid]
    #[arg(long, value_name = "WHICH", value_parser = PossibleValuesParser::new(["valid", "active"]), help_heading = "Embeddings")]
    pub(super) average: Option<String>,

    /// Distance between embeddings [default: euclidean]
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(["euclidean", "squared", "cosine"]), help_heading = "Embeddings")]
    pub(super) distance: Option<String>,

    /// pairwise: lecture (y d + (1 - y) max(0, m - d)) or hadsell, which squares; triplet: hinge or
    /// soft-margin [default: lecture; hinge]
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(["lecture", "hadsell", "hinge", "soft-margin"]), help_heading = "Embeddings")]
    pub(super) form: Option<String>,

    /// Dimension of the embeddings [default: 64]
    #[arg(long, value_name = "COUNT", help_heading = "Embeddings")]
    pub(super) embedding_size: Option<usize>,

    /// Whether embeddings are divided by their norm [default: true; pairwise false]
    #[arg(long, value_name = "BOOL", help_heading = "Embeddings")]
    pub(super) unit_norm: Option<bool>,

    /// Classes of one batch; fewer where the data has fewer [default: 16]
    #[arg(long, value_name = "COUNT", help_heading = "Embeddings")]
    pub(super) classes_per_batch: Option<usize>,

    /// Images of each class of a batch; fewer where the classes have fewer [default: 8]
    #[arg(long, value_name = "COUNT", help_heading = "Embeddings")]
    pub(super) samples_per_class: Option<usize>,

    /// CSV file of triplets of training images, with the columns anchor, positive and negative; with --mining
    /// none
    #[arg(long, value_name = "FILE", help_heading = "Embeddings")]
    pub(super) triplets: Option<PathBuf>,

    /// λ of the penalty λ Σ|w|, which makes weights exactly zero [default: 0]
    #[arg(long, value_name = "LAMBDA", allow_hyphen_values = true, help_heading = "Loss and penalty")]
    pub(super) l1: Option<f64>,

    /// λ of the penalty λ Σw² (half of a weight decay) [default: 0]
    #[arg(long, value_name = "LAMBDA", allow_hyphen_values = true, help_heading = "Loss and penalty")]
    pub(super) l2: Option<f64>,

    /// sgd: one update a minibatch; gd: one an epoch, from the exact gradient of all training images
    /// [default: sgd]
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(["sgd", "gd"]), help_heading = "Optimiser")]
    pub(super) optimizer: Option<String>,

    /// Step size [default: one that suits the model and the loss, in proportion to --batch-size below 128]
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true, help_heading = "Optimiser")]
    pub(super) learning_rate: Option<f64>,

    /// Share of the last step in the next [default: 0.9]
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true, help_heading = "Optimiser")]
    pub(super) momentum: Option<f64>,

    /// Plain momentum instead of Nesterov's
    #[arg(long, help_heading = "Optimiser")]
    pub(super) no_nesterov: bool,

    /// Images of one update; of gd, of one part of it, which bounds memory [default: 128; gd 1024]
    #[arg(long, value_name = "COUNT", help_heading = "Optimiser")]
    pub(super) batch_size: Option<usize>,

    /// Largest norm of a gradient, longer ones are scaled down; 0 leaves all as they are [default: 0]
    #[arg(long, value_name = "NORM", allow_hyphen_values = true, help_heading = "Optimiser")]
    pub(super) clip_norm: Option<f64>,

    /// How the learning rate changes over the run [default: cosine; gd constant]
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(["constant", "step", "cosine"]), help_heading = "Length")]
    pub(super) schedule: Option<String>,

    /// Epochs over which the learning rate rises to its full value [default: a tenth of the run, at most 5 of
    /// the --epochs given, for convolutional networks and transformers; else 0]
    #[arg(long, value_name = "EPOCHS", allow_hyphen_values = true, help_heading = "Length")]
    pub(super) warmup_epochs: Option<f64>,

    /// Passes over the training images [default: 20; on few images as many as make 300 updates; gd 300]
    #[arg(long, value_name = "COUNT", help_heading = "Length")]
    pub(super) epochs: Option<usize>,

    /// Stop after this many epochs without a better validation accuracy; 0 never stops [default: 0]
    #[arg(long, value_name = "EPOCHS", help_heading = "Length")]
    pub(super) patience: Option<usize>,

    /// Seed of the first weights, the order, augmentation and dropout [default: 0]
    #[arg(long, value_name = "NUMBER", help_heading = "Length")]
    pub(super) seed: Option<u64>,

    /// TOML file with the configuration; flags and --set win over it
    #[arg(long, value_name = "FILE", help_heading = "Configuration and output")]
    pub(super) config: Option<PathBuf>,

    /// Set one field of the configuration, such as optimizer.learning_rate=0.05; repeat for more
    #[arg(long, value_name = "KEY=VALUE", help_heading = "Configuration and output")]
    pub(super) set: Vec<String>,

    /// cpu, wgpu[:i], vulkan[:i] or cuda[:i]; all but cpu need a mentor built with the feature of that name
    #[arg(long, value_name = "DEVICE", default_value = "cpu", help_heading = "Configuration and output")]
    pub(in crate::commands) device: DeviceChoice,

    /// Directory of the run; the same one continues it [default: runs/ and a name made from the
    /// configuration]
    #[arg(long, value_name = "DIR", help_heading = "Configuration and output")]
    pub(super) out: Option<PathBuf>,

    /// Show only warnings and the result
    #[arg(long, short, help_heading = "Configuration and output")]
    pub(super) quiet: bool,

    /// Print summary.json on standard output when the run is complete
    #[arg(long, help_heading = "Configuration and output")]
    pub(super) json: bool,
}

/// The names of all losses: those on scores, and those on distances.
fn losses() -> PossibleValuesParser {
    let on_scores = NamedLoss::all().iter().map(|loss| loss.name);
    PossibleValuesParser::new(on_scores.chain(["pairwise", "triplet"]))
}

/// Reads `HxW`, or the side of a square.
fn size(text: &str) -> Result<[usize; 2], String> {
    let side = |text: &str| text.parse::<usize>().ok().filter(|&side| side > 0);
    let (height, width) = text.split_once('x').unwrap_or((text, text));
    let sides = side(height).zip(side(width)).map(|(height, width)| [height, width]);
    sides.ok_or_else(|| "write height and width in pixels, such as 28x28, or 28 for both".to_owned())
}

impl Args {
    /// The configuration: the file, then `--set`, then the other flags.
    pub(in crate::commands) fn configuration(&self) -> Result<Config, Failure> {
        let (text, origin) = match &self.config {
            Some(path) => (read(path)?, shown_path(path)),
            None => (String::new(), String::new()),
        };
        let mut config = Config::from_toml(&text, &origin, &self.set)?;
        self.overlay(&mut config)?;
        Ok(config)
    }

    fn overlay(&self, config: &mut Config) -> Result<(), Failure> {
        let Config { data, model, loss, penalty, optimizer, schedule, training, distill: _, self_train: _ } =
            config;
        take(&self.source, &mut data.source);
        take(&self.data, &mut data.source);
        take(&self.model, &mut model.name);
        take(&self.dropout, &mut model.dropout);
        take(&self.stochastic_depth, &mut model.stochastic_depth);
        take(&self.init_from, &mut model.init_from);
        take(&self.freeze, &mut model.freeze);
        take(&self.loss, &mut loss.name);
        take(&self.margin, &mut loss.margin);
        take(&self.label_smoothing, &mut loss.label_smoothing);
        take(&self.mining, &mut loss.mining);
        take(&self.average, &mut loss.average);
        take(&self.distance, &mut loss.distance);
        take(&self.form, &mut loss.form);
        take(&self.embedding_size, &mut model.embedding_size);
        take(&self.unit_norm, &mut model.unit_norm);
        take(&self.classes_per_batch, &mut data.classes_per_batch);
        take(&self.samples_per_class, &mut data.samples_per_class);
        take(&self.triplets, &mut data.triplets);
        take(&self.l1, &mut penalty.l1);
        take(&self.l2, &mut penalty.l2);
        take(&self.optimizer, &mut optimizer.name);
        take(&self.learning_rate, &mut optimizer.learning_rate);
        take(&self.momentum, &mut optimizer.momentum);
        take(&self.batch_size, &mut optimizer.batch_size);
        take(&self.clip_norm, &mut optimizer.clip_norm);
        take(&self.schedule, &mut schedule.name);
        take(&self.warmup_epochs, &mut schedule.warmup_epochs);
        take(&self.epochs, &mut training.epochs);
        take(&self.patience, &mut training.patience);
        take(&self.seed, &mut training.seed);
        if self.no_nesterov {
            optimizer.nesterov = Some(false);
        }
        if let Some(name) = &self.augment {
            data.augment = Some(name.parse()?);
        }
        let options = &mut data.options;
        if let Some(share) = self.val_fraction {
            options.val_fraction = share;
        }
        if let Some(share) = self.test_fraction {
            options.test_fraction = share;
        }
        if let Some(name) = &self.split_by {
            options.split_by = name.parse()?;
        }
        if let Some(name) = &self.on_bad_image {
            options.on_bad_image = name.parse()?;
        }
        if let Some(name) = &self.resize {
            options.resize = name.parse()?;
        }
        if let Some(channels) = &self.channels {
            options.channels = Some(if channels == "3" { 3 } else { 1 });
        }
        options.size = self.size.or(options.size);
        options.limits.max_pixels = self.max_pixels.unwrap_or(options.limits.max_pixels);
        options.keep_duplicates |= self.keep_duplicates;
        Ok(())
    }
}

/// A flag that was given wins.
pub(crate) fn take<T: Clone>(flag: &Option<T>, field: &mut Option<T>) {
    if flag.is_some() {
        field.clone_from(flag);
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| {
        Failure::usage(anyhow!("--config {}: {error}", shown_path(path)))
            .help("name a TOML file that can be read")
    })
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

    fn config(flags: &[&str]) -> Config {
        let arguments = ["train"].iter().chain(flags);
        Only::try_parse_from(arguments).map(|only| only.args.configuration()).unwrap().unwrap()
    }

    #[test]
    fn flags_win_over_assignments() {
        let config =
            config(&["--seed", "2", "--set", "training.seed=1", "--set", "training.epochs=3", "--l2", "-1"]);
        assert_eq!(
            (config.training.seed, config.training.epochs, config.penalty.l2),
            (Some(2), Some(3), Some(-1.0))
        );
    }

    #[test]
    fn the_data_may_stand_alone_and_a_size_may_be_a_side() {
        assert_eq!(config(&["photos/", "--size", "64"]), config(&["--data", "photos/", "--size", "64x64"]));
        assert_eq!(size("64x48"), Ok([64, 48]));
        for wrong in ["", "x", "64x", "0", "64x0", "64x64x3", "-1", "6.5"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        assert!(Only::try_parse_from(["train", "photos/", "--data", "digits"]).is_err());
    }

    #[test]
    fn every_flag_of_the_configuration_reaches_it() {
        let flags = "--data digits --model cnn --loss softmax --label-smoothing 0.1 --l1 1 --l2 2 --optimizer sgd \
            --learning-rate 3 --momentum 0.5 --no-nesterov --batch-size 4 --epochs 5 --schedule constant \
            --warmup-epochs 6 --dropout 0.2 --stochastic-depth 0.3 --augment shift --clip-norm 7 --seed 8 --patience 9 \
            --val-fraction 0.3 --test-fraction 0.4 --on-bad-image skip --size 10x11 --channels 3 --keep-duplicates \
            --resize fit-pad --mining all --average active --distance cosine --form hinge --embedding-size 12 \
            --unit-norm false --classes-per-batch 13 --samples-per-class 14 --triplets t.csv --split-by class \
            --init-from run --freeze stem,blocks.0";
        let expected = "
            [data]
            source = 'digits'
            augment = 'shift'
            classes_per_batch = 13
            samples_per_class = 14
            triplets = 't.csv'
            [data.options]
            val_fraction = 0.3
            test_fraction = 0.4
            on_bad_image = 'skip'
            split_by = 'class'
            size = [10, 11]
            channels = 3
            keep_duplicates = true
            resize = 'fit-pad'
            [model]
            name = 'cnn'
            dropout = 0.2
            stochastic_depth = 0.3
            embedding_size = 12
            unit_norm = false
            init_from = 'run'
            freeze = ['stem', 'blocks.0']
            [loss]
            name = 'softmax'
            mining = 'all'
            average = 'active'
            distance = 'cosine'
            form = 'hinge'
            label_smoothing = 0.1
            [penalty]
            l1 = 1.0
            l2 = 2.0
            [optimizer]
            name = 'sgd'
            learning_rate = 3.0
            momentum = 0.5
            nesterov = false
            batch_size = 4
            clip_norm = 7.0
            [schedule]
            name = 'constant'
            warmup_epochs = 6.0
            [training]
            epochs = 5
            patience = 9
            seed = 8
            ";
        let flags: Vec<&str> = flags.split_whitespace().collect();
        assert_eq!(config(&flags), Config::from_toml(expected, "test", &[]).unwrap());
    }
}
