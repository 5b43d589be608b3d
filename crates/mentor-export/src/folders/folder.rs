//! Files that belong together.

/// The files of a folder, the one that makes it whole last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folder {
    /// Paths with `/`, below the folder, and contents.
    pub files: Vec<(String, Vec<u8>)>,
}

impl Folder {
    pub(crate) fn with(mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.into(), content.into()));
        self
    }
}
