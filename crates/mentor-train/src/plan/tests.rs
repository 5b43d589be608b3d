//! What configurations become, and which of them are refused.

use super::*;

fn plan(text: &str) -> Result<Plan, PlanError> {
    Plan::try_from(Config::from_toml(text, "test", &[]).unwrap())
}

#[test]
fn a_resolved_plan_makes_itself_again() {
    for text in [
        "data.source = 'digits'",
        "data.source = 'digits'\nloss.name = 'svm'\noptimizer.name = 'gd'\npenalty.l2 = 1e-3",
        "data.source = 'x'\nmodel.name = 'cnn'\ntraining.min_updates = 7",
        "data.source = 'x'\nmodel.name = 'cnn'\nschedule.name = 'step'\nloss.class_weights = [1.0, 2.0]",
        "data.source = 'x'\nloss.name = 'triplet'\nloss.mining = 'hard'\nmodel.embedding_size = 2",
        "data.source = 'x'\nloss.name = 'contrastive'\nloss.form = 'squared'\nmodel.unit_norm = true",
        "data.source = 'x'\nloss.name = 'triplet'\nloss.mining = 'none'\ndata.triplets = 't.csv'",
        "data.source = 'x'\noptimizer.gap = 1e-4\npenalty.l1 = 1e-4\ntraining.seed = 3",
        "data.source = 'x'\npath = { l1 = [1e-5, 1e-2] }\npenalty.l2 = 1e-4",
        "data.source = 'x'\nloss.name = 'svm'\npath.rule = 'one-standard-error'",
        "data.source = 'x'\ntraining.certify = true\npenalty.l2 = 1e-4",
    ] {
        let config = plan(text).unwrap().to_config();
        assert_eq!(Plan::try_from(config.clone()).unwrap().to_config(), config);
        assert_eq!(Config::from_toml(&config.to_toml(), "test", &[]).unwrap(), config);
    }
}

#[test]
fn the_default_rate_is_in_proportion_to_the_batch_up_to_128() {
    let rate =
        |text: &str| plan(&format!("data.source = 'x'\n{text}")).unwrap().training.optimizer.learning_rate;
    for (model, full) in [("linear", 0.01), ("cnn", 0.02), ("resnet-18", 0.1)] {
        for (batch_size, share) in [(1, 1.0 / 128.0), (16, 0.125), (64, 0.5), (128, 1.0), (1024, 1.0)] {
            let text = format!("model.name = '{model}'\noptimizer.batch_size = {batch_size}");
            assert!((rate(&text) - full * share).abs() < 1e-12, "{model} {batch_size}: {}", rate(&text));
        }
    }
    assert_eq!(rate("model.name = 'cnn'"), 0.02);
    // An explicit rate is the user's, and the chunks of gd are no batches.
    assert_eq!(rate("model.name = 'resnet-18'\noptimizer = { batch_size = 16, learning_rate = 0.1 }"), 0.1);
    assert_eq!(rate("optimizer = { name = 'gd', batch_size = 16 }"), 0.01);
    assert_eq!(rate("loss.name = 'triplet'\nmodel.name = 'cnn'\ndata.classes_per_batch = 4"), 0.005);
    // Self-training's batches are of 32, and its rates were found on these.
    assert_eq!(rate("self_train.labels_per_class = 5"), 0.02);
    assert_eq!(rate("self_train.labels_per_class = 5\noptimizer.batch_size = 16"), 0.01);
}

#[test]
fn few_images_get_more_epochs_unless_the_user_gives_a_length() {
    let length = |text: &str, steps| {
        let plan = plan(&format!("data.source = 'x'\nmodel.name = 'cnn'\n{text}")).unwrap();
        let (epochs, schedule) = plan.training.length(steps);
        (epochs, schedule.warmup_epochs)
    };
    assert_eq!(length("", 400), (20, 2.0));
    assert_eq!(length("", 15), (20, 2.0));
    assert_eq!(length("", 2), (150, 15.0));
    assert_eq!(length("", 14), (22, 2.2));
    assert_eq!(length("training.epochs = 20", 2), (20, 2.0));
    assert_eq!(length("schedule.warmup_epochs = 1", 2), (20, 1.0));
    assert_eq!(length("optimizer.name = 'gd'", 1), (300, 0.0));
    assert_eq!(length("training = { epochs = 10, min_updates = 100 }", 1), (100, 10.0));
    assert!(plan("data.source = 'x'\nself_train.labels_per_class = 5\ntraining.min_updates = 9").is_err());
}

