//! Where the stages of self-training are, below the run.

/// Where trials of the length of teacher and baseline are.
pub(super) const LENGTH: &str = "length";
/// What came of them.
pub(super) const LENGTH_FILE: &str = "length.json";
/// Where the teacher of the first round is, below the run.
pub(super) const TEACHER: &str = "teacher";
/// Where the network trained on labels alone is.
pub(super) const BASELINE: &str = "baseline";
/// Where the model of Lee's method is.
pub(super) const PSEUDO_LABEL: &str = "pseudo-label";
/// Where the small model of the end is.
pub(super) const DISTILLED: &str = "distilled";
