//! The data that a model is judged by: opened as its own was, and given its classes.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use anyhow::anyhow;
use mentor_data::{Dataset, Note, Source, Split, counted, escape, look_alike, shown};
use mentor_run::same_data;
use mentor_train::TrainedModel;

use crate::commands::part::Part;
use crate::terminal::error::Failure;
use crate::terminal::output;
use crate::terminal::table::count;

/// Data that a model is judged by, and what they have in common with those that it was trained on.
pub(super) struct Opened<'a> {
    trained: &'a TrainedModel,
    source: Source,
    /// The same name leads to them.
    own: bool,
    /// They have the same images and labels.
    same: bool,
}

impl<'a> Opened<'a> {
    /// Opens data as that of the model was opened, whatever classes they have.
    pub(super) fn new(trained: &'a TrainedModel, data: &str, part: Part) -> Result<Self, Failure> {
        let file = &trained.file;
        let source = part.open(data, &file.data.options).map_err(|error| {
            let own = file.data.source.as_deref() == Some(data);
            if own && !Path::new(data).exists() {
                let relative =
                    "it is named as in training, from the folder in which mentor ran; go there, or";
                let moved = "it has been moved since training;";
                let why = if Path::new(data).is_relative() { relative } else { moved };
                return Failure::from(error).help(format!("{why} name the data with --data"));
            }
            error.into()
        })?;
        let own = file.data.source.as_deref().is_some_and(|own| same_data(own, source.name()));
        let same = file.source_blake3.as_ref().is_some_and(|blake3| *blake3 == source.fingerprint());
        Ok(Self { trained, source, own, same })
    }

    /// The images of a part in the model's format; what is left out of it is said.
    pub(super) fn load(&self, part: Part) -> Result<Arc<Dataset>, Failure> {
        let dataset = part.load(&self.source, self.trained.format(), self.own || self.same)?;
        warn_of_images(self.source.notes().iter().chain(dataset.notes()));
        Ok(dataset)
    }

    /// Warns if the model may have been trained on images that evaluate it, and if the split is drawn at
    /// random. Random splits change if the data does.
    pub(super) fn warn(&self, part: Part) {
        let Self { trained, source, own, same } = self;
        if matches!(part, Part::All | Part::Split(Split::Train)) && (*own || *same) {
            output::note(&format!(
                "warning: {}: holds the images that the model was trained on; these numbers do not estimate \
                 its accuracy on new images (--split test does)",
                shown(source.name())
            ));
        } else if let (false, false, false, Part::Split(split)) = (*own, *same, source.has_own_splits(), part)
        {
            let all: usize = Split::ALL.into_iter().map(|split| source.num_images(split)).sum();
            output::note(&format!(
                "warning: {}: has no splits of its own; {} drawn from {} by chance; --split all evaluates \
                 every image",
                shown(source.name()),
                counted(
                    source.num_images(split),
                    &format!("{split} image is"),
                    &format!("{split} images are")
                ),
                counted(all, "image", "images"),
            ));
        } else if *own && !*same && trained.file.source_blake3.is_some() {
            output::note(&format!(
                "warning: {}: its training or validation images have changed since the model was trained; \
                 unless it has splits of its own, the model may have learned from some of these",
                source.name()
            ));
        }
    }
}

/// Images that are left out or counted more than once change the numbers, so that they are always reported.
fn warn_of_images<'a>(notes: impl Iterator<Item = &'a Note>) {
    let told = |note: &&Note| {
        matches!(
            note,
            Note::BadImage { .. }
                | Note::LeftOut { .. }
                | Note::FewLevels { .. }
                | Note::Repeated { split: None, .. }
        )
    };
    for note in notes.filter(told) {
        output::note(&format!("warning: {}", escape(&note.to_string())));
    }
}

/// The images of a part of the data in the format of a model, whatever their classes. Prints what is left
/// out.
pub(in crate::commands) fn images(
    trained: &TrainedModel,
    data: &str,
    split: Part,
) -> Result<Arc<Dataset>, Failure> {
    Opened::new(trained, data, split)?.load(split)
}

/// A part of the data with the classes of a classifier, in its format. Prints what is left out.
pub(in crate::commands) fn labelled(
    trained: &TrainedModel,
    data: &str,
    split: Part,
) -> Result<Arc<Dataset>, Failure> {
    let opened = Opened::new(trained, data, split)?;
    let dataset = in_classes_of_model(data, opened.load(split)?, trained.classes())?;
    opened.warn(split);
    Ok(dataset)
}

