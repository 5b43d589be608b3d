//! What to do about an error.

use mentor_codec::Fault;

use super::DataError;
use crate::shown::{shown, shown_path};

/// What to do about images that two splits share.
pub(crate) const DIFFERENT: &[&str] =
    &["give the splits different images", "keep them with `data.options.keep_duplicates`"];

impl DataError {
    /// What to do next: ways of which one is enough, such as `check the path`. A way that needs an option
    /// names its key in the configuration in backquotes, such as `` `data.options.on_bad_image` ``.
    #[must_use]
    pub fn help(&self) -> Vec<String> {
        let ways: &[&str] = match self {
            Self::NoDataSet { .. } => &["check the path", "use digits for the embedded data set"],
            Self::NotFound { .. } => &["check the path"],
            Self::Pattern { .. } => &["check the folder and the pattern, and quote it for the shell"],
            Self::StaleIndex { .. } => {
                &["fetch the shard again", "write the index again with mentor data --write-index"]
            }
            Self::Exists { .. } => &["name another", "remove it"],
            Self::Io { .. } => &["check that the file can be read"],
            Self::Unrecognised { .. } => {
                &["give a folder of images, a folder with IDX files, a .csv manifest or an .npz file"]
            }
            Self::Empty { hint, .. } | Self::LabelOutOfRange { hint, .. } => &[hint],
            Self::ClassName { .. } => &["rename it"],
            Self::OneClass { hint, .. } => &[hint],
            Self::OneClassLeft { copies: true, .. } => DIFFERENT,
            Self::OneClassLeft { copies: false, .. } => &["repair them", "add others"],
            Self::SplitOrClass { folder, .. } => {
                let inside = format!("name the folder \"{}\" itself to use the classes in it", shown(folder));
                return vec![inside, "rename it if it is a class".to_owned()];
            }
            Self::SplitTwice { .. } => &["put their images into one folder", "move the others away"],
            Self::SplitsInClass { class, .. } => {
                let inside = format!("name \"{}\" itself if the classes lie below", shown(class));
                return vec![inside, "give every class the same folders".to_owned()];
            }
            Self::TooDeep { .. } => &["name a folder further down", "move the images up"],
            Self::IdxName { .. } => {
                &["name it and its partner as those of MNIST: train-images-idx3-ubyte and \
                 train-labels-idx1-ubyte"]
            }
            Self::SeveralSets { example, .. } => {
                return vec![format!("name a file of one of them, such as {}", shown_path(example))];
            }
            Self::MissingHeader { expected, .. } => return vec![format!("put {expected} above it")],
            Self::NotUtf8 { .. } => &["save the file as UTF-8"],
            Self::UnknownClass { alike: Some(_), .. } => &["give both the same name if they are one class"],
            Self::UnknownClass { .. } => &["add it to train", "remove it"],
            Self::Truncated { .. } => &["fetch the file again"],
            Self::WrongMagic { .. } => &["check that the name fits the content"],
            Self::Damaged { .. } => &["write the file again", "fetch it again"],
            Self::TooLarge { option, .. } => return vec![format!("raise `data.options.limits.{option}`")],
            Self::MissingPartner { .. } => &["put it beside the other, plain or gzipped"],
            Self::CountMismatch { .. } => &["they must come from the same export"],
            Self::ShapeMismatch { .. } => &["export both at one size"],
            Self::MissingColumn { expected, .. } => {
                return vec![format!("the first line must be {expected}")];
            }
            Self::ManifestLine { .. } => &["correct the line", "remove it"],
            Self::MissingArray { .. } => &["write it with numpy.savez(file, x=images, y=labels)"],
            Self::BadArray { .. } => &["correct the array and save it again"],
            Self::NotFinite { .. } => &["replace values that are not finite"],
            Self::BadImage { fault, can_be_skipped, .. } => return bad_image_help(fault, *can_be_skipped),
            Self::NoSplit { hint, .. } | Self::Unlabelled { hint, .. } => &[hint],
            Self::NothingLeft { ways, .. } => ways,
            Self::Interrupted => &["the same command begins again"],
            Self::ClassBalance { name, most, .. } => return class_balance_help(name, *most),
            Self::TooFewClasses { .. } => &["add classes", "set `data.options.split_by` to sample"],
            Self::InvalidOption { .. } | Self::Store { .. } | Self::Inconsistent { .. } => &[],
        };
        ways.iter().map(|&way| way.to_owned()).collect()
    }
}

/// Ways out for batches that need more classes, or more images of one, than there are `most` of.
fn class_balance_help(name: &str, most: usize) -> Vec<String> {
    let fewer = (most >= 2).then(|| format!("choose at most {most}"));
    let more = match name {
        "samples_per_class" => {
            let fractions = "`data.options.val_fraction` and `data.options.test_fraction`";
            vec![format!("lower {fractions}, which take images from training"), "add images".to_owned()]
        }
        _ => vec!["add classes".to_owned()],
    };
    fewer.into_iter().chain(more).collect()
}

/// A way out for the image itself; a data set can also be opened without it.
fn bad_image_help(fault: &Fault, can_be_skipped: bool) -> Vec<String> {
    let mut ways = vec![match fault {
        Fault::TooLarge { height, width, .. } => {
            format!("raise `data.options.limits.max_pixels` to {}", height.saturating_mul(*width))
        }
        fault => fault.advice(),
    }];
    if can_be_skipped {
        ways.push("set `data.options.on_bad_image` to skip or quarantine".to_owned());
    }
    ways
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_one_line_with_place_reason_and_next_step() {
        let error = DataError::Truncated { path: "a/b".into(), expected: 10, found: 7 };
        assert_eq!(error.to_string(), "a/b: truncated: its header declares 10 bytes of data, 7 are there");
        assert_eq!(error.help(), ["fetch the file again"]);
    }

    #[test]
    fn names_are_on_one_line_and_bounded() {
        let class = "L".repeat(70_000);
        let message =
            DataError::OneClass { path: "a\nb\u{1b}".into(), class, hint: String::new() }.to_string();
        assert!(
            message.starts_with(r#"a\nb\u{1b}: holds only the class "LLL"#) && message.len() < 500,
            "{message}"
        );
    }

    #[test]
    fn an_image_over_a_limit_is_not_called_damaged() {
        let help = |fault| DataError::BadImage { path: "a.png".into(), fault, can_be_skipped: true }.help();
        assert_eq!(help(Fault::Damaged("the file is empty".to_owned()))[0], "repair or remove the file");
        let large = Fault::TooLarge { height: 2, width: 5, max_pixels: 9 };
        assert_eq!(help(large)[0], "raise `data.options.limits.max_pixels` to 10");
    }
}
