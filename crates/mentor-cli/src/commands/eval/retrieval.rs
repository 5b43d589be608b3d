//! Retrieval among the embeddings of a part of some data.

use mentor_data::Split;
use mentor_metrics::retrieval::{self, Embeddings, Retrieval, RetrievalOptions};
use mentor_train::TrainedModel;
use serde::Serialize;

use super::data::Opened;
use crate::commands::part::Part;
use crate::terminal::error::Failure;
use crate::terminal::table::{interval, share};

/// Retrieval among embeddings, as JSON has it.
#[derive(Serialize)]
pub(crate) struct RetrievalResult {
    split: Part,
    /// The split that is searched; the evaluated one, each query left out, where none is named.
    gallery: Part,
    #[serde(flatten)]
    pub(in crate::commands) retrieval: Retrieval,
}

/// Opens the data in the model's format, embeds it, and evaluates retrieval.
pub(crate) fn retrieve(
    trained: &TrainedModel,
    data: &str,
    split: Part,
    gallery: Option<Split>,
    batch_size: usize,
) -> Result<RetrievalResult, Failure> {
    let opened = Opened::new(trained, data, split)?;
    opened.warn(split);
    let embed = |part: Part| -> Result<_, Failure> {
        let dataset = opened.load(part)?;
        Ok((trained.embed(&dataset, batch_size)?, dataset))
    };
    let (values, queries) = embed(split)?;
    let dim = values.len() / queries.len().max(1);
    let rows = |values| Embeddings::new(values, dim.max(1)).map_err(Failure::from);
    let gallery = gallery.map(Part::Split);
    let searched = match gallery.filter(|&gallery| gallery != split) {
        Some(gallery) => Some(embed(gallery)?),
        None => None,
    };
    let searched = match &searched {
        Some((values, dataset)) => Some((rows(values)?, dataset.targets())),
        None => None,
    };
    let options = RetrievalOptions { metric: trained.metric(), ..RetrievalOptions::default() };
    let searched = searched.as_ref().map(|(gallery, labels)| (gallery, *labels));
    let retrieval = retrieval::evaluate(&rows(&values)?, queries.targets(), searched, &options);
    let retrieval = retrieval?;
    Ok(RetrievalResult { split, gallery: gallery.unwrap_or(split), retrieval })
}

/// The measures, one a line.
pub(super) fn table(found: &Retrieval) -> String {
    let lines = [
        ("P@1", found.precision_at_1, interval(found.intervals.precision_at_1)),
        ("R-precision", found.r_precision, interval(found.intervals.r_precision)),
        ("MAP@R", found.map_at_r, interval(found.intervals.map_at_r)),
        ("recall@5", found.recall_at_5, String::new()),
        ("recall@10", found.recall_at_10, String::new()),
        ("k-NN accuracy", found.knn_accuracy, format!("  (k = {})", found.k)),
    ];
    let mut text: String =
        lines.iter().map(|(name, value, more)| format!("  {name:<15} {}{more}\n", share(*value))).collect();
    if found.num_queries == 0 {
        text.push_str(
            "  note            no image has another of its class, so that the measures are undefined\n",
        );
    }
    text
}
