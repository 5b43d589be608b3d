//! `mentor eval`: a trained model on a split of a data set.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::anyhow;
use mentor_data::{Dataset, Note, Source, Split, counted, escape, look_alike, shown, shown_path};
use mentor_metrics::classification::{Evaluation, SampleResult};
use mentor_metrics::retrieval;
use mentor_metrics::retrieval::{Embeddings, Retrieval, RetrievalOptions};
use mentor_model::Head;
use mentor_run::{json, same_data, write_atomically};
use mentor_train::TrainedModel;
use serde::Serialize;

use super::part::Part;
use crate::device::DeviceChoice;
use crate::files::limits::ImageLimits;
use crate::terminal::error::Failure;
use crate::terminal::output;
use crate::terminal::table::{Align, Table, count, interval, share};

/// Classes shown; of more, those with the lowest F1.
const NUM_SHOWN: usize = 30;

const EXAMPLES: &str = "\
Examples:
  mentor eval runs/b
      the test split of the data that the model was trained on
  mentor eval runs/b --data more/ --split all --json --per-sample losses.csv
      every image of another folder, and not a test split drawn from it
  mentor eval runs/faces --split test --gallery train
      an embedding model: for each test image, how many of its nearest training images are of its class

Numbers in brackets are 95 % intervals: of the accuracy Wilson's, of retrieval those of a bootstrap over the queries. Macro averages \
are means over the classes that have images. What is undefined, such as the recall of a class without images, is a dash, and null in JSON.

JSON of a classifier: split, num_samples, loss (data_loss + penalty), data_loss, penalty, accuracy, accuracy_interval, macro_recall, \
macro_f1, top5_accuracy, ece (expected calibration error), per_class[] (class, num_samples, num_predicted, precision, recall, f1), \
confusion[target][predicted] (of more than 100 classes num_classes and the lists target, predicted and count of what is above 0), \
calibration[].

JSON of embeddings: split, gallery, precision_at_1, r_precision, map_at_r, recall_at_1, recall_at_5, recall_at_10, \
knn_accuracy, k, num_queries, num_lone_queries (images without another of their class, left out), intervals.";

/// Evaluate a trained model: loss, accuracy, calibration, every class; of embeddings, retrieval
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Directory of a complete run
    #[arg(value_name = "RUN")]
    run: PathBuf,

    /// Data to evaluate on; for a classifier with some or all of its classes, under the same names [default:
    /// what the model was trained on]
    #[arg(long, value_name = "DATA")]
    data: Option<String>,

    /// Which part: train, val or test; or all, for a folder of nothing but images to test on
    #[arg(long, value_name = "SPLIT", default_value = "test")]
    split: Part,

    /// Write id, target, predicted, confidence and loss of every image to a CSV file
    #[arg(long, value_name = "FILE")]
    per_sample: Option<PathBuf>,

    /// Evaluate the embeddings of a classifier, the values that its last layer sees, as those of an embedding
    /// model
    #[arg(long)]
    retrieval: bool,

    /// Search in this split instead of among the other images of the evaluated one
    #[arg(long, value_name = "SPLIT")]
    gallery: Option<Split>,

    /// Images of one forward pass
    #[arg(long, value_name = "COUNT", default_value = "256", value_parser = batch_size)]
    batch_size: usize,

    #[command(flatten)]
    limits: ImageLimits,

    /// cpu, wgpu[:i], vulkan[:i] or cuda[:i]
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: DeviceChoice,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Reads a number of at least 1.
pub(super) fn batch_size(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&size| size > 0).ok_or_else(|| "write a number of at least 1".to_owned())
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    if let Some(folder) = args.per_sample.as_deref().and_then(Path::parent)
        && !folder.as_os_str().is_empty()
        && !folder.is_dir()
    {
        return Err(Failure::usage(anyhow!("--per-sample: there is no folder {}", shown_path(folder))));
    }
    let device = args.device.open()?;
    let mut trained = TrainedModel::load(&args.run, &device.device)?;
    args.limits.apply(&mut trained.file.data.options.limits);
    let trained_on = trained.file.data.source.clone().unwrap_or_default();
    let data = args.data.clone().unwrap_or(trained_on);
    let classifier = matches!(trained.file.spec.head, Head::Classifier { .. });
    if args.retrieval || !classifier {
        if args.per_sample.is_some() {
            return Err(Failure::usage(anyhow!(
                "--per-sample gives losses of scores, which embeddings have not"
            )));
        }
        return run_retrieval(args, &trained, &data);
    }
    if args.gallery.is_some() {
        let error = anyhow!("--gallery is for embeddings, and {} is a classifier", shown_path(&args.run));
        return Err(Failure::usage(error).help("add --retrieval to evaluate its embeddings"));
    }
    let evaluated = evaluate(&trained, &data, args.split, args.batch_size)?;
    if let Some(path) = &args.per_sample {
        write_per_sample(path, &evaluated)?;
    }
    if args.json {
        return output::json(&evaluated.evaluation);
    }
    let heading = format!(
        "{} on {}, {}: {} images\n",
        shown_path(&args.run),
        shown(&data),
        args.split.described(),
        count(evaluated.evaluation.num_samples as u64)
    );
    output::text(&(heading + &table(&evaluated.evaluation)))
}

