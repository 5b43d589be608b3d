//! Calibration: is the model right as often as it says?

use std::fmt::Write;

use mentor_metrics::classification::{CalibrationBin, Evaluation};
use mentor_metrics::wilson_interval;

use crate::drawing::axis::Axis;
use crate::drawing::html::{Key, figure, legend};
use crate::drawing::numbers::{count, counted, percent, value};
use crate::drawing::svg::{Coordinate, Place, Plot, WIDTH, Words, open, word_width};

/// Where the plot's own x axis begins and ends, so that the bars below stand under their dots.
const LEFT: f64 = 56.0;
const RIGHT: f64 = 16.0;
const STRIP: f64 = 74.0;
/// A bin with fewer samples says little: its dot is hollow.
const FEW: u64 = 10;
/// With fewer samples in all, the calibration error is mostly chance.
pub(crate) const FEW_IN_ALL: usize = 100;

/// The reliability diagram of the raw scores, with the number of samples in each bin; `temperature` is the
/// one that calibration has stored beside them.
pub(crate) fn panel(evaluation: &Evaluation, loss: &str, temperature: Option<f64>, id: &str) -> String {
    let bins = &evaluation.calibration;
    let mut plot = Plot::new(Axis::all_shares("confidence"), Axis::all_shares("share right"));
    plot.segment("diagonal", (0.0, 0.0), (1.0, 1.0));
    let filled = filled(bins);
    for bin in &filled {
        let num_right = (bin.accuracy * bin.num_samples as f64).round() as u64;
        let interval = wilson_interval(num_right.min(bin.num_samples), bin.num_samples, 0.95);
        plot.segment("interval", (bin.confidence, interval.low), (bin.confidence, interval.high));
    }
    let solid = filled.iter().filter(|bin| bin.num_samples >= FEW);
    plot.line("train thin", &solid.map(|bin| (bin.confidence, bin.accuracy)).collect::<Vec<_>>());
    for bin in &filled {
        let tooltip = format!(
            "confidence {}, right {}, {}",
            percent(bin.confidence),
            percent(bin.accuracy),
            counted(bin.num_samples, "sample", "samples")
        );
        let class = if bin.num_samples < FEW { "train few" } else { "train" };
        plot.dot(class, (bin.confidence, bin.accuracy), 4.5, Some(&tooltip));
    }
    let finding = finding(evaluation);
    let ece = percent(evaluation.ece);
    let description = format!("The expected calibration error is {ece}; {finding}.");
    let svg = plot.finish(&Words {
        id: &format!("{id}-calibration"),
        title: "Calibration",
        description: &description,
    });
    let keys = [
        Key { class: "train dot", label: "accuracy of a bin, 95\u{202f}% interval" },
        Key { class: "train few", label: "of fewer than 10 samples" },
        Key { class: "diagonal dashed", label: "as sure as right" },
    ];
    let origin = if loss == "softmax" {
        String::new()
    } else {
        " (of the softmax of the scores, which this loss does not train to be probabilities)".to_owned()
    };
    let stored = temperature.map_or(String::new(), |temperature| {
        format!(
            " These are the scores as they were trained; the model has been calibrated since, with \
             temperature <b>{}</b>, and <code>mentor eval</code> and <code>predict</code> answer with it.",
            value(temperature)
        )
    });
    let caption = format!(
        "Of the samples to which the model gave, say, 80\u{202f}% confidence{origin}, 80\u{202f}% should be \
         right: dots below the diagonal are over-confident; here the expected calibration error (ECE) is {}; \
         {finding}.{stored}",
        if evaluation.num_samples < FEW_IN_ALL { ece } else { format!("<b>{ece}</b>") }
    );
    figure("Calibration", &(legend(&keys) + &svg + &strip(bins, id)), &caption)
}

/// A bin that has samples.
struct Filled {
    num_samples: u64,
    confidence: f64,
    accuracy: f64,
}

fn filled(bins: &[CalibrationBin]) -> Vec<Filled> {
    let filled = bins.iter().filter(|bin| bin.num_samples > 0).filter_map(|bin| {
        Some(Filled { num_samples: bin.num_samples, confidence: bin.confidence?, accuracy: bin.accuracy? })
    });
    filled.collect()
}

/// In which direction confidence errs on average, if there are images enough to tell.
fn finding(evaluation: &Evaluation) -> String {
    if evaluation.num_samples < FEW_IN_ALL {
        return format!(
            "{} are too few to tell overconfidence from underconfidence",
            counted(evaluation.num_samples as u64, "image", "images")
        );
    }
    let bins = filled(&evaluation.calibration);
    let total: u64 = bins.iter().map(|bin| bin.num_samples).sum();
    let excess: f64 =
        bins.iter().map(|bin| (bin.confidence - bin.accuracy) * bin.num_samples as f64 / total as f64).sum();
    let lean = match excess {
        excess if excess > 0.01 => "over-confident",
        excess if excess < -0.01 => "under-confident",
        _ => "neither over- nor under-confident",
    };
    format!("the model is {lean} on average")
}

