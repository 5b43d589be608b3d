//! The configuration that the flags of `mentor train` make.

use std::fs;
use std::path::Path;

use anyhow::anyhow;
use mentor_data::shown_path;
use mentor_run::{Config, present_name};

use super::Args;
use crate::terminal::error::Failure;

impl Args {
    /// The configuration: the file, then `--set`, then the other flags.
    pub(crate) fn configuration(&self) -> Result<Config, Failure> {
        let (text, origin) = match &self.config {
            Some(path) => (read(path)?, shown_path(path)),
            None => (String::new(), String::new()),
        };
        let mut config = Config::from_toml(&text, &origin, &self.set)?;
        self.overlay(&mut config)?;
        Ok(config)
    }

    fn overlay(&self, config: &mut Config) -> Result<(), Failure> {
        let Config { data, model, loss, penalty, optimizer, schedule, training, path, .. } = config;
        take(&self.source, &mut data.source);
        take(&self.data, &mut data.source);
        take(&self.model, &mut model.name);
        take(&self.backbone, &mut model.backbone);
        take(&self.fine_tune, &mut model.fine_tune);
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
        for name in [&mut loss.name, &mut loss.form].into_iter().flatten() {
            *name = present_name(name).to_owned();
        }
        take(&self.embedding_size, &mut model.embedding_size);
        take(&self.unit_norm, &mut model.unit_norm);
        take(&self.classes_per_batch, &mut data.classes_per_batch);
        take(&self.samples_per_class, &mut data.samples_per_class);
        take(&self.triplets, &mut data.triplets);
        if let Some(lambda) = self.l1 {
            lambda.overlay(&mut penalty.l1, path, |path| &mut path.l1, [1e-6, 1.0]);
        }
        if let Some(lambda) = self.l2 {
            lambda.overlay(&mut penalty.l2, path, |path| &mut path.l2, [1e-6, 10.0]);
        }
        take(&self.optimizer, &mut optimizer.name);
        take(&self.learning_rate, &mut optimizer.learning_rate);
        take(&self.momentum, &mut optimizer.momentum);
        take(&self.batch_size, &mut optimizer.batch_size);
        take(&self.clip_norm, &mut optimizer.clip_norm);
        take(&self.weight_decay, &mut optimizer.weight_decay);
        take(&self.layer_decay, &mut optimizer.layer_decay);
        take(&self.gap, &mut optimizer.gap);
        take(&self.max_iterations, &mut optimizer.max_iterations);
        take(&self.schedule, &mut schedule.name);
        take(&self.warmup_epochs, &mut schedule.warmup_epochs);
        take(&self.epochs, &mut training.epochs);
        take(&self.patience, &mut training.patience);
        take(&self.seed, &mut training.seed);
        if self.certify {
            training.certify = Some(true);
        }
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
        take(&self.corrections, &mut options.corrections);
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

    use super::super::size;
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
        let flags = "--data digits --model cnn --loss softmax --label-smoothing 0.1 --l1 1 --l2 2 \
                     --optimizer sgd --learning-rate 3 --momentum 0.5 --no-nesterov --batch-size 4 --epochs \
                     5 --schedule constant --warmup-epochs 6 --dropout 0.2 --stochastic-depth 0.3 --augment \
                     shift --clip-norm 7 --seed 8 --patience 9 --val-fraction 0.3 --test-fraction 0.4 \
                     --on-bad-image skip --size 10x11 --channels 3 --keep-duplicates --resize fit-pad \
                     --mining all --average active --distance cosine --form hinge --embedding-size 12 \
            --unit-norm false --classes-per-batch 13 --samples-per-class 14 --triplets t.csv --split-by \
                     class --init-from run --freeze stem,blocks.0 --backbone b.pth --fine-tune 15 \
                     --weight-decay 0.6 --layer-decay 0.7 --corrections c.csv";
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
            corrections = 'c.csv'
            resize = 'fit-pad'
            [model]
            name = 'cnn'
            dropout = 0.2
            stochastic_depth = 0.3
            embedding_size = 12
            unit_norm = false
            init_from = 'run'
            freeze = ['stem', 'blocks.0']
            backbone = 'b.pth'
            fine_tune = 15
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
            weight_decay = 0.6
            layer_decay = 0.7
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
