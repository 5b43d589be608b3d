//! The report of one or several runs: one HTML file that needs no network.
//!
//! [`RunReport::read`] takes what a run directory holds, [`render`] draws it. Every figure is inline SVG or a
//! small PNG, drawn here; colours are CSS variables, so the same file serves light, dark and paper.
//!
//! `page` is the document, `sections` its parts, `drawing` what they are drawn with.

mod drawing;
#[cfg(test)]
mod fixture;
mod history;
mod page;
mod run;
mod sections;
mod suspects;
#[cfg(test)]
mod tests;

pub use run::RunReport;
pub use suspects::{ShownSuspect, suspects_page};

/// The report as one HTML document. Several runs are compared first, then shown one after the other.
pub fn render(runs: &[RunReport]) -> String {
    page::document(runs)
}

/// The head of the report of one run as a document of its own, without scripts: what the run was, its key
/// numbers, and its configuration. A notebook shows it in the place of a run.
pub fn render_head(run: &RunReport) -> String {
    page::head(run)
}
