//! Losses with their gradients: `mentor.torch` keeps nothing else of a batch.

use std::str::FromStr;

use burn::tensor::{Device, Int, Tensor, TensorData};
use mentor_loss::{
    AllTriplets, Average, Distance, Distillation, Hinge, LossError, Mining, MulticlassSvm, PairForm, PairSum,
    PairwiseRanking, Ranked, Triplet, TripletLoss, TripletRanking,
};
use numpy::{PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;

use crate::arrays::{Matrix, contiguous, indices, labels, matrix, with_slice};
use crate::errors::{Kind, Refused};
use crate::work::compute;

/// From so many samples on, the gradient of `float32` embeddings is streamed: half the time and less memory.
const STREAMED_FROM: usize = 4096;

/// A loss, its gradient, and how many terms there are and are above 0.
type Valued<'py> = (f64, Bound<'py, PyAny>, u64, u64);

fn parse<T: FromStr<Err = LossError>>(name: &str) -> Result<T, Refused> {
    Ok(name.parse()?)
}

fn ranked<'py>(py: Python<'py>, embeddings: &Matrix<'py>, ranked: Ranked) -> PyResult<Valued<'py>> {
    let Ranked { loss, gradient, census, .. } = ranked;
    Ok((loss, embeddings.like(py, gradient)?, census.num_valid, census.num_active))
}

/// The triplet ranking loss as Python names it: margin, distance, average, and whether the margin is soft.
#[derive(FromPyObject)]
pub(crate) struct Told(f64, String, String, bool);

impl Told {
    fn loss(&self, mining: Mining) -> Result<TripletLoss, Refused> {
        let Self(margin, distance, average, soft) = self;
        let distance = parse::<Distance>(distance)?;
        let ranking = match soft {
            true => TripletRanking::softplus(*margin, distance)?,
            false => TripletRanking::hinge(*margin, distance)?,
        };
        Ok(TripletLoss::new(ranking, mining, parse(average)?))
    }

    /// The hinge over all triplets, at the price of the distances; `None` for the soft margin.
    fn hinge_of_all(&self) -> Result<Option<AllTriplets>, Refused> {
        let Self(margin, distance, average, soft) = self;
        let all = AllTriplets::new(parse(distance)?, *margin, parse(average)?)?;
        Ok((!soft).then_some(all))
    }
}

/// All triplets of a batch.
#[pyfunction]
pub(crate) fn all_triplets<'py>(
    py: Python<'py>,
    embeddings: &Bound<'py, PyAny>,
    targets: PyReadonlyArray1<'py, i64>,
    told: Told,
) -> PyResult<Valued<'py>> {
    let (loss, hinge) = (told.loss(Mining::All)?, told.hinge_of_all()?);
    let (embeddings, labels) = (Matrix::of(embeddings)?, labels(&targets)?);
    let large = matches!(embeddings, Matrix::Single(_)) && labels.len() >= STREAMED_FROM;
    let streamed = hinge.filter(|_| large);
    let found = with_slice!(&embeddings, |values| compute(py, || {
        Ok(match &streamed {
            Some(hinge) => hinge.streamed(values, &labels)?,
            None => loss.of_slices(values, &labels)?,
        })
    }))?;
    ranked(py, &embeddings, found)
}

/// The triplets that positive pairs `[P, 2]` and negative pairs `[Q, 2]` of the same anchor make.
#[pyfunction]
pub(crate) fn triplets_of_pairs<'py>(
    py: Python<'py>,
    embeddings: &Bound<'py, PyAny>,
    positives: PyReadonlyArray2<'py, i64>,
    negatives: PyReadonlyArray2<'py, i64>,
    told: Told,
) -> PyResult<Valued<'py>> {
    let (loss, hinge) = (told.loss(Mining::None)?, told.hinge_of_all()?);
    let (embeddings, positives, negatives) =
        (Matrix::of(embeddings)?, indices::<2>(&positives)?, indices::<2>(&negatives)?);
    let [num_samples, _] = embeddings.shape();
    let found = with_slice!(&embeddings, |values| compute(py, || Ok(match &hinge {
        Some(hinge) => hinge.of_pairs(values, num_samples, &positives, &negatives)?,
        None => loss.of_triplets(values, num_samples, &triplets(&positives, negatives))?,
    })))?;
    ranked(py, &embeddings, found)
}

