//! Self-training: its models, its rounds, the audit of the labels, and the images behind them.

use mentor_metrics::pseudo_labels::audit::ClassAudit;
use mentor_run::records::Picture;
use mentor_run::records::self_training::{LabelledPicture, Round, SelfTraining, Stage};

use crate::drawing::chart::{Chart, Series, draw, shares};
use crate::drawing::html::{escape, figure, file_name, more_classes, shorten, wide};
use crate::drawing::numbers::{count, percent, value};
use crate::drawing::sheet::Sheet;
use crate::run::RunReport;

/// The two-sided level of the intervals that are drawn.
const LEVEL: f64 = 0.95;

/// Tables, curves and pictures.
pub(crate) fn panels(run: &RunReport, found: &SelfTraining, id: &str) -> String {
    let mut html = stages(run, found) + &curve(found, id);
    if let Some(last) = found.rounds.last() {
        html += &wide(&rounds(found));
        html += &wide(&classes(found, last));
        html += &pictures(found, last, id);
    }
    html
}

fn optional(share: Option<f64>) -> String {
    share.map_or("–".to_owned(), percent)
}

fn stages(run: &RunReport, found: &SelfTraining) -> String {
    let row = |stage: &Stage| {
        let name = escape(&stage.name);
        let name = if stage.chosen { format!("<b>{name}</b>") } else { name };
        format!(
            "<tr><th>{name}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(&stage.architecture),
            count(stage.num_params as u64),
            count(stage.steps),
            percent(stage.val_accuracy),
            optional(stage.test_accuracy)
        )
    };
    let content = format!(
        "<div \
         class=\"scroll\"><table><thead><tr><th>model</th><th>network</th><th>parameters</th>\
         <th>updates</th><th>validation</th>\
         <th>test</th></tr></thead><tbody>{}</tbody></table></div>",
        found.stages.iter().map(row).collect::<String>()
    );
    let mut caption = format!(
        "{}: {} labelled images, {} more as an audit set that nobody trains on, {} images without labels. \
         The final model is bold; the test split was opened once, at the end.",
        escape(&found.method),
        count(found.num_labelled as u64),
        count(found.num_canary as u64),
        count(found.num_unlabelled as u64)
    );
    if let Some(baseline) = run.summary.as_ref().and_then(|summary| summary.baseline.as_ref()) {
        caption += &format!(
            " Only the final model has {} right, only the baseline {}: McNemar's p = {}.",
            count(baseline.only_student),
            count(baseline.only_baseline),
            value(baseline.p_value)
        );
    }
    let leaks = &found.leaks;
    caption += &format!(
        " Of {} images offered without labels {} were copies of others and left out, {} showed the picture \
         of a validation, test or audit image and were {}.",
        count(leaks.num_offered as u64),
        count(leaks.num_exact as u64),
        count(leaks.num_near as u64),
        if leaks.kept { "kept as asked" } else { "left out" }
    );
    figure("Models", &content, &caption)
}

/// Accuracy from the teacher on, and the audit set's precision.
fn curve(found: &SelfTraining, id: &str) -> String {
    let of = |name: &str| found.stages.iter().find(|stage| stage.name == name);
    let stage = |round: usize| if round == 0 { of("teacher") } else { of(&format!("round {round}")) };
    let points = |value: fn(&Stage) -> Option<f64>| -> Vec<(f64, f64)> {
        (0..=found.rounds.len())
            .filter_map(|round| Some((round as f64, stage(round).and_then(value)?)))
            .collect()
    };
    // The first round's labels are the first teacher's; each round then audits its own student.
    let first =
        found.rounds.first().and_then(|round| Some((0.0, round.audit.as_ref()?.overall().precision()?)));
    let audits = found.rounds.iter().filter_map(|round| {
        Some((round.summary.round as f64, round.student_audit.as_ref()?.overall().precision()?))
    });
    let chart = Chart {
        id: format!("{id}-rounds"),
        heading: "Round by round",
        y: shares,
        y_label: "share right",
        series: vec![
            Series::line("val", "validation accuracy", points(|stage| Some(stage.val_accuracy))),
            Series::line("train dashed", "test accuracy", points(|stage| stage.test_accuracy)),
            Series::line(
                "penalty dotted",
                "precision on the audit set",
                first.into_iter().chain(audits).collect(),
            ),
        ],
        keys: None,
        mark: None,
        caption: "Round 0 is the first teacher. A student with no more validation images right than its \
                  teacher, or whose labels fall out of the audit set's interval, is rolled back, and the \
                  next one learns from the same teacher."
            .to_owned(),
    };
    draw(chart, "round", found.rounds.len() as f64)
}

