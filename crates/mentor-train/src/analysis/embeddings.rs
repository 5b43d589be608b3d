//! Computes the embedding analysis of a split.

use std::sync::atomic::AtomicBool;

use mentor_data::Dataset;
use mentor_metrics::embeddings::{pair_distances, pca_until};
use mentor_metrics::evenly_spread;
use mentor_metrics::retrieval::{Embeddings, Metric, RetrievalOptions, evaluate_until, nearest};
use mentor_run::records::Picture;
use mentor_run::records::embeddings::{
    EmbeddingAnalysis, EmbeddingMap, MapPoint, RetrievalRow, RetrievedSample,
};
use mentor_run::records::health::EpochHealth;

use crate::analysis::error::AnalysisError;
use crate::analysis::pixels;
use crate::inference::error::{InferenceError, go_on};

/// Points of the map, at most.
const NUM_POINTS: usize = 2000;
/// Points of the map that have a picture, at most.
const NUM_PICTURED: usize = 500;
/// Queries that are shown with their neighbours.
const NUM_ROWS: usize = 12;
/// Neighbours of a query that are shown.
const NUM_NEIGHBOURS: usize = 10;

/// Analyses the embeddings of `dataset`, the samples of `split`, until `stop` is set.
pub(crate) fn analyse(
    split: &str,
    dataset: &Dataset,
    embeddings: &Embeddings<'_>,
    metric: Metric,
    health: Vec<EpochHealth>,
    margin: Option<f64>,
    stop: &AtomicBool,
) -> Result<EmbeddingAnalysis, AnalysisError> {
    let labels = dataset.targets();
    let options = RetrievalOptions { metric, ..RetrievalOptions::default() };
    let mut album = Album { dataset, pictures: Vec::new(), places: vec![None; dataset.len()] };
    let rows = rows(embeddings, labels, metric, &mut album, stop)?;
    let map = map(embeddings, labels, &mut album, stop)?;
    let retrieval =
        evaluate_until(embeddings, labels, None, &options, stop)?.ok_or(InferenceError::Interrupted)?;
    Ok(EmbeddingAnalysis {
        split: split.to_owned(),
        dim: embeddings.dim(),
        metric,
        classes: dataset.classes().to_vec(),
        retrieval,
        distances: pair_distances(embeddings, labels, metric, 0),
        map,
        rows,
        pictures: album.pictures,
        health,
        margin,
        pixels: pixels::baseline(dataset, embeddings, metric, stop)?,
    })
}

/// Thumbnails, each taken once.
struct Album<'a> {
    dataset: &'a Dataset,
    pictures: Vec<Picture>,
    /// Where a sample's picture is.
    places: Vec<Option<usize>>,
}

impl Album<'_> {
    /// The place of a sample's picture, which is added where it is missing.
    fn add(&mut self, sample: usize) -> Result<usize, AnalysisError> {
        if let Some(place) = self.places[sample] {
            return Ok(place);
        }
        self.pictures.push(Picture::thumbnail(self.dataset, sample)?);
        let place = self.pictures.len() - 1;
        self.places[sample] = Some(place);
        Ok(place)
    }
}

fn rows(
    embeddings: &Embeddings<'_>,
    labels: &[u32],
    metric: Metric,
    album: &mut Album<'_>,
    stop: &AtomicBool,
) -> Result<Vec<RetrievalRow>, AnalysisError> {
    evenly_spread(labels.len(), NUM_ROWS)
        .map(|query| {
            go_on(stop)?;
            let mut sample = |index: usize, distance: f64| -> Result<RetrievedSample, AnalysisError> {
                let picture = Some(album.add(index)?);
                let id = album.dataset.id(index).to_owned();
                Ok(RetrievedSample { id, label: labels[index], distance, picture })
            };
            // One more than is shown, because a query finds itself.
            let found = nearest(embeddings, embeddings.row(query), NUM_NEIGHBOURS + 1, metric)?;
            let others = found.into_iter().filter(|found| found.index != query).take(NUM_NEIGHBOURS);
            Ok(RetrievalRow {
                query: sample(query, 0.0)?,
                neighbours: others
                    .map(|found| sample(found.index, found.distance))
                    .collect::<Result<_, _>>()?,
            })
        })
        .collect()
}

fn map(
    embeddings: &Embeddings<'_>,
    labels: &[u32],
    album: &mut Album<'_>,
    stop: &AtomicBool,
) -> Result<EmbeddingMap, AnalysisError> {
    let found = pca_until(embeddings, stop).ok_or(InferenceError::Interrupted)?;
    let shown: Vec<usize> = evenly_spread(labels.len(), NUM_POINTS).collect();
    let mut pictures = vec![None; shown.len()];
    for place in evenly_spread(shown.len(), NUM_PICTURED) {
        go_on(stop)?;
        pictures[place] = Some(album.add(shown[place])?);
    }
    let points = shown.iter().zip(pictures).map(|(&sample, picture)| {
        let [x, y] = found.points[sample];
        MapPoint { x, y, label: labels[sample], id: album.dataset.id(sample).to_owned(), picture }
    });
    Ok(EmbeddingMap {
        explained: found.explained,
        points: points.collect(),
        num_samples: labels.len(),
        num_fitted: Some(found.num_fitted),
    })
}
