//! The tables of `mentor loss`.

use mentor_loss::{Explanation, Hinge, MulticlassSvm, ScoreLoss};

use super::explained::{Explained, LogBase};
use super::input::Sample;
use crate::terminal::table::{Align, Table};

/// Samples shown term by term; the others are in the mean.
const NUM_SHOWN: usize = 20;

/// Scores above it are shown as exp(s − largest), because exp(s) is unreadable.
const READABLE_SCORE: f64 = 20.0;

/// Every term of every sample.
pub(super) fn explanation(explained: &Explained, samples: &[Sample]) -> String {
    let mut text = definition(&explained.loss, explained.log_base);
    for (index, (sample, explanation)) in samples.iter().zip(&explained.samples).enumerate().take(NUM_SHOWN) {
        text.push_str(&format!(
            "\nsample {}: scores {}, target {}\n",
            index + 1,
            scores(sample),
            sample.target
        ));
        let table = match &explained.loss {
            ScoreLoss::Svm(svm) => hinge_terms(svm, sample, explanation),
            _ => softmax_terms(sample, explanation, explained.log_base),
        };
        text.push_str(&table.render());
        text.push_str(&format!("  L = {}\n", number(explanation.loss)));
    }
    text.push_str(&not_shown(samples.len()));
    if samples.len() > 1 {
        text.push_str(&format!("\nmean of {} samples: {}\n", samples.len(), number(explained.mean())));
    }
    text
}

/// An SVM loss and softmax side by side, one row a sample.
pub(super) fn comparison(svm: &Explained, softmax: &Explained, samples: &[Sample]) -> String {
    let mut text = definition(&svm.loss, LogBase::E) + &definition(&softmax.loss, softmax.log_base);
    let [svm_name, softmax_name] = [svm.loss.name(), softmax.loss.name()];
    let mut table = Table::new(&[
        ("scores", Align::Left),
        ("target", Align::Right),
        (svm_name, Align::Right),
        (softmax_name, Align::Right),
        (format!("push on target: {svm_name}").as_str(), Align::Right),
        (softmax_name, Align::Right),
    ]);
    // Descent moves the target's score against its derivative.
    let push = |explanation: &Explanation, sample: &Sample| {
        explanation.gradient.get(sample.target).map_or(String::new(), |gradient| number(-gradient))
    };
    let rows = samples.iter().zip(svm.samples.iter().zip(&softmax.samples));
    for (sample, (hinge, cross_entropy)) in rows.clone().take(NUM_SHOWN) {
        table.row([
            scores(sample),
            sample.target.to_string(),
            number(hinge.loss),
            number(cross_entropy.loss),
            push(hinge, sample),
            push(cross_entropy, sample),
        ]);
    }
    if samples.len() > 1 {
        table.row(["mean".to_owned(), String::new(), number(svm.mean()), number(softmax.mean())]);
    }
    text.push('\n');
    text.push_str(&table.render());
    text.push_str(&not_shown(samples.len()));
    let content =
        rows.filter(|(_, (hinge, cross_entropy))| hinge.loss == 0.0 && cross_entropy.loss > 0.0).count();
    if content > 0 {
        let noun = if content == 1 { "1 sample".to_owned() } else { format!("{content} samples") };
        text.push_str(&format!(
            "\nOn {noun} the SVM loss is 0: the target leads every class by the margin. The softmax loss and \
             its\ngradient are above 0.\n"
        ));
    }
    text
}

fn definition(loss: &ScoreLoss, base: LogBase) -> String {
    match loss {
        ScoreLoss::Svm(svm) => {
            let formula = match svm.hinge() {
                Hinge::WestonWatkins => "Σ_{j≠y} max(0, s_j − s_y + Δ)",
                Hinge::CrammerSinger => "max(0, max_{j≠y} s_j − s_y + Δ)",
            };
            format!("{}: L_i = {formula}, Δ = {}\n", loss.name(), number(svm.margin()))
        }
        _ => format!("{}: L_i = −{}( e^s_y / Σ_j e^s_j )\n", loss.name(), base.log()),
    }
}

fn hinge_terms(svm: &MulticlassSvm, sample: &Sample, explanation: &Explanation) -> Table {
    let largest = svm.hinge() == Hinge::CrammerSinger;
    let mut table = Table::new(&[
        ("class", Align::Right),
        ("score", Align::Right),
        ("max(0, s_j − s_y + Δ)", Align::Left),
        ("term", Align::Right),
        ("dL/ds", Align::Right),
        ("", Align::Left),
    ]);
    for (class, (&score, &gradient)) in sample.scores.iter().zip(&explanation.gradient).enumerate() {
        let term = explanation.terms.iter().find(|term| term.class == class);
        let (written, value, note) = match term {
            None => ("target".to_owned(), String::new(), ""),
            Some(term) => {
                let target = sample.scores.get(sample.target).copied().unwrap_or_default();
                let written =
                    format!("max(0, {} − {} + {})", number(score), in_brackets(target), number(svm.margin()));
                (written, number(term.value), if largest && term.active { "largest" } else { "" })
            }
        };
        table.row([class.to_string(), number(score), written, value, number(gradient), note.to_owned()]);
    }
    table
}

fn softmax_terms(sample: &Sample, explanation: &Explanation, base: LogBase) -> Table {
    let largest = sample.scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let shift = if largest > READABLE_SCORE { largest } else { 0.0 };
    let exponential = if shift == 0.0 { "e^s".to_owned() } else { format!("e^(s − {})", number(shift)) };
    let minus_log = format!("−{} p", base.log());
    let mut table = Table::new(&[
        ("class", Align::Right),
        ("score", Align::Right),
        (exponential.as_str(), Align::Right),
        ("p = e^s / Σ", Align::Right),
        (minus_log.as_str(), Align::Right),
        ("dL/ds", Align::Right),
        ("", Align::Left),
    ]);
    let probabilities = explanation.probabilities.as_deref().unwrap_or_default();
    let rows = sample.scores.iter().zip(probabilities).zip(&explanation.gradient);
    for (class, ((&score, &probability), &gradient)) in rows.enumerate() {
        let is_target = class == sample.target;
        table.row([
            class.to_string(),
            number(score),
            number((score - shift).exp()),
            number(probability),
            if is_target { number(explanation.loss) } else { String::new() },
            number(gradient),
            if is_target { "target".to_owned() } else { String::new() },
        ]);
    }
    table
}

fn scores(sample: &Sample) -> String {
    sample.scores.iter().map(|&score| number(score)).collect::<Vec<_>>().join(", ")
}

fn not_shown(num_samples: usize) -> String {
    match num_samples.saturating_sub(NUM_SHOWN) {
        0 => String::new(),
        more => format!("\n… {more} more, all in the mean; --json prints them\n"),
    }
}

fn in_brackets(value: f64) -> String {
    if value < 0.0 { format!("({})", number(value)) } else { number(value) }
}

/// Four decimals at most; powers of ten where these would hide the number.
fn number(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        return "0".to_owned();
    }
    if !(1e-3..1e7).contains(&size) {
        return format!("{value:.3e}");
    }
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_never_hidden() {
        let texts = [0.0, -0.0, 2.9, -1.7, 1000.0, 5.26666, 1e-9, 2.5e8].map(number);
        assert_eq!(texts, ["0", "0", "2.9", "-1.7", "1000", "5.2667", "1.000e-9", "2.500e8"]);
    }
}
