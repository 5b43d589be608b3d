//! The lesson on few labels: what images without labels give back.

use mentor_run::Summary;

use super::lesson::Lesson;

pub(super) const LESSON: Lesson = Lesson {
    name: "self-train",
    story: "Now five labels a class; all others are taken away. A first teacher learns from the fifty, labels every other\n\
        image, and a student that sees them shifted, turned and with other contrast learns from both. It becomes the next\n\
        teacher, if it is better on the validation images. The same network on the fifty labels alone is the baseline.",
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
        " On the fifty labels alone the network is right on {:.1} % of them; with the others {:.1} %: {less:.0} % fewer errors.",
        100.0 * alone,
        100.0 * test
    ))
}
