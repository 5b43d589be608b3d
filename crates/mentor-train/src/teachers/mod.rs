//! Teachers: what students learn from, and what they give, kept in a file.

pub(crate) mod cache;
pub(crate) mod error;
pub(crate) mod images;
pub(crate) mod outputs;
pub(crate) mod teacher;
pub(crate) mod trained;

pub use cache::{CacheError, CacheKey, CacheShape, TeacherCache};
pub use error::TeacherError;
pub use images::AugmentedImages;
pub use teacher::{FixedOutputs, Teacher};
pub use trained::TrainedTeacher;