/// Each positive pair with each negative pair of its anchor.
fn triplets(positives: &[[usize; 2]], mut negatives: Vec<[usize; 2]>) -> Vec<Triplet> {
    negatives.sort_by_key(|pair| pair[0]);
    let of_pair = |&[anchor, positive]: &[usize; 2]| {
        let first = negatives.partition_point(|pair| pair[0] < anchor);
        let of_anchor = negatives[first..].iter().take_while(move |pair| pair[0] == anchor);
        of_anchor.map(move |&[_, negative]| Triplet { anchor, positive, negative })
    };
    positives.iter().flat_map(of_pair).collect()
}

/// Given triplets `[T, 3]`.
#[pyfunction]
pub(crate) fn given_triplets<'py>(
    py: Python<'py>,
    embeddings: &Bound<'py, PyAny>,
    triplets: PyReadonlyArray2<'py, i64>,
    told: Told,
) -> PyResult<Valued<'py>> {
    let given = told.loss(Mining::None)?;
    let embeddings = Matrix::of(embeddings)?;
    let triplets: Vec<Triplet> = indices::<3>(&triplets)?
        .into_iter()
        .map(|[anchor, positive, negative]| Triplet { anchor, positive, negative })
        .collect();
    let [num_samples, _] = embeddings.shape();
    let found = with_slice!(&embeddings, |values| compute(py, || Ok(given.of_triplets(
        values,
        num_samples,
        &triplets
    )?)))?;
    ranked(py, &embeddings, found)
}

/// The contrastive loss of the pairs of a batch, or of positive and negative pairs. `average` may be `each`,
/// the mean over the active positives and the mean over the active negatives, added up, or `each-valid`.
#[pyfunction]
#[pyo3(signature = (embeddings, targets, pairs, margin, positive_margin, form, distance, average))]
#[expect(clippy::too_many_arguments, reason = "all are parameters of the loss")]
pub(crate) fn contrastive<'py>(
    py: Python<'py>,
    embeddings: &Bound<'py, PyAny>,
    targets: Option<PyReadonlyArray1<'py, i64>>,
    pairs: Option<(PyReadonlyArray2<'py, i64>, PyReadonlyArray2<'py, i64>)>,
    margin: f64,
    positive_margin: f64,
    form: &str,
    distance: &str,
    average: &str,
) -> PyResult<Valued<'py>> {
    let loss = PairwiseRanking::new(parse::<PairForm>(form)?, margin, parse(distance)?)
        .and_then(|loss| loss.with_positive_margin(positive_margin))
        .map_err(Refused::from)?;
    let (average, each) = match average {
        "each" => (Average::Active, true),
        "each-valid" => (Average::Valid, true),
        name => (parse(name)?, false),
    };
    let embeddings = Matrix::of(embeddings)?;
    let [num_samples, _] = embeddings.shape();
    let labels = targets.as_ref().map(labels).transpose()?;
    let pairs = match &pairs {
        Some((positives, negatives)) => Some((indices::<2>(positives)?, indices::<2>(negatives)?)),
        None => None,
    };
    let sides = with_slice!(&embeddings, |values| compute(py, || match (&labels, &pairs) {
        (Some(labels), None) => Ok(loss.of_slices(values, labels)?),
        (None, Some((positives, negatives))) =>
            Ok(loss.of_pairs(values, num_samples, positives, negatives)?),
        _ => Err(Refused::new(Kind::Config, "either labels or pairs are needed", &[])),
    }))?;
    let (value, gradient) = mean(&sides, average, each);
    let [positives, negatives] = &sides;
    let gradient = embeddings.like(py, gradient)?;
    let num_pairs = positives.num_pairs + negatives.num_pairs;
    Ok((value, gradient, num_pairs, positives.num_active + negatives.num_active))
}

/// The mean of the losses of pairs, or the means of `each` kind added up, and its gradient.
fn mean(sides: &[PairSum; 2], average: Average, each: bool) -> (f64, Vec<f64>) {
    let factor = |count: u64| if count == 0 { 0.0 } else { 1.0 / count as f64 };
    let counts = sides.each_ref().map(|side| side.denominator(average));
    let factors = if each { counts.map(factor) } else { [factor(counts.iter().sum()); 2] };
    let [near, far] = sides;
    let value = near.sum * factors[0] + far.sum * factors[1];
    let pairs = near.gradient.iter().zip(&far.gradient);
    (value, pairs.map(|(near, far)| near * factors[0] + far * factors[1]).collect())
}

/// Scores `[N, C]` as a tensor that a gradient is wanted of.
fn scores(values: &[f32], shape: [usize; 2]) -> Tensor<2> {
    let device = Device::flex().autodiff();
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &device).require_grad()
}

