//! The section on embeddings: what they retrieve, how far classes are apart, and how training went for them.

use mentor_run::records::embeddings::EmbeddingAnalysis;

use super::{distances, health, map, neighbours};
use crate::drawing::sheet::Sheet;

/// The two numbers that embeddings are judged by: what a reader calls them, and what metrics and summaries
/// do.
pub(crate) const QUALITY: [(&str, &str); 2] =
    [("validation MAP@R", "val_map_at_r"), ("validation P@1", "val_precision_at_1")];

/// All panels of the section.
pub(crate) fn section(analysis: &EmbeddingAnalysis, id: &str) -> String {
    let class = |label: u32| {
        analysis.classes.get(label as usize).cloned().unwrap_or_else(|| format!("class {label}"))
    };
    let sheet = Sheet::new(&analysis.pictures, id);
    let mut html = neighbours::numbers(analysis);
    html += &distances::panel(&analysis.distances, id);
    html += &map::panel(&analysis.map, &class, &sheet, id);
    html += &health::panels(&analysis.health, analysis.margin, id);
    if !analysis.rows.is_empty() {
        html += &neighbours::rows(analysis, &class, &sheet);
    }
    html + &sheet.html
}
