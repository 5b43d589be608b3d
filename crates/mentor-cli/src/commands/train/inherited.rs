//! The flags of `mentor train` in the help of the other commands that train: each shows its own defaults, and
//! no flag that it always refuses.

use clap::Arg;
use clap::builder::{PossibleValue, PossibleValuesParser};

/// What a command says of the flags that it shares with `mentor train`, by their ids.
pub(in crate::commands) struct Inherited {
    /// Help that differs.
    pub(in crate::commands) help: &'static [(&'static str, &'static str)],
    /// Flags that the help leaves out. They are read all the same, so that the plan says why it refuses them.
    pub(in crate::commands) hidden: &'static [&'static str],
    /// The values of a flag that the help shows; it leaves out the others, as [`Inherited::hidden`] flags.
    pub(in crate::commands) shown_values: &'static [(&'static str, &'static [&'static str])],
}

impl Inherited {
    /// The flag as the command shows it.
    pub(in crate::commands) fn show(&self, arg: Arg) -> Arg {
        let id = arg.get_id().to_string();
        let of_id = |&&(name, _): &&(&str, &'static str)| name == id;
        let arg = match self.help.iter().find(of_id) {
            Some((_, help)) => arg.help(*help),
            None => arg,
        };
        let arg = match self.shown_values.iter().find(|(name, _)| *name == id) {
            Some((_, shown)) => {
                let hidden = |value: PossibleValue| {
                    let hide = !shown.contains(&value.get_name());
                    value.hide(hide)
                };
                let values: Vec<PossibleValue> = arg.get_possible_values().into_iter().map(hidden).collect();
                arg.value_parser(PossibleValuesParser::new(values))
            }
            None => arg,
        };
        let hide = self.hidden.contains(&id.as_str()) || arg.is_hide_set();
        arg.hide(hide)
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};
    use mentor_run::Config;
    use mentor_train::Plan;

    use crate::args::{Cli, Command};

    const COMMANDS: [&str; 4] = ["train", "distill", "self-train", "path"];

    /// The configuration that a command line makes, if clap takes it.
    fn config(line: &str) -> Option<Config> {
        let arguments = ["mentor"].into_iter().chain(line.split_whitespace());
        let config = match Cli::try_parse_from(arguments).ok()?.command {
            Command::Train(args) => args.configuration(),
            Command::Distill(args) => args.configuration(),
            Command::SelfTrain(args) => args.configuration(),
            Command::Path(args) => args.configuration(),
            other => panic!("{other:?} makes no configuration"),
        };
        config.ok()
    }

    /// The flags that the help of a command shows.
    fn flags(command: &str) -> Vec<clap::Arg> {
        let cli = Cli::command();
        let command = cli.find_subcommand(command).unwrap();
        let shown = |arg: &&clap::Arg| {
            !arg.is_hide_set()
                && !arg.is_positional()
                && !["help", "version"].contains(&arg.get_id().as_str())
        };
        command.get_arguments().filter(shown).cloned().collect()
    }

    /// What a command needs at least, and what else makes its flags useful.
    fn lines(command: &str) -> Vec<String> {
        let (needed, more): (&str, &[&str]) = match command {
            "train" => (
                "train --data digits",
                &[
                    "--loss svm",
                    "--loss crammer-singer",
                    "--loss contrastive",
                    "--loss triplet",
                    "--loss triplet --mining none --triplets t.csv",
                    "--loss triplet --triplets t.csv",
                    "--loss triplet --mining none",
                    "--model wrn-16-2",
                    "--l2 1e-3",
                    "--gap 1e-3",
                    "--backbone b.pth",
                ],
            ),
            "distill" => (
                "distill --data digits --teacher run",
                &[
                    "--augment shift",
                    "--mode relational",
                    "--mode cosine",
                    "--mode relational --hard-weight 1",
                    "--mode relational --hard-weight 1 --loss contrastive",
                    "--mode relational --hard-weight 1 --mining none",
                    "--mode relational --hard-weight 1 --triplets t.csv",
                    "--model wrn-16-2",
                ],
            ),
            "path" => ("path --data digits", &["--loss svm", "--l1 1e-5..1e-1"]),
            _ => (
                "self-train --data digits --labels-per-class 5",
                &["--method pseudo-label", "--model wrn-16-2", "--backbone b.pth"],
            ),
        };
        let mut lines: Vec<String> = more.iter().map(|more| format!("{needed} {more}")).collect();
        lines.extend(["", " --optimizer adamw", " --log mlflow"].map(|more| format!("{needed}{more}")));
        if command == "self-train" {
            lines.push("self-train --data digits --unlabelled more".to_owned());
            lines.push("self-train --data digits".to_owned());
        }
        lines
    }

    /// A value that fits the flag.
    fn sample(id: &str) -> &'static str {
        match id {
            "data" => "digits",
            "size" => "32x32",
            "augment" | "noise_augment" => "shift",
            "model" | "student" | "distill_to" => "wrn-16-2",
            "mode" => "relational",
            "config" => "/dev/null",
            "freeze" => "stem",
            "set" => "training.seed=3",
            "device" => "cpu",
            "dropout"
            | "stochastic_depth"
            | "noise_dropout"
            | "noise_stochastic_depth"
            | "label_smoothing"
            | "momentum"
            | "val_fraction"
            | "test_fraction"
            | "audit_fraction"
            | "threshold"
            | "layer_decay"
            | "gap" => "0.25",
            // Of batches of two classes or two images at least.
            _ => "4",
        }
    }