/// Retrieval among embeddings, as JSON has it.
#[derive(Serialize)]
pub(super) struct RetrievalResult {
    split: Part,
    /// The split that is searched; the evaluated one, each query left out, where none is named.
    gallery: Part,
    #[serde(flatten)]
    pub(super) retrieval: Retrieval,
}

fn run_retrieval(args: &Args, trained: &TrainedModel, data: &str) -> Result<(), Failure> {
    if args.split == Part::All && args.gallery.is_some() {
        let error = anyhow!("--split all holds the images of --gallery too, and each would find itself");
        return Err(Failure::usage(error).help("evaluate one split against another, or leave --gallery out"));
    }
    let result = retrieve(trained, data, args.split, args.gallery, args.batch_size)?;
    if args.json {
        return output::json(&result);
    }
    let Retrieval { num_queries, num_lone_queries, .. } = &result.retrieval;
    let lone = match num_lone_queries {
        0 => String::new(),
        lone => format!(", {} more without another image of their class", count(*lone as u64)),
    };
    let heading = format!(
        "{} on {}: {} as queries{lone}, searched among {}\n",
        shown_path(&args.run),
        shown(data),
        match args.split {
            Part::All => counted(*num_queries, "image of all splits", "images of all splits"),
            Part::Split(split) =>
                counted(*num_queries, &format!("{split} image"), &format!("{split} images")),
        },
        args.gallery.map_or_else(|| "the others".to_owned(), |gallery| format!("those of {gallery}")),
    );
    output::text(&(heading + &retrieval_table(&result.retrieval)))
}

/// Opens the data in the model's format, embeds it, and evaluates retrieval.
pub(super) fn retrieve(
    trained: &TrainedModel,
    data: &str,
    split: Part,
    gallery: Option<Split>,
    batch_size: usize,
) -> Result<RetrievalResult, Failure> {
    let source = open(trained, data, split)?;
    warn_of_what_is_evaluated(trained, &source, split);
    let embed = |part: Part| -> Result<_, Failure> {
        let dataset =
            part.load(&source, &trained.file.preprocessing.format, trained_on(trained, &source).any())?;
        warn_of_images(source.notes().iter().chain(dataset.notes()));
        Ok((trained.embed(&dataset, batch_size)?, dataset))
    };
    let (values, queries) = embed(split)?;
    let dim = values.len() / queries.len().max(1);
    let rows = |values| Embeddings::new(values, dim.max(1)).map_err(Failure::from);
    let gallery = gallery.map(Part::Split);
    let searched = match gallery.filter(|&gallery| gallery != split) {
        Some(gallery) => Some(embed(gallery)?),
        None => None,
    };
    let searched = match &searched {
        Some((values, dataset)) => Some((rows(values)?, dataset.targets())),
        None => None,
    };
    let options = RetrievalOptions { metric: trained.metric(), ..RetrievalOptions::default() };
    let searched = searched.as_ref().map(|(gallery, labels)| (gallery, *labels));
    let retrieval = retrieval::evaluate(&rows(&values)?, queries.targets(), searched, &options);
    let retrieval = retrieval?;
    Ok(RetrievalResult { split, gallery: gallery.unwrap_or(split), retrieval })
}

