//! The samples with the highest loss, with their pictures.

use mentor_run::records::analysis::HardSample;

use crate::drawing::html::{escape, figure, file_name, shorten};
use crate::drawing::numbers::{percent, value};
use crate::drawing::picture;
use crate::run::RunReport;

/// Shown at once; the others unfold.
const SHOWN: usize = 10;

/// Cards, worst first.
pub(crate) fn panel(run: &RunReport, samples: &[HardSample]) -> String {
    let cards: Vec<String> = samples.iter().map(|sample| card(run, sample)).collect();
    let (shown, folded) = cards.split_at(cards.len().min(SHOWN));
    let mut content = format!("<ul class=\"cards\">{}</ul>", shown.concat());
    if !folded.is_empty() {
        content += &format!(
            "<details><summary>{} more</summary><ul class=\"cards\">{}</ul></details>",
            folded.len(),
            folded.concat()
        );
    }
    let caption = "Each card says what the image is, what it was taken for, and how sure the model was: look \
                   here for wrong labels, damaged images and ambiguous ones.";
    figure("Samples with the highest loss", &content, caption)
}

fn card(run: &RunReport, sample: &HardSample) -> String {
    let target = run.class(sample.target as usize);
    let predicted = run.class(sample.predicted as usize);
    let alternative = escape(&format!("{target}, predicted {predicted}"));
    let image = picture::photo(&sample.picture).map_or_else(
        || "<span class=\"no-picture\">no picture</span>".to_owned(),
        |address| format!("<img class=\"pixels\" src=\"{address}\" alt=\"{alternative}\" loading=\"lazy\">"),
    );
    let verdict = if sample.target == sample.predicted {
        "<span class=\"right\">right, but unsure</span>".to_owned()
    } else {
        format!("taken for <b>{}</b>", escape(&shorten(&predicted, 24)))
    };
    format!(
        "<li>{image}<p><b>{}</b><br>{verdict}</p><dl><dt>sure</dt><dd>{}</dd><dt>loss</dt><dd>{}</dd>\
         </dl>{}</li>",
        escape(&shorten(&target, 24)),
        percent(sample.confidence),
        value(sample.loss),
        file_name(&sample.id)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn a_card_has_picture_target_prediction_confidence_and_loss() {
        let run = fixture::complete("run");
        let html = panel(&run, &fixture::analysis().hardest);
        assert!(html.contains("data:image/png;base64,"));
        assert!(html.contains("taken for <b>dog &amp; &quot;wolf&quot;</b>"), "{html}");
        assert!(html.contains("93.0\u{202f}%") && html.contains("4.210"));
        assert!(html.contains("<p class=\"file\">photos/&lt;script&gt;.png</p>"));
    }

    #[test]
    fn samples_beyond_the_first_unfold_and_a_bad_picture_is_said() {
        let run = fixture::complete("run");
        let mut sample = fixture::analysis().hardest.remove(0);
        sample.picture.pixels.clear();
        let html = panel(&run, &vec![sample; SHOWN + 2]);
        assert!(html.contains("<summary>2 more</summary>"));
        assert_eq!(html.matches("no picture").count(), SHOWN + 2);
    }
}
