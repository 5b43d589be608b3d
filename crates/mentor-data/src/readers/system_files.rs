//! Files and folders that systems make beside those of the user: thumbnails, recycle bins, metadata.

/// Names in lower case, beside all that begin with a dot.
const NAMES: [&str; 31] = [
    // Network storage
    "@eadir",
    "@recycle",
    "@recently-snapshot",
    "@snapshot",
    "@tmp",
    "@synoresource",
    "#recycle",
    "#snapshot",
    "network trash folder",
    "temporary items",
    "thevolumesettingsfolder",
    // Windows
    "$recycle.bin",
    "recycler",
    "recycled",
    "system volume information",
    "thumbs.db",
    "ehthumbs.db",
    "ehthumbs_vista.db",
    "desktop.ini",
    "found.000",
    "folder.htt",
    "zbthumbnail.info",
    // macOS
    "__macosx",
    "icon\r",
    "desktop db",
    "desktop df",
    // Unix and tools
    "lost+found",
    "__pycache__",
    "aquota.user",
    "aquota.group",
    "picasa.ini",
];

/// What programs call folders of smaller copies, behind a sign such as `_` or `@` that no class begins with.
const THUMBNAILS: [&str; 4] = ["thumb", "thumbs", "thumbnail", "thumbnails"];

/// Whether a file or folder of this name is hidden, or made by a system or a tool.
pub(crate) fn is_system(name: &str) -> bool {
    let lower = name.to_lowercase();
    lower.starts_with('.')
        || NAMES.contains(&lower.as_str())
        || THUMBNAILS.contains(&lower.trim_start_matches(['@', '_', '$', '#']))
            && !lower.starts_with(|first: char| first.is_alphanumeric())
        || lower.contains("@syno")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systems_make_is_known_and_classes_are_not_taken_for_it() {
        for name in [
            "@eaDir",
            ".DS_Store",
            "._cat.png",
            "Thumbs.db",
            "__MACOSX",
            "$RECYCLE.BIN",
            "a.png@SynoEAStream",
            "@__thumb",
            "_thumbs",
            ".thumbnails",
            "__Thumbnails",
        ] {
            assert!(is_system(name), "{name}");
        }
        for name in ["cat", "@cat", "#1", "$5", "recycling", "icon", "thumbs", "_private"] {
            assert!(!is_system(name), "{name}");
        }
    }
}