fn retrieval_table(found: &Retrieval) -> String {
    let lines = [
        ("P@1", found.precision_at_1, interval(found.intervals.precision_at_1)),
        ("R-precision", found.r_precision, interval(found.intervals.r_precision)),
        ("MAP@R", found.map_at_r, interval(found.intervals.map_at_r)),
        ("recall@5", found.recall_at_5, String::new()),
        ("recall@10", found.recall_at_10, String::new()),
        ("k-NN accuracy", found.knn_accuracy, format!("  (k = {})", found.k)),
    ];
    let mut text: String =
        lines.iter().map(|(name, value, more)| format!("  {name:<15} {}{more}\n", share(*value))).collect();
    if found.num_queries == 0 {
        text.push_str("  note            no image here has another one of its class to be found, so that nothing is defined\n");
    }
    text
}

/// Opens data as that of the model was opened, whatever classes they have.
fn open(trained: &TrainedModel, data: &str, part: Part) -> Result<Source, Failure> {
    let file = &trained.file;
    part.open(data, &file.data.options).map_err(|error| {
        let own = file.data.source.as_deref() == Some(data);
        if own && !Path::new(data).exists() {
            let relative = "it is named as in training, from the folder in which mentor ran; go there, or";
            let moved = "it has been moved since training;";
            let why = if Path::new(data).is_relative() { relative } else { moved };
            return Failure::from(error).help(format!("{why} name the data with --data"));
        }
        error.into()
    })
}

/// What data have in common with those that a model was trained on.
struct TrainedOn {
    /// The same name leads to them.
    own: bool,
    /// They have the same images and labels.
    same: bool,
}

impl TrainedOn {
    fn any(&self) -> bool {
        self.own || self.same
    }
}

fn trained_on(trained: &TrainedModel, source: &Source) -> TrainedOn {
    let file = &trained.file;
    TrainedOn {
        own: file.data.source.as_deref().is_some_and(|own| same_data(own, source.name())),
        same: file.source_blake3.as_ref().is_some_and(|blake3| *blake3 == source.fingerprint()),
    }
}

/// Says where the model may have learned from what it is judged by, and where chance decides what it is
/// judged by. Splits that are drawn by chance are drawn anew of data that has changed.
fn warn_of_what_is_evaluated(trained: &TrainedModel, source: &Source, part: Part) {
    let file = &trained.file;
    let TrainedOn { own, same } = trained_on(trained, source);
    if matches!(part, Part::All | Part::Split(Split::Train)) && (own || same) {
        output::note(&format!(
            "warning: {}: holds the images that the model was trained on; these numbers do not say how it does on new ones \
             (--split test does)",
            shown(source.name())
        ));
    } else if let (false, false, false, Part::Split(split)) = (own, same, source.has_own_splits(), part) {
        let all: usize = Split::ALL.into_iter().map(|split| source.num_images(split)).sum();
        output::note(&format!(
            "warning: {}: has no splits of its own; {} drawn from {} by chance; --split all evaluates every image",
            shown(source.name()),
            counted(source.num_images(split), &format!("{split} image is"), &format!("{split} images are")),
            counted(all, "image", "images"),
        ));
    } else if own && !same && file.source_blake3.is_some() {
        output::note(&format!(
            "warning: {}: its training or validation images have changed since the model was trained; unless it has splits of its \
             own, the model may have learned from some of these",
            source.name()
        ));
    }
}

/// What is left out, or counts more than once, changes the numbers, so that it is never silent.
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

/// What the model made of a split.
pub(super) struct Evaluated {
    pub(super) evaluation: Evaluation,
    samples: Vec<SampleResult>,
    dataset: Arc<Dataset>,
}

/// Opens the data as the model's own, and evaluates.
pub(super) fn evaluate(
    trained: &TrainedModel,
    data: &str,
    split: Part,
    batch_size: usize,
) -> Result<Evaluated, Failure> {
    let dataset = labelled(trained, data, split)?;
    let (evaluation, samples) = trained.evaluate(&dataset, split, batch_size)?;
    Ok(Evaluated { evaluation, samples, dataset })
}