    #[test]
    fn every_flag_and_value_of_the_help_is_accepted_in_some_configuration() {
        for command in COMMANDS {
            for flag in flags(command) {
                let id = flag.get_id().as_str();
                let name = flag.get_long().unwrap();
                let possible = flag.get_possible_values();
                let values: Vec<String> = if !flag.get_action().takes_values() {
                    vec![String::new()]
                } else if possible.is_empty() {
                    vec![sample(id).to_owned()]
                } else {
                    let shown = possible.iter().filter(|value| !value.is_hide_set());
                    shown.map(|value| value.get_name().to_owned()).collect()
                };
                for value in values {
                    let accepted = |line: &String| {
                        // All lines name their data.
                        let line =
                            if id == "data" { line.clone() } else { format!("{line} --{name} {value}") };
                        config(&line).is_some_and(|config| Plan::try_from(config).is_ok())
                    };
                    assert!(lines(command).iter().any(accepted), "{command} --{name} {value}");
                }
            }
        }
    }

    /// Where a flag is in the configuration, and what else a command line needs to have it.
    fn field(command: &str, id: &str) -> Option<(&'static str, &'static str)> {
        let ranking =
            if command == "distill" { "--mode relational --hard-weight 1" } else { "--loss triplet" };
        let contrastive = if command == "distill" {
            "--mode relational --hard-weight 1 --loss contrastive"
        } else {
            "--loss contrastive"
        };
        Some(match id {
            "augment" => ("data.augment", ""),
            "split_by" => ("data.options.split_by", ""),
            "val_fraction" => ("data.options.val_fraction", ""),
            "test_fraction" => ("data.options.test_fraction", ""),
            "on_bad_image" => ("data.options.on_bad_image", ""),
            "max_pixels" => ("data.options.limits.max_pixels", ""),
            "resize" => ("data.options.resize", ""),
            "model" => ("model.name", ""),
            "dropout" => ("model.dropout", ""),
            "stochastic_depth" => ("model.stochastic_depth", ""),
            "loss" => ("loss.name", ""),
            "margin" if ["train", "path"].contains(&command) => ("loss.margin", "--loss svm"),
            "margin" => ("loss.margin", ranking),
            "label_smoothing" => ("loss.label_smoothing", ""),
            "mining" => ("loss.mining", ranking),
            "average" => ("loss.average", contrastive),
            "distance" => ("loss.distance", ranking),
            "form" => ("loss.form", contrastive),
            "embedding_size" => ("model.embedding_size", ranking),
            "unit_norm" => ("model.unit_norm", ranking),
            "classes_per_batch" => ("data.classes_per_batch", ranking),
            "samples_per_class" => ("data.samples_per_class", ranking),
            // Ranges, and what depends on them.
            "l2" | "gap" if command == "path" => return None,
            "l1" => ("penalty.l1", ""),
            "l2" => ("penalty.l2", ""),
            "optimizer" => ("optimizer.name", ""),
            "momentum" => ("optimizer.momentum", ""),
            "batch_size" => ("optimizer.batch_size", ""),
            "clip_norm" => ("optimizer.clip_norm", ""),
            "weight_decay" => ("optimizer.weight_decay", "--optimizer adamw"),
            "steps" => ("path.steps", ""),
            "folds" => ("path.folds", ""),
            "rule" => ("path.rule", ""),
            "max_iterations" => ("optimizer.max_iterations", "--gap 1e-3"),
            "schedule" => ("schedule.name", ""),
            "epochs" => ("training.epochs", ""),
            "patience" => ("training.patience", ""),
            "seed" => ("training.seed", ""),
            "temperature" => ("distill.temperature", "--model cnn"),
            "soft_weight" => ("distill.soft_weight", ""),
            "hard_weight" => ("distill.hard_weight", ""),
            "mode" => ("distill.mode", ""),
            "augmentations" => ("distill.augmentations", "--augment shift"),
            "method" => ("self_train.method", ""),
            "rounds" => ("self_train.rounds", ""),
            "threshold" => ("self_train.threshold", ""),
            "label_kind" => ("self_train.label_kind", ""),
            "max_copies" => ("self_train.max_copies", ""),
            "ratio" => ("self_train.ratio", ""),
            "noise_augment" => ("self_train.augment", ""),
            "noise_dropout" => ("self_train.dropout", "--model cnn"),
            "noise_stochastic_depth" => ("self_train.stochastic_depth", "--model wrn-16-2"),
            "audit_fraction" => ("self_train.audit_fraction", ""),
            // Their defaults are a rule in words, of the data or of other flags.
            "learning_rate" | "layer_decay" | "mlflow_uri" | "warmup_epochs" | "size" | "channels"
            | "out" | "student" | "top_k" | "per_class" => return None,
            other => panic!("--{other} shows a default that no test compares with the plan"),
        })
    }

