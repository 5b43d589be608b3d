//! The part of the demo on few labels: self-training on unlabelled images.

use mentor_run::Summary;

use super::lesson::Lesson;

pub(super) const LESSON: Lesson = Lesson {
    name: "self-train",
    story: "Five labels of each class are kept; all others are hidden. A first teacher learns from the fifty \
            and labels all\nother images. A student learns from both, with shifted, rotated and recoloured \
            images. It becomes the next\nteacher, if it is better on the validation images. The same network \
            on the fifty labels alone is the baseline.",
    config: "
        data.source = 'digits'
        self_train.labels_per_class = 5
        self_train.rounds = 2
    ",
};

/// Beside the baseline; nothing of other lessons.
pub(super) fn compare(summary: &Summary) -> Option<String> {
    let (test, baseline) = (summary.test_accuracy?, summary.baseline.as_ref()?);
    let alone = baseline.test_accuracy?;
    let less = if alone < 1.0 { 100.0 * (1.0 - (1.0 - test) / (1.0 - alone)) } else { 0.0 };
    Some(format!(
        " On the fifty labels alone the network is right on {:.1} % of them; with the others {:.1} %: \
         {less:.0} % fewer errors.",
        100.0 * alone,
        100.0 * test
    ))
}
