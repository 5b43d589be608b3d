//! `mentor loss triplet` and `mentor loss contrastive`.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::builder::{PossibleValue, PossibleValuesParser};
use mentor_data::{Array, Limits, shown_path};
use mentor_loss::{
    AllTriplets, Average, Census, Distance, LossError, Mining, PairForm, PairwiseRanking, Ranked,
    TripletLoss, TripletRanking,
};
use mentor_run::present_name;
use serde::Serialize;

use crate::terminal::error::Failure;
use crate::terminal::output;
use crate::terminal::table::count;

/// Batches up to this size are computed in `f64` throughout; larger sets are streamed.
const MAX_BATCH: usize = 8192;

const TRIPLET_HELP: &str = "\
Examples:
  mentor loss triplet --d-ap 0.5 --d-an 0.6 --margin 0.2
      max(0, 0.2 + 0.5 - 0.6) = 0.1: the negative is farther than the positive, but within the margin
  mentor loss triplet --embeddings e.npy --labels l.npy --mining all --json
      read N rows of D numbers from e.npy and N integers from l.npy

JSON: loss (the mean over all selected triplets, or with --average active over those with a loss), \
gradient[][] (with respect to the embeddings), num_valid, num_active, num_easy, num_semi_hard, num_hard (of \
the selected triplets), batch (the same counts of all triplets; for the soft margin, which has no easy ones, \
at margin 0), mean_positive_distance, mean_negative_distance.";

#[derive(Debug, clap::Args)]
#[command(after_help = TRIPLET_HELP)]
pub(super) struct TripletArgs {
    /// Read the embeddings, N rows of D numbers, from this npy file
    #[arg(long, value_name = "NPY", requires = "labels")]
    embeddings: Option<PathBuf>,

    /// Read their classes, N integers, from this npy file
    #[arg(long, value_name = "NPY", requires = "embeddings")]
    labels: Option<PathBuf>,

    /// Set the distance of anchor and positive, at least 0, instead of embeddings
    #[arg(
        long,
        value_name = "NUMBER",
        requires = "d_an",
        conflicts_with = "embeddings",
        allow_hyphen_values = true
    )]
    d_ap: Option<f64>,

    /// Set the distance of anchor and negative, at least 0
    #[arg(long, value_name = "NUMBER", requires = "d_ap", allow_hyphen_values = true)]
    d_an: Option<f64>,

    /// Set the margin, at least 0, in units of the distance
    #[arg(long, value_name = "NUMBER", default_value_t = 0.2, allow_hyphen_values = true)]
    margin: f64,

    /// Use ln(1 + e^(d_ap - d_an)) instead of the hinge; it has no margin
    #[arg(long, conflicts_with = "margin")]
    soft_margin: bool,

    /// Select triplets: all valid ones (hinge only), the hardest of each anchor, or FaceNet's semi-hard ones
    /// [default: all; hard with --soft-margin]
    #[arg(long, value_name = "NAME", conflicts_with = "d_ap",
          value_parser = PossibleValuesParser::new(["all", "hard", "semi-hard"]))]
    mining: Option<String>,

    /// Divide the sum by the number of selected triplets (valid), or of those with a loss above 0 (active)
    #[arg(long, value_name = "NAME", default_value = "valid", conflicts_with = "d_ap",
          value_parser = PossibleValuesParser::new(Average::NAMES))]
    average: String,

    /// Choose the distance between embeddings
    #[arg(long, value_name = "NAME", default_value = "euclidean", conflicts_with = "d_ap",
          value_parser = PossibleValuesParser::new(Distance::NAMES))]
    distance: String,

    /// Print JSON with numbers in full precision
    #[arg(long)]
    json: bool,
}

/// The forms of the contrastive loss, with their earlier names.
fn forms() -> PossibleValuesParser {
    let earlier = |name| if name == "linear" { "lecture" } else { "hadsell" };
    PossibleValuesParser::new(
        PairForm::NAMES.iter().map(|name| PossibleValue::new(*name).alias(earlier(*name))),
    )
}

const CONTRASTIVE_HELP: &str = "\
Examples:
  mentor loss contrastive --distance 0.5 --same yes
      d = 0.5: the loss of a pair of one class grows with its distance
  mentor loss contrastive --distance 0.5 --same no --margin 1
      max(0, 1 - 0.5) = 0.5: the loss of a pair of two classes is 0 from the margin on
  mentor loss contrastive --distance 0.5 --same no --form squared --json

JSON: loss, gradient[] (with respect to the distance).";

#[derive(Debug, clap::Args)]
#[command(after_help = CONTRASTIVE_HELP)]
pub(super) struct ContrastiveArgs {
    /// Set the distance of the pair, at least 0
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    distance: f64,

