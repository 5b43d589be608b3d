//! What the sections are drawn with: axes, plots, pictures, pieces of HTML.

pub(crate) mod axis;
pub(crate) mod chart;
pub(crate) mod html;
pub(crate) mod numbers;
pub(crate) mod picture;
pub(crate) mod sheet;
pub(crate) mod svg;
