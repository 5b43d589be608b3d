//! Every query against every gallery sample, in tiles whose size does not grow with their product.

use std::collections::HashMap;

use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use super::embeddings::{Embeddings, Prepared};
use super::rank::{Ranked, Ranking, Scratch, sampled};
use super::{Retrieval, RetrievalError, RetrievalIntervals, RetrievalOptions, bootstrap};

/// Products of a tile, at most, unless one row is longer: 28 MiB, which the C library's allocator keeps for the next
/// tile instead of giving it back, page by page.
const TILE_PRODUCTS: usize = 7 << 20;
/// Queries of a tile, at most.
const TILE_ROWS: usize = 1024;

/// Evaluates `queries` against `gallery`, embeddings with their labels; without one, against each other, where no
/// query is its own neighbour.
///
/// The order of neighbours is exact: that of distances in `f64`, equal ones by the lower index. Memory is that of the
/// embeddings, once more, and of one tile. Labels are any numbers; equal ones are a class. The result does not depend
/// on the number of threads.
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
    let prepared = Prepared::new(options.metric, (!same).then_some(queries), gallery);
    let ranking = Ranking {
        prepared: &prepared,
        metric: options.metric,
        queries: *queries,
        gallery: *gallery,
        labels,
        same,
        k: options.k,
        depth: options.k.max(10),
        sampled: sampled(gallery.len()),
    };
    let mut ranked: Vec<Ranked> = Vec::with_capacity(queries.len());
    let products = Products::new(&prepared.gallery, gallery.dim());
    let tile_rows = (TILE_PRODUCTS / gallery.len().max(1)).clamp(1, TILE_ROWS);
    let mut first = 0;
    // Without a gallery every query is lone, and there is nothing to multiply.
    while first < queries.len() && !gallery.is_empty() {
        let rows = tile_rows.min(queries.len() - first);
        let tile = products.with(prepared.queries(first, rows), rows);
        let tile = tile.as_slice::<f32>().expect("an f32 tensor can be read back as f32");
        let results = tile.par_chunks_exact(gallery.len()).enumerate().map_init(
            Scratch::default,
            |scratch, (row, products)| {
                let query = first + row;
                let num_relevant = relevant(query);
                (num_relevant > 0)
                    .then(|| ranking.rank(query, query_labels[query], num_relevant, products, scratch))
            },
        );
        ranked.extend(results.collect::<Vec<_>>().into_iter().flatten());
        first += rows;
    }
    Ok(summarise(&ranked, queries.len(), options))
}

/// Products of rows with every gallery sample: the one place where most of the arithmetic is.
struct Products {
    /// `[dim, gallery]`.
    gallery: Tensor<2>,
    dim: usize,
    device: Device,
}

impl Products {
    fn new(gallery: &[f32], dim: usize) -> Self {
        let device = Device::flex();
        let shape = [gallery.len() / dim, dim];
        let gallery = Tensor::from_data(TensorData::new(gallery.to_vec(), shape), &device);
        Self { gallery: gallery.transpose(), dim, device }
    }

    /// `[rows, gallery]`, row by row.
    fn with(&self, rows: &[f32], count: usize) -> TensorData {
        let rows = TensorData::new(rows.to_vec(), [count, self.dim]);
        let rows: Tensor<2> = Tensor::from_data(rows, &self.device);
        // Data, not a vector, since that would be a copy.
        rows.matmul(self.gallery.clone()).into_data()
    }
}

fn summarise(ranked: &[Ranked], num_all: usize, options: &RetrievalOptions) -> Retrieval {
    let num_queries = ranked.len();
    let mean = |value: &dyn Fn(&Ranked) -> f64| {
        // Summed in the order of the queries, so that the last bit does not depend on threads.
        if num_queries == 0 { 0.0 } else { ranked.iter().map(value).sum::<f64>() / num_queries as f64 }
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
