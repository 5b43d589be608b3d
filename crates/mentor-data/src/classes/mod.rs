//! Names of classes: which are one, their order, and what two lists of them do not have in common.

pub(crate) mod differences;
pub(crate) mod names;
pub(crate) mod natural;
