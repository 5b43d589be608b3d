//! One part of the demo.

/// One run of the demo.
pub(super) struct Lesson {
    /// Directory of the run.
    pub(super) name: &'static str,
    /// What the run does, and why.
    pub(super) story: &'static str,
    /// The configuration, as a user would write it.
    pub(super) config: &'static str,
}
