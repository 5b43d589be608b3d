//! The demo's student: a tiny network that is distilled from the convolutional one, and the same network from
//! scratch.

use std::path::{Path, PathBuf};

use mentor_run::DistillConfig;

use super::lesson::Lesson;

/// The teacher is the demo's `cnn`, the twin is in `student/baseline`.
pub(super) const STUDENT: Lesson = Lesson {
    name: "student",
    story: "A network of 16 hidden units learns from the convolutional one: not only which digit an image \
            is, but how\n\
        much it looks like each other digit. Its twin has the same first weights and the same images, and \
            labels alone.",
    config: "
        data.source = 'digits'
        model.name = 'mlp:16'
        optimizer.batch_size = 32
        optimizer.learning_rate = 0.02
        training.epochs = 40
    ",
};

/// What the student learns, of the demo in `out`.
pub(super) fn distillation(out: &Path) -> DistillConfig {
    DistillConfig {
        teachers: vec![out.join("cnn")],
        temperature: Some(4.0),
        soft_weight: Some(0.9),
        hard_weight: Some(0.1),
        ..DistillConfig::default()
    }
}

/// Directory of the student's twin.
pub(super) fn twin(out: &Path) -> PathBuf {
    out.join(STUDENT.name).join("baseline")
}
