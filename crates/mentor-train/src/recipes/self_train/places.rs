//! Where the stages of self-training are, below the run.

/// Where the teacher of the first round is, below the run.
pub(super) const TEACHER: &str = "teacher";
/// Where the network trained on labels alone is.
pub(super) const BASELINE: &str = "baseline";
/// Where the model of Lee's method is.
pub(super) const PSEUDO_LABEL: &str = "pseudo-label";
/// Where the small model of the end is.
pub(super) const DISTILLED: &str = "distilled";
