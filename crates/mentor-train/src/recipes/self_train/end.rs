//! The end of self-training: the test split is opened, once, and the best model becomes that of the run.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use mentor_data::{Dataset, Source, Split};
use mentor_metrics::calibration::Calibration;
use mentor_metrics::mcnemar;
use mentor_run::files::inside;
use mentor_run::records::distillation::BaselineSummary;
use mentor_run::records::self_training::{DistilledSummary, Round, SelfTraining, Stage};
use mentor_run::{RunDir, SELF_TRAINING_FILE, Summary};

use super::labels::{Calibrated, predicted};
use super::places::{BASELINE, DISTILLED};
use super::stages::{Done, StageModel, Work};
use crate::engine::error::TrainError;
use crate::engine::outcome::Halt;
use crate::inference::model_file::ModelFile;
use crate::inference::trained_model::TrainedModel;

/// Files that are those of the final model's own run.
const COPIED: [&str; 3] = ["model.safetensors", "analysis.json", "metrics.jsonl"];

/// A model, and the classes it gives the samples that models are compared on.
struct Measured {
    place: String,
    stage: Stage,
    summary: Summary,
    classes: Vec<u32>,
}

impl Work<'_> {
    /// Writes the files of the complete run; `summary.json` last, because it marks the run complete.
    pub(super) fn end(&self, run_dir: &RunDir, done: Done) -> Result<Summary, Halt> {
        self.execution.go_on()?;
        let test = self.test()?;
        let compared = test.as_ref().unwrap_or(&self.images.val).clone();
        let mut measured = Vec::with_capacity(done.models.len());
        for model in done.models {
            let chosen = model.place == done.chosen;
            measured.push(self.measure(model, chosen, test.as_ref())?);
        }
        let Some(chosen) = measured.iter().find(|model| model.stage.chosen) else {
            unreachable!("the final model is one of the models")
        };
        let source = RunDir::open(&inside(self.out, Path::new(&done.chosen))?)?;
        for name in COPIED {
            run_dir.write(name, &source.read(name, u64::MAX)?)?;
        }
        let temperature = Calibrated::load(self, &done.chosen)?.temperature;
        ModelFile::copy(&source, run_dir, &Calibration { temperature, biases: Vec::new() })?;
        let summary = self.summarise(&measured, chosen, &compared, &done.rounds);
        run_dir.write_json(SELF_TRAINING_FILE, &self.describe_all(&measured, done.rounds, &summary))?;
        run_dir.adopt(&self.plan.to_config())?;
        run_dir.write_json("summary.json", &summary)?;
        Ok(summary)
    }

    /// The test split, which training has not seen.
    fn test(&self) -> Result<Option<Arc<Dataset>>, TrainError> {
        let source = Source::open(&self.plan.source, &self.plan.options)?;
        if !source.has(Split::Test) {
            return Ok(None);
        }
        Ok(Some(Arc::new(source.load(Split::Test)?)))
    }

    fn measure(
        &self,
        model: StageModel,
        chosen: bool,
        test: Option<&Arc<Dataset>>,
    ) -> Result<Measured, TrainError> {
        let StageModel { name, place, summary } = model;
        let run = inside(self.out, Path::new(&place))?;
        let trained = TrainedModel::load(&run, self.execution.device())?;
        let (batch_size, stop) = (self.plan.training.optimizer.batch_size, self.execution.stop());
        let (val, on_val) = trained.evaluate_until(&self.images.val, Split::Val, batch_size, stop)?;
        let on_test =
            test.map(|test| trained.evaluate_until(test, Split::Test, batch_size, stop)).transpose()?;
        let stage = Stage {
            name,
            architecture: trained.file.spec.architecture.clone(),
            num_params: trained.model.num_params(),
            steps: summary.steps,
            val_accuracy: val.accuracy,
            test_accuracy: on_test.as_ref().map(|(evaluation, _)| evaluation.accuracy),
            chosen,
        };
        let classes = predicted(&on_test.map_or(on_val, |(_, results)| results));
        Ok(Measured { place, stage, summary, classes })
    }

    fn summarise(
        &self,
        measured: &[Measured],
        chosen: &Measured,
        compared: &Dataset,
        rounds: &[Round],
    ) -> Summary {
        let at = |place: &str| measured.iter().find(|model| model.place == place);
        let baseline = at(BASELINE).map(|baseline| {
            let test = mcnemar(compared.targets(), &chosen.classes, &baseline.classes);
            BaselineSummary {
                measures: BTreeMap::new(),
                val_accuracy: Some(baseline.stage.val_accuracy),
                test_accuracy: baseline.stage.test_accuracy,
                only_student: test.only_first,
                only_baseline: test.only_second,
                p_value: test.p_value,
            }
        });
        let distilled = at(DISTILLED).map(|model| DistilledSummary {
            model: model.stage.architecture.clone(),
            num_params: model.stage.num_params,
            val_accuracy: Some(model.stage.val_accuracy),
            test_accuracy: model.stage.test_accuracy,
        });
        let mut rounds: Vec<_> = rounds.iter().map(|round| round.summary.clone()).collect();
        for round in &mut rounds {
            let student = at(&format!("round-{}/student", round.round));
            round.test_accuracy = student.and_then(|model| model.stage.test_accuracy);
        }
        let mut summary = chosen.summary.clone();
        summary.test_accuracy = chosen.stage.test_accuracy;
        summary.wall_secs = measured.iter().map(|model| model.summary.wall_secs).sum();
        (summary.baseline, summary.distilled, summary.rounds) = (baseline, distilled, rounds);
        summary
    }

    fn describe_all(&self, measured: &[Measured], mut rounds: Vec<Round>, summary: &Summary) -> SelfTraining {
        let last = rounds.len();
        for (round, of_summary) in rounds.iter_mut().zip(&summary.rounds) {
            round.summary = of_summary.clone();
            if round.summary.round != last {
                round.sheets.clear();
            }
        }
        let images = self.images;
        SelfTraining {
            method: self.self_train.method.to_string(),
            classes: images.taught.classes().to_vec(),
            num_labelled: images.taught.train.len(),
            num_canary: images.audit_set.len(),
            num_unlabelled: images.pool.len(),
            leaks: images.leaks.clone(),
            stages: measured.iter().map(|model| model.stage.clone()).collect(),
            rounds,
        }
    }
}
