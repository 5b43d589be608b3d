//! What is worth knowing of the data before training begins.

use mentor_data::{BadImage, Note, SplitBy};
use mentor_run::RunDir;

use crate::engine::error::TrainError;
use crate::engine::execution::Execution;
use crate::engine::training_data::{TrainingData, quarantined};
use crate::plan::loss::LossPlan;
use crate::plan::{Plan, Recipe};

/// Says, once a run, what is worth knowing of its data, and lists the images that were left out.
pub(super) fn tell_of_data(
    plan: &Plan,
    data: &TrainingData,
    run_dir: &RunDir,
    execution: &Execution<'_>,
) -> Result<(), TrainError> {
    data.notes.iter().for_each(|note| execution.warn(note.to_string()));
    if plan.training.patience.is_some() && data.val.is_none() {
        let text = "--patience has no effect, because there is no validation split; set --val-fraction";
        execution.warn(text.to_owned());
    }
    if let Some(advice) = advice_on_photographs(plan, data) {
        execution.warn(advice);
    }
    if plan.options.split_by == SplitBy::Class && matches!(plan.loss, LossPlan::Scores(_)) {
        let text = "--split-by class gives validation and test classes that a classifier never learns, so \
                    that its accuracy there is 0 and chooses no weights; it is for embeddings (--loss \
                    triplet, or mentor eval --retrieval)";
        execution.warn(text.to_owned());
    }
    if plan.options.on_bad_image == BadImage::Quarantine {
        run_dir.write("quarantine.txt", quarantined(&data.notes).as_bytes())?;
    }
    Ok(())
}

/// What would serve photographs better, and what pictures that a network sees as single pixels.
fn advice_on_photographs(plan: &Plan, data: &TrainingData) -> Option<String> {
    let [channels, height, width] = data.input();
    let resized = data.notes.iter().any(|note| matches!(note, Note::Resized { .. }));
    if matches!(plan.recipe, Recipe::Frozen(_) | Recipe::FineTune(_)) {
        return None;
    }
    let pixels = (plan.architecture.is_dense() && (channels > 1 || resized)).then(|| {
        format!(
            "{} is trained on single pixels of {height}x{width} images; for photographs --model cnn with \
             --size 64x64 or more is better",
            plan.architecture
        )
    });
    let backbone = (data.photographs && plan.recipe == Recipe::Labels).then(|| {
        "for photographs the features of a pretrained network are better by far: --backbone FILE; mentor \
         backbones lists networks and where their weights are"
            .to_owned()
    });
    let sentences: Vec<String> = pixels.into_iter().chain(backbone).collect();
    (!sentences.is_empty()).then(|| sentences.join("; "))
}