#[test]
fn all_problems_are_reported_at_once() {
    let text =
        "model.name = 'lenet'\npenalty.l2 = -1.0\noptimizer.learning_rate = nan\noptimizer.batch_size = 0";
    let error = plan(text).unwrap_err();
    assert_eq!(error.problems.len(), 5, "{error}");
    for word in ["no data", "lenet", "l2 is -1", "learning_rate is NaN", "batch_size is 0"] {
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
}

#[test]
fn what_no_f32_holds_is_refused_by_name() {
    for (text, what) in [
        ("penalty.l1", "l1 is"),
        ("penalty.l2", "l2 is"),
        ("optimizer.learning_rate", "learning_rate is"),
        ("optimizer.clip_norm", "clip_norm is"),
        ("loss.name = 'svm'\nloss.margin", "margin is"),
        ("loss.name = 'triplet'\nloss.margin", "margin is"),
        ("distill.teachers = ['t']\ndistill.soft_weight", "soft_weight is"),
        ("distill.teachers = ['t']\ndistill.hard_weight", "hard_weight is"),
        ("distill.teachers = ['t']\ndistill.temperature", "temperature is"),
        ("self_train.labels_per_class = 5\nself_train.ratio", "ratio is"),
    ] {
        for value in ["1e300", "1e39", "1e-46", "1e-320", "1e-40"] {
            let error = plan(&format!("data.source = 'digits'\n{text} = {value}")).unwrap_err();
            assert!(error.problems.iter().any(|it| it.contains(what)), "{text} = {value}: {error}");
        }
    }
    for (text, what) in [
        ("loss.class_weights = [1.0, 1e300]", "a class weight is"),
        ("loss.class_weights = [1.0, 1e-320]", "a class weight is"),
        ("optimizer.momentum = 0.99999999999", "momentum is"),
        ("model.name = 'mlp:8'\nmodel.dropout = 0.99999999999", "dropout is"),
        ("training.ema = 0.99999999999", "ema is"),
        ("loss.label_smoothing = 0.99999999999", "label_smoothing is"),
        ("self_train = { labels_per_class = 5, dropout = 1e-320 }", "self_train.dropout is"),
        ("penalty.l2 = 3e38", "2 l2 is 6e38"),
        ("distill = { teachers = ['t'], soft_weight = 1e30, temperature = 1e5 }", "squared is"),
        ("penalty.l1 = 3e38\noptimizer.learning_rate = 10.0", "learning_rate x l1 is 3e39"),
    ] {
        let error = plan(&format!("data.source = 'digits'\n{text}")).unwrap_err();
        assert!(error.problems.len() == 1 && error.to_string().contains(what), "{text}: {error}");
    }
    // What no f32 needs to hold.
    let text = "data.source = 'digits'\ntraining.checkpoint_secs = 1e300\nschedule.warmup_epochs = 1e-320";
    assert!(plan(text).is_ok());
    assert!(plan("data.source = 'digits'\npenalty.l1 = 1e-30\noptimizer.learning_rate = 1e38").is_ok());
}

#[test]
fn gd_refuses_what_makes_its_gradient_inexact() {
    for extra in ["data.augment = 'shift'", "model.dropout = 0.5", "model.name = 'wrn-16-2'"] {
        let text = format!("data.source = 'digits'\noptimizer.name = 'gd'\n{extra}");
        assert!(plan(&text).unwrap_err().to_string().contains("exact gradient"), "{extra}");
    }
}

#[test]
fn what_belongs_to_ranking_losses_is_refused_elsewhere_and_the_other_way_round() {
    for text in [
        "model.embedding_size = 8",
        "data.samples_per_class = 4",
        "loss.mining = 'all'",
        "loss.name = 'triplet'\noptimizer.name = 'gd'",
        "loss.name = 'triplet'\nloss.label_smoothing = 0.1",
        "loss.name = 'triplet'\nloss.mining = 'none'",
        "loss.name = 'triplet'\nloss.mining = 'easy'",
        "loss.name = 'triplet'\noptimizer.batch_size = 100",
        "loss.name = 'triplet'\nloss.form = 'soft-margin'\nloss.margin = 0.2",
        "loss.name = 'triplet'\ndata.samples_per_class = 1",
        "loss.name = 'contrastive'\nloss.mining = 'all'",
        "loss.name = 'contrastive'\nloss.margin = nan",
    ] {
        let error = plan(&format!("data.source = 'digits'\n{text}")).unwrap_err();
        assert_eq!(error.problems.len(), 1, "{text}: {error}");
    }
}

#[test]
fn the_margin_of_pairs_depends_on_the_norm() {
    for (unit_norm, margin) in [(true, 0.5), (false, 1.0)] {
        let text = format!("data.source = 'x'\nloss.name = 'contrastive'\nmodel.unit_norm = {unit_norm}");
        assert_eq!(plan(&text).unwrap().to_config().loss.margin, Some(margin));
    }
}

#[test]
fn pairs_are_averaged_over_the_active_ones_and_triplets_over_all() {
    for (loss, average) in [("contrastive", "active"), ("triplet", "valid")] {
        let config = plan(&format!("data.source = 'x'\nloss.name = '{loss}'")).unwrap().to_config();
        assert_eq!(config.loss.average.as_deref(), Some(average), "{loss}");
    }
}

#[test]
fn parameters_of_another_loss_are_refused() {
    assert!(plan("data.source = 'digits'\nloss.margin = 1.0").is_err());
    assert!(plan("data.source = 'digits'\nloss.name = 'svm'\nloss.label_smoothing = 0.1").is_err());
}

#[test]
fn a_gap_refuses_by_name_what_is_not_convex_or_has_no_solver() {
    for (text, what) in [
        ("optimizer.gap = 0.0", "gap is 0"),
        ("optimizer.gap = -1e-4", "gap is -0.0001"),
        ("optimizer.gap = nan", "gap is NaN"),
        ("optimizer.gap = inf", "gap is inf"),
        ("optimizer = { gap = 1e-4, max_iterations = 0 }", "max_iterations is 0"),
        ("optimizer = { gap = 1e-4, name = 'gd' }", "not gd"),
        ("optimizer = { gap = 1e-4, learning_rate = 0.1 }", "learning_rate has no meaning"),
        ("optimizer.gap = 1e-4\nmodel.name = 'mlp:8'", "that of mlp:8 is not convex"),
        ("optimizer.gap = 1e-4\nmodel.init_from = 'run'", "init_from has no meaning"),
        ("optimizer.gap = 1e-4\nmodel.dropout = 0.5", "dropout has no meaning"),
        ("optimizer.gap = 1e-4\ndata.augment = 'shift'", "augment must be none"),
        ("optimizer.gap = 1e-4\nloss.label_smoothing = 0.1", "label_smoothing"),
        ("optimizer.gap = 1e-4\nloss = { name = 'svm', margin = 0.0 }", "margin is 0"),
        ("optimizer.gap = 1e-4\nloss.name = 'svm'\npenalty.l1 = 1e-3", "svm with l1"),
        ("optimizer.gap = 1e-4\nloss.name = 'triplet'", "not triplet"),
        ("optimizer.gap = 1e-4\ntraining = { epochs = 3, certify = true }", "epochs has no meaning"),
        ("optimizer.gap = 1e-4\nself_train.labels_per_class = 5", "on labels alone"),
        ("path = { l2 = [1.0, 1e-3] }", "from 1 to 0.001"),
        ("path = { l2 = [0.0, 1.0] }", "l2 is 0"),
        ("path = { l1 = [1e-3, 1.0], l2 = [1e-3, 1.0] }", "one of l1 and l2"),
        ("path = {}\npenalty.l2 = 1e-3", "a range and a number"),
        ("path = { steps = 1 }", "steps is 1"),
        ("path = { folds = 1 }", "folds is 1"),
        ("path = { rule = 'max' }", "rule:"),
        ("path = {}\nmodel.name = 'cnn'", "that of cnn is not convex"),
        ("path = { l1 = [1e-3, 1.0] }\nloss.name = 'svm'", "svm with l1"),
        ("path = {}\ntraining.epochs = 3", "epochs has no meaning with path"),
        ("path = {}\ndistill.teachers = ['t']", "on labels alone"),
        ("optimizer.name = 'auto'", "auto needs"),
        ("optimizer.max_iterations = 5", "max_iterations needs gap"),
        ("training.certify = true", "certify needs a penalty"),
        ("training.certify = true\npenalty.l2 = 1e-3\nmodel.name = 'cnn'", "that of cnn is not convex"),
        ("training.certify = true\npenalty.l2 = 1e-3\ndistill.teachers = ['t']", "on labels alone"),
    ] {
        let error = plan(&format!("data.source = 'digits'\n{text}")).unwrap_err();
        assert!(error.to_string().contains(what), "{text}: {error}");
    }
}

#[test]
fn adamw_and_layer_decay_are_resolved_and_refused_by_name() {
    let plan_of = |text: &str| plan(&format!("data.source = 'digits'\n{text}"));
    let adamw = plan_of("optimizer = { name = 'adamw', layer_decay = 0.5 }").unwrap();
    let optimizer = &adamw.training.optimizer;
    assert_eq!((optimizer.weight_decay, optimizer.layer_decay), (Some(0.01), Some(0.5)));
    assert_eq!((optimizer.learning_rate, optimizer.momentum, optimizer.nesterov), (1e-3, 0.0, false));
    let config = adamw.to_config();
    assert_eq!(Plan::try_from(config.clone()).unwrap().to_config(), config);
    for (text, what) in [
        ("model.fine_tune = 3", "`model.backbone`"),
        ("optimizer.weight_decay = 0.1", "weight_decay is for adamw"),
        ("optimizer = { name = 'adamw', weight_decay = -1.0 }", "weight_decay is -1"),
        ("optimizer = { name = 'adamw', momentum = 0.9 }", "momentum is for sgd"),
        ("optimizer.name = 'adamw'\npenalty.l2 = 1e-3", "adamw minimises no penalty"),
        ("optimizer.layer_decay = 0.0", "layer_decay is 0"),
        ("optimizer.layer_decay = 1.5", "layer_decay is 1.5"),
    ] {
        let error = plan_of(text).unwrap_err();
        assert!(error.to_string().contains(what), "{text}: {error}");
    }
}
