//! Every query against every gallery sample, in tiles whose size does not grow with their product.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::bootstrap;
use super::embeddings::Embeddings;
use super::error::RetrievalError;
use super::keys::Keys;
use super::measures::{Retrieval, RetrievalIntervals, RetrievalOptions};
use super::rank::{Ranked, Ranking, Scratch, sampled};

/// Queries that share one pass over the gallery, at most, and the keys that one thread holds for them: 32
/// MiB.
const MAX_QUERIES: usize = 64;
const MAX_KEYS: usize = 4 << 20;
/// Terms of the distances of a tile, at most, unless eight queries have more: the time between two looks at
/// whether to stop.
const MAX_TERMS: usize = 1 << 31;

/// Evaluates `queries` against `gallery`, embeddings with their labels; without one, against each other,
/// where no query is its own neighbour.
///
/// The order of neighbours is exact: that of distances in `f64`, equal ones by the lower index. Memory is
/// that of the embeddings in `f64`, and 32 MiB a thread up to half a million of them. Labels are any numbers;
/// equal ones are a class. The result does not depend on the number of threads.
///
/// # Errors
///
/// If labels and embeddings differ in number, or queries and gallery in dimension, or an option is 0.
pub fn evaluate(
    queries: &Embeddings<'_>,
    query_labels: &[u32],
    gallery: Option<(&Embeddings<'_>, &[u32])>,
    options: &RetrievalOptions,
) -> Result<Retrieval, RetrievalError> {
    let found = evaluate_until(queries, query_labels, gallery, options, &AtomicBool::new(false))?;
    Ok(found.expect("nothing stops it"))
}

/// As [`evaluate`]; `None` once `stop` is set.
///
/// # Errors
///
/// As [`evaluate`].
pub fn evaluate_until(
    queries: &Embeddings<'_>,
    query_labels: &[u32],
    gallery: Option<(&Embeddings<'_>, &[u32])>,
    options: &RetrievalOptions,
    stop: &AtomicBool,
) -> Result<Option<Retrieval>, RetrievalError> {
    for (name, value) in [("k", options.k), ("num_resamples", options.num_resamples)] {
        if value == 0 {
            return Err(RetrievalError::Option { name, value });
        }
    }
    let same = gallery.is_none();
    let (gallery, labels) = gallery.unwrap_or((queries, query_labels));
    for (embeddings, labels) in [(queries, query_labels), (gallery, labels)] {
        if embeddings.len() != labels.len() {
            let (num_labels, num_embeddings) = (labels.len(), embeddings.len());
            return Err(RetrievalError::Labels { num_labels, num_embeddings });
        }
    }
    if queries.dim() != gallery.dim() {
        return Err(RetrievalError::Dimensions { queries: queries.dim(), gallery: gallery.dim() });
    }

    let mut class_sizes: HashMap<u32, usize> = HashMap::new();
    for &label in labels {
        *class_sizes.entry(label).or_default() += 1;
    }
    let relevant =
        |query: usize| class_sizes.get(&query_labels[query]).map_or(0, |&size| size - usize::from(same));
    let keys = Keys::new(options.metric, queries, (!same).then_some(gallery));
    let ranking =
        Ranking { labels, same, k: options.k, depth: options.k.max(10), sampled: sampled(gallery.len()) };
    let of_query = keys.stride().max(1);
    let most = (MAX_KEYS / of_query).min(MAX_TERMS / of_query.saturating_mul(queries.dim()));
    let tile_queries = most.clamp(8, MAX_QUERIES) / 8 * 8;
    let firsts: Vec<usize> = (0..queries.len()).step_by(tile_queries).collect();
    let tiles = firsts.into_par_iter().map_init(Scratch::default, |scratch, first| {
        if stop.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let tile = first..queries.len().min(first + tile_queries);
        let mut all_keys = std::mem::take(&mut scratch.keys);
        keys.of(tile.clone(), &mut all_keys);
        let mut ranked = Vec::with_capacity(tile.len());
        for (query, keys) in tile.zip(all_keys.chunks_exact_mut(keys.stride().max(1))) {
            let num_relevant = relevant(query);
            if num_relevant > 0 {
                let keys = &mut keys[..gallery.len()];
                ranked.push(ranking.rank(query, query_labels[query], num_relevant, keys, scratch));
            }
        }
        scratch.keys = all_keys;
        ranked
    });
    let ranked: Vec<Ranked> = tiles.collect::<Vec<_>>().into_iter().flatten().collect();
    let stopped = stop.load(Ordering::Relaxed);
    // If all others vote, the vote is the same for every query of a class and says nothing of who is near.
    let all_vote = options.k >= gallery.len().saturating_sub(usize::from(same));
    Ok((!stopped).then(|| {
        let mut found = summarise(&ranked, queries.len(), options);
        found.knn_accuracy = found.knn_accuracy.filter(|_| !all_vote);
        found
    }))
}

fn summarise(ranked: &[Ranked], num_all: usize, options: &RetrievalOptions) -> Retrieval {
    let num_queries = ranked.len();
    let mean = |value: &dyn Fn(&Ranked) -> f64| {
        // Summed in the order of the queries, so that the last bit does not depend on threads.
        (num_queries > 0).then(|| ranked.iter().map(value).sum::<f64>() / num_queries as f64)
    };
    let hit_within = |k: usize| mean(&|ranked| f64::from(u8::from(ranked.first_hit < k)));
    let rows: Vec<[f64; 3]> = ranked
        .iter()
        .map(|ranked| [f64::from(u8::from(ranked.first_hit == 0)), ranked.r_precision, ranked.map_at_r])
        .collect();
    let [precision_at_1, r_precision, map_at_r] =
        bootstrap::intervals(&rows, options.num_resamples, options.seed);
    Retrieval {
        precision_at_1: hit_within(1),
        r_precision: mean(&|ranked| ranked.r_precision),
        map_at_r: mean(&|ranked| ranked.map_at_r),
        recall_at_1: hit_within(1),
        recall_at_5: hit_within(5),
        recall_at_10: hit_within(10),
        knn_accuracy: mean(&|ranked| f64::from(u8::from(ranked.knn_right))),
        k: options.k,
        num_queries,
        num_lone_queries: num_all - num_queries,
        intervals: RetrievalIntervals { precision_at_1, r_precision, map_at_r },
    }
}