/// Bars with the number of samples of each bin.
fn strip(bins: &[CalibrationBin], id: &str) -> String {
    let most = bins.iter().map(|bin| bin.num_samples).max().unwrap_or(0).max(1) as f64;
    let width = (WIDTH - LEFT - RIGHT) / bins.len().max(1) as f64;
    let description: Vec<String> = bins.iter().map(|bin| count(bin.num_samples)).collect();
    let description = format!("From the lowest to the highest confidence: {}.", description.join(", "));
    let words = Words {
        id: &format!("{id}-bins"),
        title: "Samples in each bin of confidence",
        description: &description,
    };
    let mut svg = open(&words, WIDTH, STRIP, "plot strip");
    let _ = write!(svg, "<text class=\"label\" x=\"0\" y=\"11\">samples</text>");
    let mut last = Place { left: 0.0, right: word_width("samples"), y: 11.0 };
    for (index, bin) in bins.iter().enumerate() {
        // A bar that is not empty can be seen.
        let height = if bin.num_samples == 0 {
            0.0
        } else {
            (bin.num_samples as f64 / most * (STRIP - 30.0)).max(1.5)
        };
        let x = LEFT + index as f64 * width;
        let _ = write!(
            svg,
            "<rect class=\"bar faint\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>{}</title></rect>",
            Coordinate(x + 0.5),
            Coordinate(STRIP - 1.0 - height),
            Coordinate(width - 1.0),
            Coordinate(height),
            counted(bin.num_samples, "sample", "samples")
        );
        let (word, middle, y) = (short_count(bin.num_samples), x + width / 2.0, STRIP - 5.0 - height);
        let half = word_width(&word) / 2.0;
        let place = Place { left: middle - half, right: middle + half, y };
        // A count without room beside the last one is in the bar's tooltip.
        if bin.num_samples > 0 && !place.meets(&last) {
            last = place;
            let _ = write!(
                svg,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{word}</text>",
                Coordinate(middle),
                Coordinate(y),
            );
        }
    }
    let (y, right) = (Coordinate(STRIP - 0.5), Coordinate(WIDTH - RIGHT));
    let _ = write!(svg, "<line class=\"axis\" x1=\"{LEFT}\" y1=\"{y}\" x2=\"{right}\" y2=\"{y}\"/></svg>");
    svg
}

/// A count that fits above a bar: `950`, `1.2k`, `60k`.
fn short_count(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        1_000..10_000 => format!("{:.1}k", number as f64 / 1e3),
        10_000..1_000_000 => format!("{:.0}k", number as f64 / 1e3),
        _ => format!("{:.0}M", number as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn the_direction_of_the_error_is_said() {
        let mut evaluation = fixture::analysis().evaluation;
        evaluation.num_samples = 100;
        let bin = |confidence, accuracy| {
            vec![CalibrationBin { num_samples: 10, confidence: Some(confidence), accuracy: Some(accuracy) }]
        };
        evaluation.calibration = bin(0.9, 0.7);
        assert!(panel(&evaluation, "softmax", None, "r").contains("is over-confident"));
        evaluation.calibration = bin(0.6, 0.8);
        let html = panel(&evaluation, "softmax", Some(1.5), "r");
        assert!(html.contains("is under-confident") && html.contains("temperature <b>1.5"), "{html}");
        evaluation.calibration = Vec::new();
        assert!(!panel(&evaluation, "svm", None, "r").contains("NaN"));
    }

    #[test]
    fn few_images_say_nothing_of_calibration_and_are_not_bold() {
        let mut evaluation = fixture::analysis().evaluation;
        evaluation.num_samples = 15;
        let html = panel(&evaluation, "softmax", None, "r");
        assert!(html.contains("is 3.1\u{202f}%; 15\u{a0}images are too few"), "{html}");
        assert!(!html.contains("<b>3.1") && !html.contains("-confident on average"), "{html}");
        evaluation.num_samples = 100;
        let html = panel(&evaluation, "softmax", None, "r");
        assert!(html.contains("<b>3.1\u{202f}%</b>; the model is"), "{html}");
    }

    #[test]
    fn counts_of_bins_do_not_touch() {
        let bins =
            vec![CalibrationBin { num_samples: 123_456, confidence: Some(0.5), accuracy: Some(0.5) }; 15];
        let drawn = strip(&bins, "r");
        assert_eq!((drawn.matches("123k</text>").count(), drawn.matches("123,456").count()), (7, 30));
    }

    #[test]
    fn long_counts_are_shortened() {
        assert_eq!([950, 1_234, 59_600, 2_000_000].map(short_count), ["950", "1.2k", "60k", "2M"]);
    }
}
