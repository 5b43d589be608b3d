//! Files: those of a run, which may be a stranger's, and those that the user names. Both appear whole or not
//! at all.

mod atomic;
mod plain;

use std::path::Path;

pub use self::atomic::{Temporary, beside, replace, sync_folder_of, write_atomically};
pub(crate) use self::atomic::{owner_in_run, remove_abandoned};
pub(crate) use self::plain::{MAX_CONFIG, MAX_LOG, MAX_RECORD, append_plain};
pub use self::plain::{
    MAX_HEADER, create_inside, exists, inside, open_named, open_or_create, open_plain, read_named, read_plain,
};
use crate::error::RunDirError;

/// Says which file a system error is about, and what was tried with it.
pub fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> RunDirError + use<> {
    let path = path.to_owned();
    move |source| RunDirError::Io { path, action, source }
}