    /// Say whether the two samples are of the same class
    #[arg(long, value_name = "YES|NO", value_parser = PossibleValuesParser::new(["yes", "no"]))]
    same: String,

    /// Set the margin, at least 0, in units of the distance
    #[arg(long, value_name = "NUMBER", default_value_t = 1.0, allow_hyphen_values = true)]
    margin: f64,

    /// Choose the form: linear, y*d + (1-y)*max(0, m-d), or squared, half of y*d² + (1-y)*max(0, m-d)²
    #[arg(long, value_name = "NAME", default_value = "linear", value_parser = forms())]
    form: String,

    /// Print JSON with numbers in full precision
    #[arg(long)]
    json: bool,
}

/// What `--json` prints of one triplet or pair.
#[derive(Serialize)]
struct One {
    loss: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    case: Option<&'static str>,
    /// ∂L/∂d of each distance.
    gradient: Vec<f64>,
}

/// What `--json` prints of a batch.
#[derive(Serialize)]
struct Batch<'a> {
    loss: f64,
    #[serde(flatten)]
    census: Census,
    batch: Census,
    mean_positive_distance: Option<f64>,
    mean_negative_distance: Option<f64>,
    gradient: Vec<&'a [f64]>,
}

pub(super) fn triplet(args: &TripletArgs) -> Result<(), Failure> {
    let distance: Distance = args.distance.parse()?;
    let ranking = match args.soft_margin {
        true => TripletRanking::soft_margin(distance),
        false => TripletRanking::hinge(args.margin, distance)?,
    };
    match (args.d_ap, args.d_an, &args.embeddings, &args.labels) {
        (Some(d_ap), Some(d_an), _, _) => one_triplet(args, &ranking, d_ap, d_an),
        (_, _, Some(embeddings), Some(labels)) => batch(args, ranking, embeddings, labels),
        _ => {
            let failure = Failure::usage(anyhow!("there is nothing to take the loss of"));
            Err(failure.help("give --embeddings with --labels, or --d-ap with --d-an"))
        }
    }
}

fn one_triplet(args: &TripletArgs, ranking: &TripletRanking, d_ap: f64, d_an: f64) -> Result<(), Failure> {
    for (name, value) in [("--d-ap", d_ap), ("--d-an", d_an)] {
        check_distance(name, value)?;
    }
    let (loss, slope) = (ranking.value(d_ap, d_an), ranking.slope(d_ap, d_an));
    let case = ranking.case(d_ap, d_an).name();
    if args.json {
        return output::json(&One { loss, case: Some(case), gradient: vec![slope, 0.0 - slope] });
    }
    let formula = match ranking.is_soft() {
        true => format!("ln(1 + e^({d_ap} − {d_an}))"),
        false => format!("max(0, {} + {d_ap} − {d_an})", ranking.margin()),
    };
    let slopes = [slope, 0.0 - slope].map(rounded);
    let gradient = format!("dL/dd_ap = {}\ndL/dd_an = {}", slopes[0], slopes[1]);
    output::text(&format!("L = {formula} = {}\n{gradient}\n{case}", rounded(loss)))
}

fn batch(
    args: &TripletArgs,
    ranking: TripletRanking,
    embeddings: &Path,
    labels: &Path,
) -> Result<(), Failure> {
    // As in the paper that has the soft margin, Hermans et al. 2017.
    let usual = if ranking.is_soft() { "hard" } else { "all" };
    let mining: Mining = args.mining.as_deref().unwrap_or(usual).parse()?;
    let average: Average = args.average.parse()?;
    let loss = TripletLoss::new(ranking, mining, average);
    let (values, dim) = read_embeddings(embeddings)?;
    let labels = read_labels(labels)?;
    let num_rows = values.len() / dim;
    if labels.len() != num_rows {
        let error = anyhow!("{} labels for {num_rows} embeddings", labels.len());
        return Err(Failure::data(error).help("they must be of the same samples"));
    }
    let ranked = if mining == Mining::All && !ranking.is_soft() && num_rows > MAX_BATCH {
        AllTriplets::new(ranking.distance(), ranking.margin(), average)
            .and_then(|all| all.streamed(&values, &labels))
            .map_err(Failure::data)?
    } else {
        loss.of_slices(&values, &labels).map_err(|error| match error {
            LossError::Embedding { .. } => Failure::data(error).context(shown_path(embeddings)),
            error => Failure::data(error),
        })?
    };
    if args.json {
        let Ranked { loss, census, batch, mean_positive_distance, mean_negative_distance, .. } = ranked;
        let gradient = ranked.gradient.chunks_exact(dim).collect();
        return output::json(&Batch {
            loss,
            census,
            batch,
            mean_positive_distance,
            mean_negative_distance,
            gradient,
        });
    }
    output::text(&summary(&ranked, average, (num_rows, dim)))
}

