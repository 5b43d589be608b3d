//! What only an optimiser that goes step by step has a use for, and a solver of a linear classifier has not.

use mentor_run::{Config, OptimizerConfig, ScheduleConfig, TrainingConfig};

/// The options of an optimiser that goes step by step, and whether the user has set them.
pub(super) fn options(config: &Config) -> [(&'static str, bool); 15] {
    let OptimizerConfig {
        name: _,
        gap: _,
        max_iterations: _,
        learning_rate,
        momentum,
        nesterov,
        batch_size,
        clip_norm,
        weight_decay,
        layer_decay,
    } = &config.optimizer;
    let ScheduleConfig { name: schedule, warmup_epochs, step_epochs, step_factor } = &config.schedule;
    // A solver has no batches to divide, and ends in the same weights in every process.
    let TrainingConfig {
        epochs,
        min_updates,
        patience,
        ema,
        virtual_shards: _,
        checkpoint_secs: _,
        certify: _,
        seed: _,
    } = &config.training;
    [
        ("learning_rate", learning_rate.is_some()),
        ("momentum", momentum.is_some()),
        ("nesterov", nesterov.is_some()),
        ("batch_size", batch_size.is_some()),
        ("clip_norm", clip_norm.is_some()),
        ("weight_decay", weight_decay.is_some()),
        ("layer_decay", layer_decay.is_some()),
        ("schedule", schedule.is_some()),
        ("warmup_epochs", warmup_epochs.is_some()),
        ("step_epochs", step_epochs.is_some()),
        ("step_factor", step_factor.is_some()),
        ("epochs", epochs.is_some()),
        ("min_updates", min_updates.is_some()),
        ("patience", patience.is_some()),
        ("ema", ema.is_some()),
    ]
}