fn targets_tensor(targets: &[i64], shape: [usize; 2]) -> Result<Tensor<1, Int>, Refused> {
    let [num_samples, num_classes] = shape;
    if targets.len() != num_samples {
        let what = format!("{} targets for {num_samples} rows of scores", targets.len());
        return Err(Refused::new(Kind::Data, what, &["give one target a row".to_owned()]));
    }
    let outside = |&&target: &&i64| !usize::try_from(target).is_ok_and(|target| target < num_classes);
    if let Some(target) = targets.iter().find(outside) {
        let what = format!(
            "target {target} is not a class: with {num_classes} scores the classes are 0 to {}",
            num_classes.saturating_sub(1)
        );
        return Err(Refused::new(Kind::Data, what, &["count the classes from 0".to_owned()]));
    }
    Ok(Tensor::from_data(TensorData::new(targets.to_vec(), [num_samples]), &Device::flex().autodiff()))
}

/// The losses of the samples `[N]`, and the derivative of their sum with respect to the scores `[N, C]`.
fn losses(leaf: &Tensor<2>, per_sample: Tensor<1>) -> Result<(Vec<f32>, Vec<f32>), Refused> {
    let read = |data: TensorData| {
        let failed = |error| Refused::internal(&format!("{error:?}"));
        data.convert::<f32>().try_to_vec::<f32>().map_err(failed)
    };
    let gradients = per_sample.clone().sum().backward();
    let values = read(per_sample.into_data())?;
    let gradient = match leaf.grad(&gradients) {
        Some(gradient) => read(gradient.into_data())?,
        None => vec![0.0; leaf.shape().num_elements()],
    };
    Ok((values, gradient))
}

type PerSample<'py> = (Vec<f32>, Bound<'py, PyAny>);

/// Weston and Watkins's hinge of scores `[N, C]`: the loss of each sample, and its gradient.
#[pyfunction]
pub(crate) fn weston_watkins<'py>(
    py: Python<'py>,
    values: PyReadonlyArray2<'py, f32>,
    targets: PyReadonlyArray1<'py, i64>,
    margin: f64,
) -> PyResult<PerSample<'py>> {
    let svm = MulticlassSvm::new(Hinge::WestonWatkins, margin).map_err(Refused::from)?;
    let shape = [values.shape()[0], values.shape()[1]];
    let (slice, targets) = (contiguous(&values)?, contiguous(&targets)?);
    let (losses, gradient) = compute(py, || {
        let leaf = scores(slice, shape);
        losses(&leaf, svm.per_sample(leaf.clone(), targets_tensor(targets, shape)?))
    })?;
    Ok((losses, matrix(py, gradient, shape[1])?.into_any()))
}

/// Distillation from the scores of teachers: the loss of each sample, and its gradient.
#[pyfunction]
#[pyo3(signature = (values, teachers, targets, temperature, soft_weight, hard_weight, hard_labels))]
#[expect(clippy::too_many_arguments, reason = "all are parameters of the loss")]
pub(crate) fn distillation<'py>(
    py: Python<'py>,
    values: PyReadonlyArray2<'py, f32>,
    teachers: Vec<PyReadonlyArray2<'py, f32>>,
    targets: Option<PyReadonlyArray1<'py, i64>>,
    temperature: f64,
    soft_weight: f64,
    hard_weight: f64,
    hard_labels: bool,
) -> PyResult<PerSample<'py>> {
    let loss = Distillation::new(temperature, soft_weight, hard_weight).map_err(Refused::from)?;
    let loss = if hard_labels { loss.with_hard_labels() } else { loss };
    let shape = [values.shape()[0], values.shape()[1]];
    let refuse = |what: &str| Refused::new(Kind::Data, what, &[]);
    if teachers.is_empty() {
        return Err(refuse("there are no scores of a teacher").into());
    }
    if teachers.iter().any(|teacher| teacher.shape() != values.shape()) {
        return Err(refuse("the scores of student and teacher differ in shape").into());
    }
    if hard_weight > 0.0 && targets.is_none() {
        return Err(refuse("a hard_weight above 0 needs targets").into());
    }
    let slice = contiguous(&values)?;
    let teachers = teachers.iter().map(contiguous).collect::<Result<Vec<_>, _>>()?;
    let targets = targets.as_ref().map(contiguous).transpose()?;
    let (losses, gradient) = compute(py, || {
        let leaf = scores(slice, shape);
        let teachers: Vec<Tensor<2>> =
            teachers.iter().map(|teacher| scores(teacher, shape).detach()).collect();
        let targets = targets.map(|targets| targets_tensor(targets, shape)).transpose()?;
        losses(&leaf, loss.per_sample(leaf.clone(), &teachers, targets))
    })?;
    Ok((losses, matrix(py, gradient, shape[1])?.into_any()))
}
