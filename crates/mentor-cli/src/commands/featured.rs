//! Images and their features, for commands about labels: by a pretrained network, a run, or the pixels.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mentor_backbone::Backbone;
use mentor_data::{BadImage, Dataset, ImageFormat, Note, OpenOptions, Source, escape};
use mentor_train::{FeatureRows, FeaturesOf, TrainedModel};

use crate::commands::backbone_features;
use crate::device::DeviceChoice;
use crate::files::limits::ImageLimits;
use crate::files::user_folders::feature_cache;
use crate::terminal::error::Failure;
use crate::terminal::output;
use crate::terminal::reading::reading_bar;

/// What gives the images their features.
#[derive(Debug, clap::Args)]
pub(crate) struct FeatureArgs {
    /// Take the features of the pretrained network in this file of weights; see mentor backbones [default:
    /// those of --run, else the pixels]
    #[arg(long, value_name = "FILE")]
    pub(crate) backbone: Option<PathBuf>,

    /// Take the features of the model of this complete run
    #[arg(long, value_name = "RUN", conflicts_with = "backbone")]
    pub(crate) run: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) limits: ImageLimits,

    /// Compute on this device: cpu, wgpu[:i], vulkan[:i] or cuda[:i]
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: DeviceChoice,
}

/// What was opened to give features.
pub(crate) enum Giver {
    Backbone(Box<Backbone>),
    Model(Box<TrainedModel>),
    Pixels,
}

impl FeatureArgs {
    pub(crate) fn open(&self) -> Result<Giver, Failure> {
        if let Some(file) = &self.backbone {
            return Ok(Giver::Backbone(Box::new(backbone_features::open(file, None)?)));
        }
        let Some(run) = &self.run else {
            output::note(
                "the features are the pixels: with --backbone FILE photographs are told apart better",
            );
            return Ok(Giver::Pixels);
        };
        let device = self.device.open()?;
        Ok(Giver::Model(Box::new(TrainedModel::load(run, &device.device)?)))
    }

    fn options(&self, on_bad_image: BadImage) -> OpenOptions {
        let observer = reading_bar(false);
        let mut options = OpenOptions { on_bad_image, observer, ..OpenOptions::default() };
        self.limits.apply(&mut options.limits);
        options
    }

    /// Images of which no label is needed; those that cannot be decoded are left out with a warning.
    pub(crate) fn unlabelled(&self, giver: &Giver, data: &str) -> Result<Pictures, Failure> {
        let source = Source::open_unlabelled(data, &self.options(BadImage::Skip))?;
        Pictures::load(source, giver, None)
    }

    /// All images of labelled data, in the format of others, if there are any.
    pub(crate) fn labelled(
        &self,
        giver: &Giver,
        data: &str,
        on_bad_image: BadImage,
        like: Option<&Pictures>,
    ) -> Result<Pictures, Failure> {
        let source = Source::open_undivided(data, &self.options(on_bad_image))?;
        source
            .check_labelled("this command", "name a folder of class folders, or a CSV file `path,label`")?;
        Pictures::load(source, giver, like.map(|like| like.dataset.format()))
    }
}

impl Giver {
    pub(crate) fn features_of(&self) -> FeaturesOf<'_> {
        match self {
            Self::Backbone(backbone) => FeaturesOf::Backbone(backbone),
            Self::Model(model) => FeaturesOf::Model(model),
            Self::Pixels => FeaturesOf::Pixels,
        }
    }

    /// The features of all images, the ones after the others: `[N, width]`.
    pub(crate) fn rows(&self, pictures: &[&Pictures]) -> Result<(Vec<f32>, usize), Failure> {
        let datasets: Vec<&Arc<Dataset>> = pictures.iter().map(|pictures| &pictures.dataset).collect();
        let folder = feature_cache();
        let FeatureRows { mut rows, width, warnings } =
            self.features_of().rows(&datasets, folder.as_deref(), &reading_bar(false))?;
        warnings.iter().for_each(|warning| output::note(&format!("warning: {}", escape(warning))));
        let rows = if rows.len() == 1 { rows.swap_remove(0) } else { rows.concat() };
        Ok((rows, width))
    }
}

/// The images of a data set, decoded, and where they come from.
pub(crate) struct Pictures {
    pub(crate) dataset: Arc<Dataset>,
    files: HashMap<String, PathBuf>,
}

impl Pictures {
    fn load(source: Source, giver: &Giver, format: Option<&ImageFormat>) -> Result<Self, Failure> {
        let format = format.cloned().unwrap_or_else(|| giver.features_of().format(&source));
        let dataset = Arc::new(source.load_all_as(&format)?);
        source
            .notes()
            .iter()
            .chain(dataset.notes())
            // The size is that of the features, and what the data says twice is looked at here.
            .filter(|note| matches!(note, Note::BadImage { .. }))
            .for_each(|note| output::note(&format!("warning: {}", escape(&note.to_string()))));
        let files = source.files().into_iter().map(|(id, path)| (id.to_owned(), path)).collect();
        Ok(Self { dataset, files })
    }

    /// The file of an image; none if the images are an array.
    pub(crate) fn file(&self, index: usize) -> Option<&Path> {
        self.files.get(self.dataset.id(index)).map(PathBuf::as_path)
    }

    /// How the table `table` names an image: by the path of its file from the folder of the table, or a whole
    /// path if it lies elsewhere; an image of an array by its id.
    pub(crate) fn named_in(&self, table: &Path, index: usize) -> String {
        match self.file(index) {
            Some(file) => path_from(table, file),
            None => self.dataset.id(index).to_owned(),
        }
    }
}

/// The path of `file` from the folder of `table`, if it lies below it; else a whole path.
pub(crate) fn path_from(table: &Path, file: &Path) -> String {
    let folder = match table.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let (Ok(folder), Ok(whole)) = (folder.canonicalize(), std::path::absolute(file)) else {
        return file.to_string_lossy().into_owned();
    };
    let below = whole.strip_prefix(&folder).map(Path::to_owned).ok();
    let through_links = || file.canonicalize().ok()?.strip_prefix(&folder).map(Path::to_owned).ok();
    below.or_else(through_links).unwrap_or(whole).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_from_the_folder_of_the_table_or_whole() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("a/b/c.png"), "").unwrap();
        let from = |table: &str| path_from(&root.join(table), &root.join("a/b/c.png"));
        assert_eq!(from("t.csv"), "a/b/c.png");
        assert_eq!(from("a/t.csv"), "b/c.png");
        std::fs::create_dir(root.join("e")).unwrap();
        assert_eq!(from("e/t.csv"), root.join("a/b/c.png").to_str().unwrap());
    }
}