/// The result for a person.
fn summary(ranked: &Ranked, average: Average, (num_rows, dim): (usize, usize)) -> String {
    let Census { num_valid, num_active, num_easy, num_semi_hard, num_hard } = ranked.census;
    let norm = ranked.gradient.iter().map(|value| value * value).sum::<f64>().sqrt();
    let share = |number: u64| format!("{:.1} %", 100.0 * number as f64 / num_valid.max(1) as f64);
    let mean = |distance: Option<f64>| distance.map_or("none".to_owned(), rounded);
    let mut lines = vec![
        format!("{} embeddings of {dim} numbers", count(num_rows as u64)),
        format!("L = {}, the mean over the {average} triplets", rounded(ranked.loss)),
        format!("triplets   {}", count(num_valid)),
    ];
    for (name, number) in
        [("active", num_active), ("easy", num_easy), ("semi-hard", num_semi_hard), ("hard", num_hard)]
    {
        lines.push(format!("{name:<10} {}, {}", count(number), share(number)));
    }
    lines.push(format!("mean distance of positive pairs {}", mean(ranked.mean_positive_distance)));
    lines.push(format!("mean distance of negative pairs {}", mean(ranked.mean_negative_distance)));
    lines.push(format!("norm of the gradient {}", rounded(norm)));
    if num_valid == 0 {
        lines.push("No triplet: a triplet needs two samples of one class and one of another.".to_owned());
    }
    lines.join("\n")
}

pub(super) fn contrastive(args: &ContrastiveArgs) -> Result<(), Failure> {
    check_distance("--distance", args.distance)?;
    let form: PairForm = present_name(&args.form).parse()?;
    let pairs = PairwiseRanking::new(form, args.margin, Distance::Euclidean)?;
    let same = args.same == "yes";
    let (loss, slope) = (pairs.value(args.distance, same), pairs.slope(args.distance, same));
    if args.json {
        return output::json(&One { loss, case: None, gradient: vec![slope] });
    }
    let (d, m) = (args.distance, args.margin);
    let formula = match (form, same) {
        (PairForm::Linear, true) => "d".to_owned(),
        (PairForm::Linear, false) => format!("max(0, m − d) = max(0, {m} − {d})"),
        (PairForm::Squared, true) => format!("½·d² = ½·{d}²"),
        (PairForm::Squared, false) => format!("½·max(0, m − d)² = ½·max(0, {m} − {d})²"),
    };
    output::text(&format!("L = {formula} = {}\ndL/dd = {}", rounded(loss), rounded(slope)))
}

/// Numbers `[N, D]`, and D.
fn read_embeddings(path: &Path) -> Result<(Vec<f64>, usize), Failure> {
    let array = Array::read(path, &Limits::default())?;
    match array.shape[..] {
        [_, dim] if dim > 0 => Ok((array.values, dim)),
        _ => {
            let error = anyhow!("{}: has the shape {:?}", shown_path(path), array.shape);
            Err(Failure::data(error).help("embeddings have the shape (N, D)"))
        }
    }
}

/// Integers `[N]`.
fn read_labels(path: &Path) -> Result<Vec<u32>, Failure> {
    let array = Array::read(path, &Limits::default())?;
    if !array.integers || !matches!(array.shape[..], [_] | [_, 1]) {
        let message = format!("{}: labels are integers of the shape (N)", shown_path(path));
        return Err(Failure::data(anyhow!(message)));
    }
    let label = |(index, &value): (usize, &f64)| {
        let in_range = (0.0..=f64::from(u32::MAX)).contains(&value);
        in_range.then_some(value as u32).ok_or_else(|| {
            let message =
                format!("{}: label {value} at {index} is not in 0 to {}", shown_path(path), u32::MAX);
            Failure::data(anyhow!(message))
        })
    };
    array.values.iter().enumerate().map(label).collect()
}

fn check_distance(name: &str, value: f64) -> Result<(), Failure> {
    match value >= 0.0 && value.is_finite() {
        true => Ok(()),
        false => {
            Err(Failure::usage(anyhow!("{name} is {value}, but a distance is a finite number of at least 0")))
        }
    }
}

/// Six digits, without what rounding left of 0.1.
fn rounded(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        1e-4..1e6 => {
            let text = format!("{value:.6}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => format!("{value:.5e}"),
    }
}
