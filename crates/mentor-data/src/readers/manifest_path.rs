//! Which file a path of a manifest means: the one it names, or else the one that it names as another system
//! would write it.

use std::path::{Path, PathBuf};

use mentor_codec::Fault;
use unicode_normalization::UnicodeNormalization;

use crate::error::DataError;

/// The file that is meant.
pub(crate) struct Meant {
    pub(crate) path: PathBuf,
    /// If it is not named as it is written: what was done, and the path as it was read.
    pub(crate) how: Option<(&'static str, String)>,
    /// Why it cannot be read, if there is no such file.
    pub(crate) problem: Option<Fault>,
}

/// Finds the file that `written` in line `line` means in `folder`.
///
/// # Errors
///
/// If the system cannot say whether there is such a file.
pub(crate) fn find(folder: &Path, written: &str, line: u64) -> Result<Meant, DataError> {
    let path = folder.join(written);
    let problem = |what: String| {
        let reason = format!("{what} (line {line} of the manifest)");
        Some(Fault::Unreadable { reason, advice: "correct or remove the line" })
    };
    let error = match std::fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => {
            return Ok(Meant { path, how: None, problem: problem("is a folder".to_owned()) });
        }
        Ok(_) => return Ok(Meant { path, how: None, problem: None }),
        Err(error) => DataError::io(&path, error),
    };
    let found = readings(written).into_iter().find(|(_, read)| folder.join(read).is_file());
    if let Some((how, read)) = found {
        return Ok(Meant { path: folder.join(&read), how: Some((how, read)), problem: None });
    }
    let Some(fault) = error.unreadable() else { return Err(error) };
    let hint = hint_for(written).filter(|_| matches!(error, DataError::NotFound { .. })).unwrap_or_default();
    Ok(Meant { path, how: None, problem: problem(format!("{fault}{hint}")) })
}

/// Other readings of a path, each with what was done.
fn readings(written: &str) -> Vec<(&'static str, String)> {
    let mut readings = Vec::new();
    let address = written.strip_prefix("file://");
    let plain = address.unwrap_or(written);
    if address.is_some() {
        readings.push(("without file://", plain.to_owned()));
    }
    if plain.contains('\\') {
        readings.push((r"with / for \", plain.replace('\\', "/")));
    }
    if let Some(decoded) = percent_decoded(plain) {
        readings.push(("with its percent signs decoded", decoded));
    }
    for other in [plain.nfc().collect::<String>(), plain.nfd().collect()] {
        if other != plain {
            readings.push(("in another Unicode form", other));
        }
    }
    readings
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    decoded.extend(parts.next()?.as_bytes());
    for part in parts {
        decoded.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        decoded.extend(&part.as_bytes()[2..]);
    }
    String::from_utf8(decoded).ok().filter(|decoded| decoded != text)
}

/// Why there may be no such file.
fn hint_for(written: &str) -> Option<&'static str> {
    if written.starts_with("http://") || written.starts_with("https://") || written.starts_with("s3://") {
        Some(": it is an address; fetch the image first")
    } else if written.starts_with('~') {
        Some(": ~ is not the home folder in a manifest; write the path in full")
    } else if Path::new(written).exists() {
        Some(": it is looked for beside the manifest, not in the current folder")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_signs_are_decoded_only_if_all_are_codes() {
        assert_eq!(percent_decoded("a%20b%C3%A9.png").as_deref(), Some("a b\u{e9}.png"));
        for text in ["plain.png", "100%.png", "50%zz.png", "%ff.png"] {
            assert_eq!(percent_decoded(text), None, "{text}");
        }
    }
}
