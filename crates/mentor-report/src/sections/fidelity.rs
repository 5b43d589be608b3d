//! A student beside its teachers: how good, how large, how fast, and where they disagree.

use mentor_run::records::distillation::{
    BaselineSummary, Disagreement, Distillation, Measured, SPEED_BATCH, Speed,
};
use mentor_run::records::embedding_fidelity::{EmbeddingFidelity, MeasuredEmbeddings};

use crate::drawing::html::{escape, figure, file_name, shorten, wide};
use crate::drawing::numbers::{count, percent, percent_or_undefined, value};
use crate::drawing::picture;
use crate::run::RunReport;

/// Table and pictures.
pub(crate) fn panels(run: &RunReport, found: &Distillation) -> String {
    let mut html = table(found);
    if !found.disagreements.is_empty() {
        let cards: String = found.disagreements.iter().map(|sample| card(run, sample)).collect();
        let content = format!("<ul class=\"cards\">{cards}</ul>");
        let caption =
            "Images for which student and teachers predict different classes, the surest teachers first.";
        html += &figure("Where they disagree", &content, caption);
    }
    html
}

fn table(found: &Distillation) -> String {
    let rows: String = found.models.iter().map(row).collect();
    let content = format!(
        "<div \
         class=\"scroll\"><table><thead><tr><th>model</th><th>network</th><th>parameters</th>\
         <th>accuracy</th><th>one image</th>\
         <th>images a second</th></tr></thead><tbody>{rows}</tbody></table></div>"
    );
    let mut caption = format!(
        "Student and teachers agree on {} of the images; mean KL(teacher ‖ student) {} nats. Images a second \
         in batches of {SPEED_BATCH}.",
        percent(found.agreement),
        value(found.mean_kl)
    );
    if let Some(baseline) = &found.baseline {
        caption += &test(baseline);
    }
    figure("Fidelity", &content, &caption)
}

/// The table of models that give embeddings.
pub(crate) fn embeddings(found: &EmbeddingFidelity) -> String {
    let rows: String = found.models.iter().map(embedding_row).collect();
    let content = format!(
        "<div \
         class=\"scroll\"><table><thead><tr><th>model</th><th>network</th><th>parameters</th>\
         <th>dimensions</th><th>P@1</th>\
         <th>R-precision</th><th>MAP@R</th><th>one image</th><th>images a \
         second</th></tr></thead><tbody>{rows}</tbody></table></div>"
    );
    let mut caption = format!(
        "What the embeddings find among each other: precision at 1, R-precision and MAP@R. Images a second \
         in batches of {SPEED_BATCH}."
    );
    if let Some(baseline) = &found.baseline {
        caption += " Right is an image whose nearest other one is of its class.";
        caption += &test(baseline);
    }
    wide(&figure("Fidelity", &content, &caption))
}

fn embedding_row(model: &MeasuredEmbeddings) -> String {
    let (latency, rate) = speed(model.speed);
    let found = [model.precision_at_1, model.r_precision, model.map_at_r];
    let found: String =
        found.iter().map(|&share| format!("<td>{}</td>", percent_or_undefined(share))).collect();
    let name = name(&model.name);
    format!(
        "<tr>{name}<td>{}</td><td>{}</td><td>{}</td>{found}<td>{latency}</td><td>{rate}</td></tr>",
        escape(&model.architecture),
        count(model.num_params as u64),
        model.dim
    )
}

/// The heading of a row; a teacher's is a path, which may be long.
fn name(name: &str) -> String {
    format!("<th scope=\"row\" title=\"{}\">{}</th>", escape(name), escape(&shorten(name, 20)))
}

/// The student against the baseline, in a sentence.
fn test(baseline: &BaselineSummary) -> String {
    format!(
        " Only the student has {} right, only the baseline {}: McNemar's p = {}.",
        count(baseline.only_student),
        count(baseline.only_baseline),
        value(baseline.p_value)
    )
}

/// Time of one image, and images a second.
fn speed(speed: Option<Speed>) -> (String, String) {
    speed.map_or((String::new(), String::new()), |speed| {
        (format!("{} ms", value(1e3 * speed.latency_secs)), count(speed.images_per_sec as u64))
    })
}

