//! Why a file cannot be decoded.

/// Why a file cannot be decoded. Displayed as a reason without the file's name; [`Fault::advice`] says what
/// to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Damaged, cut off, or no image at all.
    #[error("{0}")]
    Damaged(String),
    /// An image of a kind that is not read.
    #[error("{0}")]
    Unsupported(String),
    /// More pixels than allowed. The image may be a good one.
    #[error("its header declares {height}x{width} pixels, over the limit of {max_pixels} (--max-pixels)")]
    TooLarge {
        /// Rows.
        height: u64,
        /// Columns.
        width: u64,
        /// What is allowed.
        max_pixels: u64,
    },
    /// The file itself cannot be read, or is not to be: a dangling link, a pipe, too many bytes.
    #[error("{reason}")]
    Unreadable {
        /// Why.
        reason: String,
        /// What to do.
        advice: &'static str,
    },
}

impl Fault {
    /// What the user can do, as an imperative.
    pub fn advice(&self) -> String {
        match self {
            Self::Damaged(_) => "repair or remove the file".to_owned(),
            Self::Unsupported(_) => "save it as PNG, or remove the file".to_owned(),
            Self::TooLarge { height, width, .. } => {
                let pixels = height.saturating_mul(*width);
                format!("raise the limit with --max-pixels {pixels} (data.options.limits.max_pixels)")
            }
            Self::Unreadable { advice, .. } => (*advice).to_owned(),
        }
    }
}

/// What a decoder said, on one line.
pub(crate) fn damaged(error: &dyn std::fmt::Display) -> Fault {
    let text = one_line(error);
    // What the standard library and the decoders say at the end of a file.
    let ends = ["failed to fill whole buffer", "unexpected end of file", "unexpected EOF"];
    match ends.iter().any(|end| text.contains(end)) {
        true => Fault::Damaged("the file ends in the middle of the image".to_owned()),
        false => Fault::Damaged(text),
    }
}

pub(crate) fn one_line(text: &dyn std::fmt::Display) -> String {
    text.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a file with such a brand is, of the formats that phones and cameras write.
fn media_format(brand: &[u8]) -> Option<&'static str> {
    Some(match brand {
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1" => "an HEIC image",
        b"avif" | b"avis" => "an AVIF image",
        b"crx " => "a raw image of a camera (CR3)",
        b"jxl " => "a JPEG XL image",
        _ => return None,
    })
}

/// The fault of bytes of no known format.
pub(crate) fn not_an_image(bytes: &[u8]) -> Fault {
    if let [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] = bytes
        && let Some(format) = media_format(brand.get(..4).unwrap_or_default())
    {
        return Fault::Unsupported(format!("{format}, which is not read"));
    }
    let start: String = bytes.iter().take(16).map(|&b| char::from(b)).collect();
    Fault::Damaged(match bytes {
        [] => "the file is empty".to_owned(),
        _ if bytes.iter().take(64).all(|&b| (b' '..=b'~').contains(&b) || b.is_ascii_whitespace()) => {
            format!("not an image: it holds text ({start:?})")
        }
        _ => {
            let first: Vec<String> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            format!("not an image of a known format (it starts with {})", first.join(" "))
        }
    })
}
