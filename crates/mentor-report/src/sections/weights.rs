//! The weights: the rows of a linear model as pictures, and the histogram of all of them.

use mentor_run::records::analysis::{Histogram, WeightImage};

use crate::drawing::axis::Axis;
use crate::drawing::html::{Key, escape, figure, legend, more_classes, shorten};
use crate::drawing::numbers::{count, percent, value};
use crate::drawing::picture;
use crate::drawing::svg::{End, Plot, Words};
use crate::run::RunReport;

/// Rows shown: beyond this the pictures are too many to compare by eye.
const MAX_ROWS: usize = 40;
/// Share of the weights that the colours span; the few beyond would wash out all others.
const SPANNED: f64 = 0.995;

/// One picture a class, all on one scale.
pub(crate) fn rows(run: &RunReport, images: &[WeightImage]) -> String {
    let scale = scale(images);
    let row = |image: &WeightImage| {
        let name = run.class(image.class);
        let address = picture::weights(image, scale)?;
        Some(format!(
            "<li><img class=\"pixels\" src=\"{address}\" alt=\"weights of class {0}\"><p>{1}</p></li>",
            escape(&name),
            escape(&shorten(&name, 18))
        ))
    };
    let items: String = images.iter().take(MAX_ROWS).filter_map(row).collect();
    let extent = value(f64::from(scale));
    let colour = images.iter().any(|image| image.channels == 3);
    let key = if colour {
        format!(
            "<p class=\"scale\">mid-gray is 0; darkest −{extent}, brightest +{extent}, channel by channel</p>"
        )
    } else {
        format!(
            "<p class=\"scale\"><span>−{extent}</span><i class=\"ramp\" \
             aria-hidden=\"true\"></i><span>+{extent}</span></p>"
        )
    };
    let class = if images.len() > 12 { "rows many" } else { "rows" };
    let num_classes = run.analysis.as_ref().map_or(0, |analysis| analysis.evaluation.per_class.len());
    let more = more_classes(num_classes.max(images.len()).saturating_sub(MAX_ROWS));
    let reading = if colour {
        "Each row of W is a template that is multiplied with an image: bright pixels raise the score of the \
         class, dark ones lower it"
    } else {
        "Each row of W is a template that is multiplied with an image: bright pixels raise the score of the \
         class on orange and lower it on blue"
    };
    let caption = format!(
        "{reading}; speckle instead of shapes is noise that was learned, and a stronger penalty smooths it."
    );
    figure("Weights of each class", &format!("<ul class=\"{class}\">{items}</ul>{key}{more}"), &caption)
}

/// The size of weight at which the colours saturate.
fn scale(images: &[WeightImage]) -> f32 {
    let mut sizes: Vec<f32> = images
        .iter()
        .flat_map(|image| &image.values)
        .map(|value| value.abs())
        .filter(|size| size.is_finite())
        .collect();
    sizes.sort_by(f32::total_cmp);
    // A position in the list, so the cast cannot leave it.
    let spanned =
        sizes.get((sizes.len().saturating_sub(1) as f64 * SPANNED) as usize).copied().unwrap_or(0.0);
    // Where nearly all are zero, the largest.
    if spanned > 0.0 { spanned } else { sizes.last().copied().unwrap_or(0.0) }
}

/// The histogram of the penalised weights.
pub(crate) fn histogram(histogram: &Histogram, penalty: (f64, f64), id: &str) -> String {
    let Histogram { low, high, counts, num_zero, num_weights, rms } = histogram;
    let width = (high - low) / counts.len().max(1) as f64;
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let mut plot =
        Plot::new(Axis::between("weight", *low, *high), Axis::linear("weights", [0.0, most as f64]));
    for (index, &number) in counts.iter().enumerate() {
        let (from, to) = (low + index as f64 * width, low + (index as f64 + 1.0) * width);
        let tooltip = format!("{} to {}: {}", value(from), value(to), count(number));
        plot.bar("train", (from, to), number as f64, &tooltip);
    }
    for (x, word) in [(-rms, ""), (*rms, "rms")] {
        // Outside the axis it would lie on the labels.
        if x >= *low && x <= *high {
            plot.vertical("mark", x, word, End::Upper);
        }
    }
    let zeros = *num_zero as f64 / (*num_weights).max(1) as f64;
    let description = format!(
        "{} weights from {} to {}, root mean square {}, {} exactly zero.",
        count(*num_weights),
        value(*low),
        value(*high),
        value(*rms),
        count(*num_zero)
    );
    let svg = plot.finish(&Words {
        id: &format!("{id}-histogram"),
        title: "Histogram of the weights",
        description: &description,
    });
    let zero_label = format!(
        "exactly zero, not drawn: {} of {} ({})",
        count(*num_zero),
        count(*num_weights),
        percent(zeros)
    );
    let rms_label = format!("± root mean square {}", value(*rms));
    let keys = [
        Key { class: "train bar", label: "weights that are not zero" },
        Key { class: "mark dashed", label: &rms_label },
        Key { class: "zero bar", label: &zero_label },
    ];
    let caption = match penalty {
        (l1, l2) if l1 > 0.0 && l2 > 0.0 => {
            "L1 sets small weights to exactly zero, and L2 shrinks the others: look at the number of zeros \
             and at the width of the rest."
        }
        (l1, _) if l1 > 0.0 => {
            "L1 takes the same amount from every weight at each step, so that weights of little use become \
             exactly zero: look at how many are left."
        }
        (_, l2) if l2 > 0.0 => {
            "L2 shrinks each weight in proportion to its size, so weights gather about zero and hardly any \
             is exactly zero: look at the width."
        }
        _ => "Nothing is penalised: the width shows how far the weights have moved from their start.",
    };
    figure("Histogram of the weights", &(legend(&keys) + &svg), caption)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn an_outlier_does_not_wash_out_the_colours() {
        let mut values = vec![0.1; 999];
        values.push(50.0);
        let image = WeightImage { class: 0, channels: 1, height: 1, width: 1000, values };
        assert_eq!(scale(&[image]), 0.1);
        let sparse = WeightImage {
            class: 0,
            channels: 1,
            height: 1,
            width: 1000,
            values: [vec![0.0; 999], vec![3.0]].concat(),
        };
        assert_eq!(scale(&[sparse]), 3.0);
        assert_eq!(scale(&[]), 0.0);
    }

    #[test]
    fn zeros_are_counted_and_the_penalty_explained() {
        let html = histogram(&fixture::analysis().histogram, (1e-3, 0.0), "r");
        assert!(html.contains("exactly zero, not drawn: 5 of 25 (20.0\u{202f}%)"), "{html}");
        assert!(html.contains("L1 takes the same amount"));
        assert!(
            !histogram(
                &Histogram {
                    low: 0.0,
                    high: 0.0,
                    counts: vec![],
                    num_zero: 0,
                    num_weights: 0,
                    rms: f64::NAN
                },
                (0.0, 0.0),
                "r"
            )
            .contains("NaN")
        );
    }

    #[test]
    fn many_rows_are_cut_and_said() {
        let run = fixture::complete("run");
        let image = WeightImage { class: 0, channels: 1, height: 1, width: 1, values: vec![1.0] };
        let html = rows(&run, &vec![image; 43]);
        assert_eq!(html.matches("<img").count(), MAX_ROWS);
        assert!(html.contains("3 more classes are not shown"));
    }
}
