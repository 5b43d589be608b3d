//! The flag `--max-pixels` of every command that reads image files.

use mentor_data::Limits;

/// What is refused for its size.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct ImageLimits {
    /// Refuse image files of more pixels than this [default: 64000000; with a trained model, the limit of its
    /// training]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_pixels: Option<u64>,
}

impl ImageLimits {
    /// Replaces the limit by the given one.
    pub(crate) fn apply(self, limits: &mut Limits) {
        limits.max_pixels = self.max_pixels.unwrap_or(limits.max_pixels);
    }
}