fn rounds(found: &SelfTraining) -> String {
    let row = |round: &Round| {
        let summary = &round.summary;
        format!(
            "<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.2}</td><td>{}</td>\
             <td>{}</td><td>{}</td><td>{}</td>\
             <td class=\"meaning\"><b>{}</b>: {}</td></tr>",
            summary.round,
            percent(round.teacher_val_accuracy),
            optional(summary.val_accuracy),
            count(summary.num_pseudo_labels),
            percent(round.selection.kept_share),
            round.selection.duplication,
            percent(summary.mean_confidence),
            optional(summary.audit_precision),
            percent(round.drift),
            optional(round.changed),
            if summary.accepted { "accepted" } else { "rolled back" },
            escape(&summary.reason)
        )
    };
    let content = format!(
        "<div \
         class=\"scroll\"><table><thead><tr><th>round</th><th>teacher</th><th>student</th>\
         <th>pseudo-labels</th><th>kept</th>\
         <th>copies</th><th>confidence</th><th>audit</th><th>drift</th><th>changed</th><th \
         class=\"text\">verdict</th></tr></thead>\
         <tbody>{}</tbody></table></div>",
        found.rounds.iter().map(row).collect::<String>()
    );
    figure(
        "Rounds",
        &content,
        "Teacher and student on validation; kept: the share of the unlabelled images that is chosen; copies: \
         how often one is seen in an epoch; audit: the share of the audit set's labels that is right; drift: \
         the share of labels that would have to change for the \
         classes to be as frequent as among the labels; changed: labels that differ from the last round's.",
    )
}

fn classes(found: &SelfTraining, last: &Round) -> String {
    let nothing = ClassAudit::default();
    let audited = |class: usize| {
        last.audit.as_ref().map_or(&nothing, |audit| audit.classes.get(class).unwrap_or(&nothing))
    };
    let row = |(class, of_class): (usize, &mentor_metrics::pseudo_labels::ClassStatistics)| {
        let audit = audited(class);
        format!(
            "<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td><td>{:.2}</td><td>{}</td><td>{}</td><td>{} of \
             {}</td><td>{}</td><td>{}</td></tr>",
            escape(&shorten(found.classes.get(class).map_or("", String::as_str), 24)),
            count(of_class.num_predicted),
            count(of_class.num_confident),
            count(of_class.num_chosen),
            of_class.duplication,
            percent(of_class.mean_confidence),
            percent(of_class.lowest_confidence),
            audit.num_correct,
            audit.num_labelled,
            optional(audit.precision()),
            range(audit)
        )
    };
    let content = format!(
        "<div class=\"scroll\"><table><thead><tr><th>class</th><th>labelled \
         so</th><th>confident</th><th>chosen</th><th>copies</th>\
         <th>confidence</th><th>lowest</th><th>audited right</th><th>precision</th><th>95&nbsp;% \
         interval</th></tr></thead><tbody>{}</tbody>\
         </table></div>",
        last.selection.classes.iter().enumerate().map(row).collect::<String>()
    );
    let caption = format!(
        "Labels of round {}. The precision is that of the audit set's labels, with Wilson's interval: a bar \
         over the whole width says that the audit set is too small to tell.",
        last.summary.round
    );
    figure("Labels and audit, class by class", &content, &caption)
}

/// The interval as a bar from 0 to 1, the precision as a dot.
fn range(audit: &ClassAudit) -> String {
    let interval = audit.interval(LEVEL);
    let dot = audit.precision().map_or(String::new(), |precision| {
        format!("<circle class=\"dot train\" cx=\"{:.2}\" cy=\"6\" r=\"3.5\"/>", 4.0 + 112.0 * precision)
    });
    format!(
        "<svg class=\"range\" viewBox=\"0 0 120 12\" role=\"img\" aria-label=\"from {:.2} to {:.2}\"><rect \
         class=\"cell none\" x=\"4\" y=\"4\" \
         width=\"112\" height=\"4\"/><rect class=\"bar train\" x=\"{:.2}\" y=\"4\" width=\"{:.2}\" \
         height=\"4\"/>{dot}</svg>",
        interval.low,
        interval.high,
        4.0 + 112.0 * interval.low,
        112.0 * (interval.high - interval.low)
    )
}

