//! `mentor loss`: every term of a loss for given scores, with the gradient.

mod explained;
mod input;
mod ranking;
mod show;

use std::path::PathBuf;

use clap::Subcommand;
use explained::{Explained, LogBase};
use input::Sample;
use mentor_loss::{Explanation, LossError, ScoreLoss};
use serde::Serialize;

use crate::terminal::error::Failure;
use crate::terminal::output;

const ALL_EXAMPLES: &str = "\
Examples:
  mentor loss svm --scores \"3.2,5.1,-1.7\" --target 0
      explain a loss on scores, term by term
  mentor loss triplet --embeddings e.npy --labels l.npy --margin 0.2 --mining all
      compute value, counts and gradient of all triplets of a batch or a data set
  mentor loss triplet --d-ap 0.5 --d-an 0.6 --margin 0.2
      explain one triplet: 0.1, semi-hard
  mentor loss contrastive --distance 0.5 --same no --margin 1";

const JSON: &str = "JSON: loss (the mean over the samples), per_sample[] (L_i), gradient[][] (the derivative \
of each sample's own L_i with respect to its scores; divide it by the number of samples for the gradient of \
the mean).";

const SVM_EXAMPLES: &str = "\
Examples:
  mentor loss svm --scores \"3.2,5.1,-1.7\" --target 0
      the cat of the course CS231n: max(0, 5.1 - 3.2 + 1) + max(0, -1.7 - 3.2 + 1) = 2.9
  mentor loss svm --compare --scores \"1000,9,9,9\" --target 0 --scores \"10,9,9,9\" --target 0
      the SVM loss is 0 for both samples, softmax is not
  mentor loss svm --margin 0.5 --csv scores.csv
      read a sample from each row: its scores, then its target
";

const CRAMMER_SINGER_EXAMPLES: &str = "\
Examples:
  mentor loss crammer-singer --scores \"3,2,2.5\" --target 2
      only the most violated margin counts: max(0, 3 - 2.5 + 1) = 1.5
  mentor loss crammer-singer --compare --csv scores.csv
      read a sample from each row: its scores, then its target
";

const SOFTMAX_EXAMPLES: &str = "\
Examples:
  mentor loss softmax --scores \"3.2,5.1,-1.7\" --target 0
      -ln(e^3.2 / (e^3.2 + e^5.1 + e^-1.7)) = 2.04
  mentor loss softmax --log-base 10 --csv scores.csv
      read a sample from each row: its scores, then its target
  mentor loss softmax --compare --margin 2 --scores \"10,9,9,9\" --target 0
      show the loss svm with margin 2 beside softmax
";

/// Explain a loss on given scores, distances or embeddings, with its gradient
#[derive(Debug, clap::Args)]
#[command(after_help = ALL_EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    loss: Loss,
}

/// The losses.
#[derive(Debug, Subcommand)]
enum Loss {
    /// Multiclass SVM loss of Weston and Watkins: the sum of the violated margins
    Svm(SvmArgs),
    /// Multiclass SVM loss of Crammer and Singer: the largest violated margin
    CrammerSinger(CrammerSingerArgs),
    /// Softmax cross-entropy
    Softmax(SoftmaxArgs),
    /// Triplet loss of one triplet, or of embeddings with labels
    Triplet(ranking::TripletArgs),
    /// Contrastive loss of one pair
    #[command(alias = "pairwise")]
    Contrastive(ranking::ContrastiveArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = format!("{SVM_EXAMPLES}\n{JSON}"))]
struct SvmArgs {
    #[command(flatten)]
    margin: MarginArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = format!("{CRAMMER_SINGER_EXAMPLES}\n{JSON}"))]
struct CrammerSingerArgs {
    #[command(flatten)]
    margin: MarginArgs,
}

// What both SVM losses take: an ordinary comment, since documentation here would replace that of the command.
#[derive(Debug, clap::Args)]
struct MarginArgs {
    #[command(flatten)]
    samples: SampleArgs,

    /// Set the margin by which the target's score should lead, at least 0
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true, default_value_t = 1.0)]
    margin: f64,

    /// Show softmax beside the SVM loss
    #[arg(long)]
    compare: bool,

    /// Choose the base of softmax's logarithm, which scales its loss and gradient; needs --compare
    #[arg(long, value_name = "BASE", value_enum, default_value_t = LogBase::E, requires = "compare")]
    log_base: LogBase,
}

#[derive(Debug, clap::Args)]
#[command(after_help = format!("{SOFTMAX_EXAMPLES}\n{JSON}"))]
struct SoftmaxArgs {
    #[command(flatten)]
    samples: SampleArgs,

    /// Choose the base of the logarithm, which scales loss and gradient
    #[arg(long, value_name = "BASE", value_enum, default_value_t = LogBase::E)]
    log_base: LogBase,

    /// Show the loss svm beside softmax
    #[arg(long)]
    compare: bool,

    /// Set the margin of the loss svm, at least 0; needs --compare
    #[arg(
        long,
        value_name = "NUMBER",
        allow_hyphen_values = true,
        default_value_t = 1.0,
        requires = "compare"
    )]
    margin: f64,
}

// Scores of samples, and how the result is printed.
#[derive(Clone, Debug, clap::Args)]
struct SampleArgs {
    /// Take these scores of one sample, one for each class, separated by commas; repeat for more samples
    #[arg(long, value_name = "S,S,...", allow_hyphen_values = true, required_unless_present = "csv")]
    scores: Vec<String>,

    /// Name the sample's class by its index, from 0; repeat for each --scores
    #[arg(long, value_name = "CLASS")]
    target: Vec<usize>,

