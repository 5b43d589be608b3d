//! Names of classes: their order, and what two lists of them do not have in common.

pub(crate) mod differences;
pub(crate) mod natural;