fn pictures(found: &SelfTraining, last: &Round, id: &str) -> String {
    let all: Vec<Picture> = last
        .sheets
        .iter()
        .flat_map(|sheet| sheet.most.iter().chain(&sheet.least))
        .map(|shown| shown.picture.clone())
        .collect();
    if all.is_empty() {
        return String::new();
    }
    let sheet = Sheet::new(&all, &format!("{id}-labels"));
    let mut next = 0;
    let mut rows = String::new();
    for of_class in &last.sheets {
        let name =
            escape(&shorten(found.classes.get(of_class.class as usize).map_or("", String::as_str), 24));
        rows += &format!("<li><div class=\"query\"><b>{name}</b><p>most confident, then least</p></div>");
        let mut show = |shown: &LabelledPicture| {
            let label = format!("{}, {}", shown.id, percent(shown.confidence));
            let picture = sheet.show(Some(next), &label);
            next += 1;
            format!("<div title=\"{}\">{picture}<p>{}</p></div>", escape(&label), percent(shown.confidence))
        };
        rows += &of_class.most.iter().map(&mut show).collect::<String>();
        rows += &of_class.least.iter().map(&mut show).collect::<String>();
        let files = of_class.most.iter().chain(&of_class.least).map(|shown| file_name(&shown.id));
        let files: String = files.collect();
        rows += &format!("<details class=\"files\"><summary>file names</summary>{files}</details></li>");
    }
    let more = more_classes(found.classes.len().saturating_sub(last.sheets.len()));
    let content = format!("{}<ul class=\"found\">{rows}</ul>{more}", sheet.html);
    let caption = format!(
        "Images that the student of round {} learnt from, with the confidence of their label: five of the \
         most and five of the least confident of each class. Wrong labels of high confidence harm the \
         student most. Wrong labels of low confidence mean that the threshold is low.",
        last.summary.round
    );
    wide(&figure("Pseudo-labelled images", &content, &caption))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::fixture;
    use crate::tests::assert_sound;
    use mentor_metrics::pseudo_labels::audit::Audit;
    use mentor_metrics::pseudo_labels::{ClassStatistics, SelectionStatistics};
    use mentor_run::records::self_training::{ClassSheet, Leaks, RoundSummary};

    pub(crate) fn found() -> SelfTraining {
        let stage = |name: &str, chosen| Stage {
            name: name.to_owned(),
            architecture: "cnn".to_owned(),
            num_params: 1234,
            steps: 60,
            val_accuracy: 0.75,
            test_accuracy: Some(0.5),
            chosen,
        };
        let mut audit = Audit::new(2);
        (0..4).for_each(|index| audit.push(0, Some(u32::from(index == 3))));
        let picture = Picture { channels: 1, height: 2, width: 2, pixels: "AAECAw==".to_owned() };
        let shown = LabelledPicture { id: "<a>.png".to_owned(), confidence: 0.9, picture };
        let of_class =
            ClassStatistics { num_predicted: 7, num_chosen: 5, num_rows: 10, ..Default::default() };
        SelfTraining {
            method: "noisy-student".to_owned(),
            classes: vec!["cat <b>".to_owned(), "dog".to_owned()],
            num_labelled: 8,
            num_canary: 4,
            num_unlabelled: 99,
            leaks: Leaks { num_offered: 105, num_exact: 4, num_near: 2, ..Leaks::default() },
            stages: vec![stage("teacher", false), stage("round 1", true)],
            rounds: vec![Round {
                summary: RoundSummary {
                    round: 1,
                    val_accuracy: Some(0.75),
                    test_accuracy: Some(0.5),
                    num_pseudo_labels: 10,
                    mean_confidence: 0.9,
                    audit_precision: Some(0.75),
                    p_value: Some(0.02),
                    accepted: true,
                    reason: "validation <accuracy>".to_owned(),
                },
                teacher: "teacher".to_owned(),
                teacher_val_accuracy: 0.7,
                temperature: 1.5,
                selection: SelectionStatistics { classes: vec![of_class; 2], ..Default::default() },
                drift: 0.1,
                changed: None,
                audit: Some(audit),
                student_audit: None,
                alarms: Vec::new(),
                sheets: vec![ClassSheet { class: 0, most: vec![shown.clone()], least: vec![shown] }],
            }],
        }
    }

    #[test]
    fn the_panels_have_models_rounds_audit_and_pictures() {
        let run = RunReport { self_training: Some(found()), ..fixture::complete("run") };
        let html = crate::render(&[run]);
        for part in [
            "Self-training",
            "<b>round 1</b>",
            "105 images offered",
            "<b>accepted</b>: validation &lt;accuracy&gt;",
            "cat &lt;b&gt;",
            "3 of 3",
            "class=\"range\"",
            "Pseudo-labelled images",
            "<p class=\"file\">&lt;a&gt;.png</p>",
            // Of two classes one has pictures.
            "1 more class is not shown",
        ] {
            assert!(html.contains(part), "{part}");
        }
        assert_sound(&html);
    }

    #[test]
    fn lees_method_has_models_alone() {
        let html = panels(&fixture::complete("run"), &SelfTraining { rounds: Vec::new(), ..found() }, "r1");
        assert!(html.contains("<h3>Models</h3>") && !html.contains("<h3>Rounds</h3>"));
    }
}
