//! Teachers: trained models that others learn from, and what they give, kept in a file.

pub(crate) mod cache;
pub(crate) mod error;
pub(crate) mod teacher;

pub use cache::{CacheError, CacheKey, CacheShape, TeacherCache};
