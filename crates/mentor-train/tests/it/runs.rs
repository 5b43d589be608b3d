//! How the tests start a run.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use mentor_run::{Config, Summary, TrainEvent};
use mentor_train::{Execution, Outcome, Plan, TrainError, train};

/// The plan of `text`, a TOML configuration.
pub(crate) fn plan(text: &str) -> Plan {
    Plan::try_from(Config::from_toml(text, "test", &[]).unwrap()).unwrap()
}

/// Runs `text` in `out`, and collects what training says.
pub(crate) fn run(text: &str, out: &Path) -> (Result<Outcome, TrainError>, Vec<TrainEvent>) {
    run_until(text, out, u64::MAX)
}

/// Runs `text` in `out`, asking it to stop once `steps` updates or iterations are done.
pub(crate) fn run_until(
    text: &str,
    out: &Path,
    steps: u64,
) -> (Result<Outcome, TrainError>, Vec<TrainEvent>) {
    let stop = AtomicBool::new(false);
    let mut events = Vec::new();
    let execution = Execution::new(&Device::flex()).with_stop(&stop).with_observer(|event| {
        let done = match event {
            TrainEvent::Step(metrics) => metrics.step,
            TrainEvent::Iteration(metrics) => metrics.iteration,
            _ => 0,
        };
        if done > 0 {
            stop.store(done >= steps, std::sync::atomic::Ordering::Relaxed);
        }
        events.push(event.clone());
    });
    let outcome = train(&plan(text), out, &execution);
    drop(execution);
    (outcome, events)
}

/// Runs `text` to its end.
pub(crate) fn complete(text: &str, out: &Path) -> Summary {
    match run(text, out).0.unwrap() {
        Outcome::Complete(summary) => summary,
        other => panic!("{other:?}"),
    }
}

/// What does not depend on the clock.
pub(crate) fn timeless(summary: &Summary) -> Summary {
    let mut summary = summary.clone();
    summary.wall_secs = 0.0;
    summary
}
