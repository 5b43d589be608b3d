//! Files that commands read and write beside runs.

pub(crate) mod embeddings;
pub(crate) mod exported;
pub(crate) mod images;
pub(crate) mod limits;
pub(crate) mod npy;
pub(crate) mod run_name;
pub(crate) mod saved_index;
pub(crate) mod shard_manifest;
pub(crate) mod user_folders;
