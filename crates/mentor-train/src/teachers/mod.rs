//! Teachers: trained models that students learn from, and the cache of their outputs.

pub(crate) mod cache;
pub(crate) mod error;
pub(crate) mod teacher;

pub use cache::{CacheError, CacheKey, CacheShape, TeacherCache};