fn row(model: &Measured) -> String {
    let (latency, rate) = speed(model.speed);
    let name = name(&model.name);
    format!(
        "<tr>{name}<td>{}</td><td>{}</td><td>{}</td><td>{latency}</td><td>{rate}</td></tr>",
        escape(&model.architecture),
        count(model.num_params as u64),
        model.accuracy.map_or(String::new(), percent)
    )
}

fn card(run: &RunReport, sample: &Disagreement) -> String {
    let name = |class: u32| escape(&shorten(&run.class(class as usize), 24));
    let (student, teacher) = (name(sample.student), name(sample.teacher));
    let image = picture::photo(&sample.picture).map_or_else(
        || "<span class=\"no-picture\">no picture</span>".to_owned(),
        |address| {
            format!(
                "<img class=\"pixels\" src=\"{address}\" alt=\"teacher {teacher}, student {student}\" \
                     loading=\"lazy\">"
            )
        },
    );
    let target = sample.target.map_or(String::new(), |target| format!("<b>{}</b><br>", name(target)));
    format!(
        "<li>{image}<p>{target}teacher {teacher}<br>student {student}</p><dl><dt>teacher sure</dt><dd>{}</dd>\
         <dt>student sure</dt><dd>{}</dd></dl>{}</li>",
        percent(sample.teacher_confidence),
        percent(sample.student_confidence),
        file_name(&sample.id)
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::fixture;
    use mentor_run::records::Picture;

    pub(crate) fn found() -> Distillation {
        let measured = |name: &str, speed| Measured {
            name: name.to_owned(),
            architecture: "mlp:8".to_owned(),
            num_params: 1234,
            accuracy: Some(0.5),
            speed,
        };
        Distillation {
            split: "val".to_owned(),
            num_samples: 40,
            agreement: 0.75,
            mean_kl: 0.125,
            models: vec![
                measured("student", Some(Speed { latency_secs: 0.002, images_per_sec: 5000.0 })),
                measured("runs/<big>", None),
            ],
            teacher_accuracy: Some(0.5),
            baseline: Some(BaselineSummary {
                val_accuracy: Some(0.5),
                test_accuracy: None,
                only_student: 7,
                only_baseline: 2,
                p_value: 0.18,
                measures: Default::default(),
            }),
            disagreements: vec![Disagreement {
                id: "a.png".to_owned(),
                target: Some(0),
                student: 1,
                teacher: 0,
                teacher_confidence: 0.9,
                student_confidence: 0.6,
                picture: Picture { channels: 1, height: 2, width: 2, pixels: "AAECAw==".to_owned() },
            }],
        }
    }

    #[test]
    fn the_panel_has_models_agreement_test_and_pictures() {
        let html = panels(&fixture::complete("run"), &found());
        assert!(html.starts_with("<figure class=\"panel\"><h3>Fidelity</h3><div class=\"scroll\"><table>"));
        for part in [
            "runs/&lt;big&gt;",
            "2.0000 ms",
            "75.0",
            "has 7 right",
            "data:image/png",
            "student dog &amp;",
            ">a.png</p>",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
    }

    pub(crate) fn embedded() -> EmbeddingFidelity {
        let model = MeasuredEmbeddings {
            name: "runs/2026-11/faces/resnet-18".to_owned(),
            architecture: "cnn".to_owned(),
            num_params: 1234,
            dim: 32,
            precision_at_1: Some(0.9),
            r_precision: Some(0.8),
            map_at_r: Some(0.75),
            speed: None,
        };
        EmbeddingFidelity { split: "val".to_owned(), num_samples: 40, models: vec![model], baseline: None }
    }

    #[test]
    fn the_wide_table_of_embeddings_scrolls_in_a_wide_panel() {
        let html = embeddings(&embedded());
        assert!(
            html.starts_with("<figure class=\"panel span\"><h3>Fidelity</h3><div class=\"scroll\"><table>"),
            "{html}"
        );
        assert!(
            html.contains(
                "title=\"runs/2026-11/faces/resnet-18\">runs/2026-…resnet-18</th><td>cnn</td>\
                           <td>1,234</td><td>32</td>"
            ),
            "{html}"
        );
    }
}
