//! `--log`: the scalars of `metrics.jsonl`, also where TensorBoard or MLflow shows them.

pub(crate) mod http;
mod mlflow;
mod sink;
mod tensorboard;

use std::path::Path;

use anyhow::anyhow;
use clap::ValueEnum;
use mentor_run::{Config, TrainEvent};
use serde::Serialize;

use self::http::Server;
use self::mlflow::Mlflow;
pub(crate) use self::sink::End;
use self::sink::{Scalar, Sink};
use self::tensorboard::TensorBoard;
use crate::terminal::error::Failure;

/// Lines about updates at most, over the whole run; as in `metrics.jsonl`.
const MAX_UPDATES: u64 = 2000;

/// Where scalars are written, beside `metrics.jsonl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Log {
    /// Event files in the folder tensorboard of the run
    Tensorboard,
    /// A run of an MLflow server
    Mlflow,
}

/// All places that were asked for. One that fails is left alone after a warning; training goes on.
pub(crate) struct Tracker {
    sinks: Vec<(&'static str, Box<dyn Sink>)>,
    stage: Option<String>,
    stride: u64,
}

impl Tracker {
    /// Prepares the places. A server must answer now, before the work.
    pub(crate) fn open(
        logs: &[Log],
        uri: Option<&str>,
        out: &Path,
        config: &Config,
    ) -> Result<Self, Failure> {
        let mut sinks: Vec<(&'static str, Box<dyn Sink>)> = Vec::new();
        for log in logs {
            match log {
                Log::Tensorboard => sinks.push(("tensorboard", Box::new(TensorBoard::new(out)))),
                Log::Mlflow => {
                    let environment = std::env::var("MLFLOW_TRACKING_URI").ok();
                    let uri = uri.map(str::to_owned).or(environment).ok_or_else(|| {
                        Failure::usage(anyhow!("--log mlflow: the address of the server is not stated"))
                            .help("add --mlflow-uri http://HOST:PORT, or set MLFLOW_TRACKING_URI")
                    })?;
                    let server = Server::parse(&uri).map_err(|error| {
                        Failure::usage(anyhow!("--log mlflow: {error:#}")).help("state http://HOST:PORT")
                    })?;
                    let mlflow = Mlflow::open(server, &uri, out, config)
                        .map_err(|error| Failure::failed(anyhow!("--log mlflow: {uri}: {error:#}")))?;
                    sinks.push(("mlflow", Box::new(mlflow)));
                }
            }
        }
        Ok(Self { sinks, stage: None, stride: 1 })
    }

    /// Writes what an event says. Gives a warning for each place that fails.
    pub(crate) fn observe(&mut self, event: &TrainEvent) -> Vec<TrainEvent> {
        match event {
            TrainEvent::Stage(stage) => {
                self.stage = Some(stage.clone());
                Vec::new()
            }
            TrainEvent::Started(started) => {
                self.stride = (started.epochs as u64 * started.steps_per_epoch).div_ceil(MAX_UPDATES).max(1);
                let stage = self.stage.clone();
                self.each(|sink| sink.started(stage.as_deref(), started))
            }
            TrainEvent::Step(metrics) if metrics.step % self.stride == 0 => {
                self.write(metrics.step, "update", metrics)
            }
            TrainEvent::Epoch(metrics) => self.write(metrics.step, "epoch", metrics),
            TrainEvent::Iteration(metrics) => self.write(metrics.iteration, "iteration", metrics),
            _ => Vec::new(),
        }
    }

    /// Ends the run at all places.
    pub(crate) fn end(&mut self, end: End) -> Vec<TrainEvent> {
        self.each(|sink| sink.ended(end))
    }

    fn write(&mut self, step: u64, kind: &str, metrics: &impl Serialize) -> Vec<TrainEvent> {
        let scalars = scalars(kind, metrics);
        self.each(|sink| sink.scalars(step, &scalars))
    }

    fn each(&mut self, mut call: impl FnMut(&mut dyn Sink) -> anyhow::Result<()>) -> Vec<TrainEvent> {
        let mut warnings = Vec::new();
        self.sinks.retain_mut(|(name, sink)| match call(sink.as_mut()) {
            Ok(()) => true,
            Err(error) => {
                let text = format!("--log {name}: {error:#}; nothing more is written there");
                warnings.push(TrainEvent::Warning(text));
                false
            }
        });
        warnings
    }
}

/// The numbers of a line of `metrics.jsonl`, `KIND/NAME`, except for those that count updates and epochs.
fn scalars(kind: &str, metrics: &impl Serialize) -> Vec<Scalar> {
    let value = serde_json::to_value(metrics).unwrap_or_default();
    let fields = value.as_object().into_iter().flatten();
    let counts = ["step", "epoch", "iteration"];
    let numbers = fields.filter(|(name, _)| !counts.contains(&name.as_str()));
    numbers.filter_map(|(name, value)| Some((format!("{kind}/{name}"), value.as_f64()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_the_numbers_of_a_line() {
        let metrics =
            mentor_run::StepMetrics { step: 7, epoch: 1, data_loss: 0.5, learning_rate: 0.1, num_samples: 8 };
        let expected =
            [("update/data_loss", 0.5), ("update/learning_rate", 0.1), ("update/num_samples", 8.0)];
        assert_eq!(scalars("update", &metrics), expected.map(|(name, value)| (name.to_owned(), value)));
        assert_eq!(sink::slug("Round 2: student/../x"), Path::new("round-2-student-x"));
    }
}