    /// Read the samples from this file: scores in columns, and the target in the column named `target`, or
    /// else in the last
    #[arg(long, value_name = "FILE", conflicts_with_all = ["scores", "target"])]
    csv: Option<PathBuf>,

    /// Print JSON with numbers in full precision
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Json<'a> {
    name: &'static str,
    loss: f64,
    per_sample: Vec<f64>,
    gradient: Vec<&'a [f64]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probabilities: Option<Vec<&'a [f64]>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compare: Option<Box<Json<'a>>>,
}

impl Explained {
    fn of(name: &str, margin: f64, log_base: LogBase, samples: &[Sample]) -> Result<Self, Failure> {
        let loss = ScoreLoss::from_name(name, margin)?;
        let log_base = if matches!(loss, ScoreLoss::Softmax(_)) { log_base } else { LogBase::E };
        let explain = |sample: &Sample| {
            let explanation =
                loss.explain(&sample.scores, sample.target).map_err(|error| refused(sample, error))?;
            if !explanation.loss.is_finite() {
                return Err(refused(sample, "the loss of such scores is too large for a number of 64 bits"));
            }
            Ok(scaled(explanation, log_base.factor()))
        };
        let samples = samples.iter().map(explain).collect::<Result<_, Failure>>()?;
        Ok(Self { loss, log_base, samples })
    }

    fn json(&self) -> Json<'_> {
        Json {
            name: self.loss.name(),
            loss: self.mean(),
            per_sample: self.samples.iter().map(|sample| sample.loss).collect(),
            gradient: self.samples.iter().map(|sample| sample.gradient.as_slice()).collect(),
            probabilities: self.samples.iter().map(|sample| sample.probabilities.as_deref()).collect(),
            compare: None,
        }
    }
}

fn scaled(mut explanation: Explanation, factor: f64) -> Explanation {
    explanation.loss *= factor;
    explanation.gradient.iter_mut().for_each(|value| *value *= factor);
    explanation.terms.iter_mut().for_each(|term| term.value *= factor);
    explanation
}

/// Scores from the command line are usage, those from a file are data.
fn refused(sample: &Sample, error: impl std::fmt::Display) -> Failure {
    let error = anyhow::anyhow!("{}: {error}", sample.origin);
    if sample.from_file { Failure::data(error) } else { Failure::usage(error) }
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    match &args.loss {
        Loss::Svm(SvmArgs { margin: args }) => run_on_scores("svm", "softmax", args),
        Loss::CrammerSinger(CrammerSingerArgs { margin: args }) => {
            run_on_scores("crammer-singer", "softmax", args)
        }
        Loss::Softmax(args) => {
            let SoftmaxArgs { samples, log_base, compare, margin } = args;
            let (samples, log_base, compare, margin) = (samples.clone(), *log_base, *compare, *margin);
            run_on_scores("softmax", "svm", &MarginArgs { samples, margin, compare, log_base })
        }
        Loss::Triplet(args) => ranking::triplet(args),
        Loss::Contrastive(args) => ranking::contrastive(args),
    }
}

/// Explains `loss`, and `other` beside it if that is asked for.
fn run_on_scores(loss: &str, other: &str, args: &MarginArgs) -> Result<(), Failure> {
    let MarginArgs { samples: SampleArgs { scores, target, csv, json }, margin, compare, log_base } = args;
    let samples = match csv {
        Some(path) => input::from_csv(path)?,
        None => input::from_flags(scores, target)?,
    };
    let explain = |name| Explained::of(name, *margin, *log_base, &samples);
    let named = explain(loss)?;
    let other = compare.then(|| explain(other)).transpose()?;
    if *json {
        let compare = other.as_ref().map(|other| Box::new(other.json()));
        return output::json(&Json { compare, ..named.json() });
    }
    output::text(&match &other {
        None => show::explanation(&named, &samples),
        Some(other) if loss == "softmax" => show::comparison(other, &named, &samples),
        Some(other) => show::comparison(&named, other, &samples),
    })
}

/// The three images of the course CS231n, explained: what `mentor demo` shows.
pub(super) fn three_images() -> Result<String, Failure> {
    let scores = ["3.2,5.1,-1.7", "1.3,4.9,2.0", "2.2,2.5,-3.1"].map(str::to_owned);
    let samples = input::from_flags(&scores, &[0, 1, 2])?;
    let explain = |name| {
        let loss = ScoreLoss::from_name(name, 1.0)?;
        let explain = |sample: &Sample| loss.explain(&sample.scores, sample.target);
        let samples = samples.iter().map(explain).collect::<Result<_, LossError>>()?;
        Ok::<_, LossError>(Explained { loss, log_base: LogBase::E, samples })
    };
    let both = explain("svm").and_then(|svm| Ok((svm, explain("softmax")?)));
    let (svm, softmax) = both.map_err(Failure::failed)?;
    Ok(show::comparison(&svm, &softmax, &samples))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lectures_means_come_out() {
        let text = three_images().unwrap();
        assert!(text.contains("5.2667") && text.contains("2.7587"), "{text}");
    }

    #[test]
    fn a_base_scales_loss_and_gradient_alike() {
        let softmax = ScoreLoss::from_name("softmax", 1.0).unwrap();
        let nats = softmax.explain(&[3.2, 5.1, -1.7], 0).unwrap();
        let tens = scaled(nats.clone(), LogBase::Ten.factor());
        assert!((tens.loss - 0.8861).abs() < 1e-4);
        assert!((tens.gradient[0] / nats.gradient[0] - 1.0 / 10f64.ln()).abs() < 1e-12);
    }
}