/// A part of data with the classes of a classifier, in its format; what is left out of it is said.
pub(super) fn labelled(trained: &TrainedModel, data: &str, split: Part) -> Result<Arc<Dataset>, Failure> {
    let file = &trained.file;
    let source = open(trained, data, split)?;
    let dataset = split.load(&source, &file.preprocessing.format, trained_on(trained, &source).any())?;
    // The notes of what was read, before it is given the classes of the model.
    warn_of_images(source.notes().iter().chain(dataset.notes()));
    let dataset = in_classes_of_model(data, dataset, &file.classes)?;
    warn_of_what_is_evaluated(trained, &source, split);
    Ok(dataset)
}

/// The same samples with the classes of the model, found by their names. Classes of the model without a
/// sample are said.
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
                "give classes that look alike the same name if they are one class, or leave them out of the data"
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
            "note: {data}: no image here is of {}: nothing is said of them",
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

fn write_per_sample(path: &Path, evaluated: &Evaluated) -> Result<(), Failure> {
    let classes = evaluated.dataset.classes();
    let name = |class: u32| classes.get(class as usize).map_or("", String::as_str);
    let table = || -> Result<Vec<u8>, anyhow::Error> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["id", "target", "predicted", "confidence", "loss"])?;
        for (index, sample) in evaluated.samples.iter().enumerate() {
            let numbers = [sample.confidence, sample.loss].map(json::cell);
            let [confidence, loss] = &numbers;
            let id = evaluated.dataset.id(index);
            writer.write_record([id, name(sample.target), name(sample.predicted), confidence, loss])?;
        }
        Ok(writer.into_inner()?)
    };
    Ok(write_atomically(path, &table().map_err(Failure::failed)?)?)
}

fn table(evaluation: &Evaluation) -> String {
    let Evaluation { accuracy, top5_accuracy, loss, data_loss, penalty, ece, per_class, .. } = evaluation;
    let mut text = format!(
        "  accuracy           {accuracy:.4}{}\n  macro recall       {}\n  macro F1           {}\n",
        interval(evaluation.accuracy_interval),
        share(evaluation.macro_recall),
        share(evaluation.macro_f1)
    );
    // Of ten classes chance alone finds half among five.
    if per_class.len() > 10 {
        text.push_str(&format!("  top-5 accuracy     {top5_accuracy:.4}\n"));
    }
    text.push_str(&format!(
        "  loss               {loss:.4} = {data_loss:.4} data loss + {penalty:.4} penalty\n"
    ));
    text.push_str(&format!("  calibration error  {ece:.4}\n\n"));
    let mut order: Vec<usize> = (0..per_class.len()).collect();
    if order.len() > NUM_SHOWN {
        let key = |class: usize| per_class[class].f1.unwrap_or(f64::INFINITY);
        order.sort_by(|&a, &b| key(a).total_cmp(&key(b)));
        text.push_str(&format!("  the {NUM_SHOWN} classes of {} with the lowest F1:\n", per_class.len()));
        order.truncate(NUM_SHOWN);
    }
    let mut table = Table::new(&[
        ("class", Align::Left),
        ("images", Align::Right),
        ("precision", Align::Right),
        ("recall", Align::Right),
        ("F1", Align::Right),
        ("most often taken for", Align::Left),
    ]);
    for class in order {
        let metrics = &per_class[class];
        table.row([
            metrics.class.clone(),
            count(metrics.num_samples),
            share(metrics.precision),
            share(metrics.recall),
            share(metrics.f1),
            taken_for(evaluation, class),
        ]);
    }
    text + &table.render()
}

/// The wrong class that most images of `class` went to.
fn taken_for(evaluation: &Evaluation, class: usize) -> String {
    let wrong = evaluation.confusion.row(class).iter().filter(|cell| cell.predicted as usize != class);
    // The first of several that are equal, as in the order of the classes.
    wrong.rev().max_by_key(|cell| cell.count).map_or_else(String::new, |cell| {
        format!("{} ({})", evaluation.per_class[cell.predicted as usize].class, cell.count)
    })
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