    #[test]
    fn every_default_in_the_help_is_that_of_the_plan() {
        for command in COMMANDS {
            let needed = lines(command).into_iter().min_by_key(String::len).unwrap();
            let needed =
                if command == "self-train" { format!("{needed} --labels-per-class 5") } else { needed };
            for flag in flags(command) {
                let id = flag.get_id().as_str();
                let help = flag.get_help().unwrap().to_string();
                let Some((_, told)) = help.rsplit_once("[default: ") else { continue };
                let Some((path, more)) = field(command, id) else { continue };
                let told = told.trim_end_matches(']').split(';').next().unwrap();
                let plan = Plan::try_from(config(&format!("{needed} {more}")).unwrap()).unwrap();
                let table = toml::Value::try_from(plan.to_config()).unwrap();
                let value =
                    path.split('.').fold(&table, |at, key| at.get(key).unwrap_or_else(|| panic!("{path}")));
                let value = match value {
                    toml::Value::String(text) => text.clone(),
                    toml::Value::Float(number) => number.to_string(),
                    other => other.to_string(),
                };
                assert_eq!(told, value, "{command} --{id}");
            }
        }
    }

    #[test]
    fn a_command_shows_its_own_flags_before_those_that_it_shares() {
        for (command, heading) in [("distill", "Distillation"), ("self-train", "Self-training")] {
            let headings: Vec<String> =
                flags(command).iter().filter_map(|flag| flag.get_help_heading()).map(str::to_owned).collect();
            assert_eq!(headings[0], heading);
        }
    }

    #[test]
    fn a_flag_that_the_help_leaves_out_is_refused_by_the_plan_in_its_own_words() {
        for (line, what) in [
            ("distill --data digits --teacher t --optimizer gd", "gd does not distil"),
            ("distill --data digits --teacher t --loss svm", "not svm"),
            ("distill --data digits --teacher t --gap 1e-3", "gap is for training on labels alone"),
            ("self-train --data digits --labels-per-class 5 --certify", "certify is for training on labels"),
            (
                "self-train --data digits --labels-per-class 5 --optimizer gd --augment none",
                "gd does not self-train",
            ),
            ("self-train --data digits --labels-per-class 5 --loss triplet", "not triplet"),
        ] {
            let error = Plan::try_from(config(line).unwrap()).unwrap_err().to_string();
            assert!(error.contains(what), "{line}: {error}");
        }
    }
}