/// The same samples with the classes of the model, found by their names. Prints the classes of the model that
/// have no sample.
///
/// # Errors
///
/// If samples are of classes that the model lacks.
fn in_classes_of_model(
    data: &str,
    dataset: Arc<Dataset>,
    classes: &[String],
) -> Result<Arc<Dataset>, Failure> {
    let places: HashMap<&str, u32> = classes.iter().map(String::as_str).zip(0..).collect();
    let counts = dataset.class_counts();
    let mut any_alike = false;
    let unknown: Vec<String> = dataset
        .classes()
        .iter()
        .zip(&counts)
        .filter(|&(class, &count)| count > 0 && !places.contains_key(class.as_str()))
        .map(|(class, &num_images)| {
            let alike = look_alike(class, classes);
            any_alike |= alike.is_some();
            let alike = alike.map_or(String::new(), |name| format!("; the model has {name:?}"));
            format!("{class:?} ({}{alike})", count(num_images as u64))
        })
        .collect();
    if !unknown.is_empty() {
        let error = anyhow!("{data}: has images of classes that the model lacks: {}", some_of(&unknown));
        let help = match any_alike {
            true => {
                "give classes that look alike the same name if they are one class, or leave them out of the \
                 data"
            }
            false => "leave them out of the data, rename them to classes of the model, or train on this data",
        };
        return Err(Failure::data(error).help(help));
    }
    let target = |&target: &u32| places[dataset.classes()[target as usize].as_str()];
    let targets: Vec<u32> = dataset.targets().iter().map(target).collect();
    let seen: HashSet<u32> = targets.iter().copied().collect();
    let absent: Vec<String> = classes
        .iter()
        .zip(0..)
        .filter(|(_, class)| !seen.contains(class))
        .map(|(name, _)| format!("{name:?}"))
        .collect();
    if !absent.is_empty() {
        output::note(&format!(
            "note: {data}: has no image of {}: these classes have no measures",
            some_of(&absent)
        ));
    }
    if dataset.classes() == classes {
        return Ok(dataset);
    }
    Ok(Arc::new(Dataset::join(vec![Arc::unwrap_or_clone(dataset)], classes, targets)))
}

/// The first of some names, and how many more there are.
fn some_of(names: &[String]) -> String {
    const NUM_NAMED: usize = 8;
    match names.len().saturating_sub(NUM_NAMED) {
        0 => names.join(", "),
        more => format!("{} and {} more", names[..NUM_NAMED].join(", "), count(more as u64)),
    }
}

#[cfg(test)]
mod tests {
    use mentor_data::OpenOptions;

    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    /// One image for each target, an index of `classes`.
    fn dataset(classes: &str, targets: &[u32]) -> Arc<Dataset> {
        let digits = Source::open("digits", &OpenOptions::default()).unwrap().load(Split::Test).unwrap();
        let samples: Vec<u32> = (0..targets.len() as u32).collect();
        Arc::new(Dataset::join(vec![digits.subset(&samples)], &names(classes), targets.to_vec()))
    }

    #[test]
    fn classes_are_found_by_name_whatever_their_order_and_number() {
        let model = names("bird cat dog");
        for (classes, targets, expected) in [
            ("bird cat dog", vec![0, 1, 2], vec![0, 1, 2]),
            ("cat dog", vec![0, 1, 1], vec![1, 2, 2]),
            ("dog", vec![0, 0], vec![2, 2]),
            ("dog cat bird", vec![0, 1, 2], vec![2, 1, 0]),
            // A class that the model lacks, and no image of it.
            ("bird cat emu", vec![1, 0], vec![1, 0]),
        ] {
            let found = in_classes_of_model("x", dataset(classes, &targets), &model).unwrap();
            assert_eq!((found.classes(), found.targets()), (&model[..], &expected[..]), "{classes}");
        }
    }

    #[test]
    fn images_of_classes_that_the_model_lacks_are_named() {
        let data = dataset("cat emu frog", &[0, 1, 1, 2]);
        let error = in_classes_of_model("x", data, &names("cat dog")).unwrap_err();
        let text = error.render(&clap::Command::new("mentor")).unwrap();
        assert!(
            text.contains(r#"the model lacks: "emu" (2), "frog" (1)"#)
                && text.contains("help: leave them out"),
            "{text}"
        );
        let alike = in_classes_of_model("x", dataset("Cat emu", &[0, 1]), &names("cat dog")).unwrap_err();
        let text = alike.render(&clap::Command::new("mentor")).unwrap();
        let expected = r#"lacks: "Cat" (1; the model has "cat"), "emu" (1)"#;
        assert!(text.contains(expected) && text.contains("the same name if they are one class"), "{text}");
        let many: Vec<String> = (0..20).map(|name| name.to_string()).collect();
        assert_eq!(some_of(&many), "0, 1, 2, 3, 4, 5, 6, 7 and 12 more");
    }
}
